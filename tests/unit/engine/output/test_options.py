"""What a request says of its files, and what is refused before a build."""

from pathlib import Path
import tempfile
import unittest
from unittest import mock

from dib_service.engine import errors, process
from dib_service.engine.output.options import Options, check


class Asked(unittest.TestCase):
    def test_a_qcow2_is_small_unless_it_says_otherwise(self):
        options = Options.of(["qcow2"], {})
        self.assertTrue(options.compressed)
        self.assertEqual(
            ["-o", "compression_type=zstd"], options.words("qcow2")
        )
        self.assertFalse(Options.of([], {"COMPRESS_IMAGE": ""}).compressed)

    def test_options_are_each_formats_own(self):
        options = Options.of(
            ["qcow2", "vhd", "raw"],
            {"QEMU_IMG_OPTIONS": "compat=1.1,cluster_size=2M"},
        )
        # Whoever names a compatibility may mean a reader without zstd.
        self.assertEqual(
            ["-o", "compat=1.1,cluster_size=2M"], options.words("qcow2")
        )
        self.assertEqual(
            ["-o", "force_size=on,compat=1.1,cluster_size=2M"],
            options.words("vhd"),
        )
        self.assertEqual([], options.words("vmdk"))

    def test_options_that_make_an_image_depend_on_a_file_are_refused(self):
        for text in ("backing_file=/etc/shadow", "a=b,data_file=/dev/vda"):
            with self.assertRaisesRegex(errors.SpecError, "stands for itself"):
                Options.of(["qcow2"], {"QEMU_IMG_OPTIONS": text})

    def test_options_that_are_none_are_refused(self):
        for text in ("compat", "=1", "a=b,c"):
            with self.assertRaisesRegex(errors.SpecError, "name=value"):
                Options.of(["qcow2"], {"QEMU_IMG_OPTIONS": text})

    def test_md5_as_diskimage_builder_has_it(self):
        for text, md5 in (
            ("", False),
            ("0", False),
            ("1", True),
            ("md5", True),
            ("md5,sha256", True),
            ("sha256", False),
        ):
            kinds = Options.of([], {"DIB_CHECKSUM": text}).checksums
            self.assertEqual(md5, "md5" in kinds, text)
            self.assertIn("sha256", kinds)
            self.assertIn("sha512", kinds)

    def test_an_epoch_is_a_number(self):
        self.assertEqual(7, Options.of([], {"SOURCE_DATE_EPOCH": "7"}).epoch)
        with self.assertRaises(errors.SpecError):
            Options.of([], {"SOURCE_DATE_EPOCH": "yesterday"})


class Refused(unittest.TestCase):
    """Before anything is built: no program of this host is run."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name)
        patched = mock.patch.dict(process.BASE_ENV, PATH=holder.name)
        patched.start()
        self.addCleanup(patched.stop)

    def program(self, name):
        (self.path / name).touch(mode=0o755)

    def check(self, *formats, **environment):
        check(formats, Options.of(formats, environment))

    def test_what_this_host_has_no_program_for(self):
        for wanted, tool in (
            ("squashfs", "mksquashfs"),
            ("docker", "docker"),
            ("qcow2", "qemu-img"),
        ):
            with self.assertRaises(errors.MissingTool) as caught:
                self.check("raw", wanted)
            self.assertEqual("operator", caught.exception.turn)
            self.assertEqual(tool, caught.exception.facts["tool"])
        self.program("qemu-img")
        self.check("raw", "tar", "qcow2")

    def test_a_docker_image_without_a_name(self):
        self.program("docker")
        with self.assertRaisesRegex(errors.SpecError, "DOCKER_TARGET"):
            self.check("docker")
        self.check("docker", DOCKER_TARGET="web:1")

    def test_a_manifest_that_is_not_there(self):
        manifest = self.path / "manifest"
        with self.assertRaisesRegex(errors.SpecError, "ACI_MANIFEST"):
            self.check("aci", ACI_MANIFEST=str(manifest))
        manifest.touch()
        self.check("aci", ACI_MANIFEST=str(manifest))

    def test_a_gzip_that_is_not_there(self):
        with self.assertRaisesRegex(errors.SpecError, "DIB_GZIP_BIN"):
            self.check("tgz", DIB_GZIP_BIN="pigz -p 2")
        self.program("pigz")
        self.check("tgz", DIB_GZIP_BIN="pigz -p 2")
