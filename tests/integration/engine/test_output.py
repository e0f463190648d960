"""Finished files: they appear together, small, and with true checksums."""

import errno
import hashlib
import json
import os
from pathlib import Path
import tempfile
import unittest
from unittest import mock

from oslo_utils.imageutils import format_inspector

from dib_service.engine import errors, mounts, process, spec
from dib_service.engine.output import files
from dib_service.engine.output.options import Options
from tests.integration.engine import images

MiB = 1024 * 1024
OPTIONS = Options()


def _told(problems):
    """Raise the next of them, if there is one."""
    for problem in problems:
        raise problem


class Outputs(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()
        self.image = self.path / "image0.raw"
        with self.image.open("wb") as file:
            file.truncate(64 * MiB)
            file.seek(32 * MiB)
            file.write(os.urandom(MiB) + b"text" * MiB)
        self.content = self.image.read_bytes()
        self.out = self.path / "out"

    def written(self, *formats):
        return self.written_to(self.out, *formats)

    def written_to(self, directory, *formats, options=OPTIONS):
        return files.write_all(
            spec.BuildSpec(("x",), formats, name="web"),
            files.Source(self.path, self.image),
            output_dir=directory,
            options=options,
            warn=self.fail,
        )

    def test_each_format_with_its_checksums(self):
        found = {artefact.format: artefact for artefact in self.written(
            "raw", "qcow2"
        )}  # fmt: skip
        self.assertEqual({"raw", "qcow2"}, set(found))
        self.assertEqual(
            sorted(
                f"web.{kind}{suffix}"
                for kind in ("raw", "qcow2")
                for suffix in ("", ".sha256", ".sha512")
            ),
            sorted(path.name for path in self.out.iterdir()),
        )
        for artefact in found.values():
            self.assertEqual(64 * MiB, artefact.virtual_size)
            self.assertEqual(artefact.path.stat().st_size, artefact.size)
            for kind in ("sha256", "sha512"):
                said = images.run(f"{kind}sum", artefact.path).split()[0]
                self.assertEqual(said, artefact.digests[kind])
                images.run(
                    *(f"{kind}sum", "--check", f"{artefact.path}.{kind}"),
                    cwd=self.out,
                )

    def test_the_raw_image_is_moved_and_keeps_its_holes(self):
        [raw] = self.written("raw")
        self.assertFalse(self.image.exists())
        self.assertEqual(self.content, raw.path.read_bytes())
        self.assertLess(raw.path.stat().st_blocks * 512, 8 * MiB)

    def test_a_qcow2_is_small_and_holds_the_same(self):
        [qcow2] = self.written("qcow2")
        self.assertLess(qcow2.size, 2 * MiB)
        images.run("qemu-img", "compare", self.image, qcow2.path)
        [repeated] = self.written_to(self.path / "again", "qcow2")
        self.assertEqual(qcow2.digests, repeated.digests)

    def test_a_qcow2_is_one_that_glance_takes(self):
        [qcow2] = self.written("qcow2")
        found = format_inspector.detect_file_format(str(qcow2.path))
        self.assertEqual("qcow2", str(found))
        self.assertEqual(64 * MiB, found.virtual_size)
        found.safety_check()

    def test_one_that_fails_leaves_none(self):
        # Between others: vdi is there already, qcow2 and raw would follow.
        wrong = Options(qemu_img={"vmdk": {"subformat": "none"}})
        with self.assertRaises(errors.CommandError) as caught:
            self.written_to(
                self.out, "raw", "qcow2", "vmdk", "vdi", options=wrong
            )
        self.assertIn("-O vmdk", str(caught.exception))
        self.assertEqual([], list(self.out.iterdir()))
        self.assertTrue(self.image.exists())

    def test_a_full_disk_leaves_none(self):
        with mounts.mounted("tmpfs", self.out, "-t", "tmpfs", "-o", "size=6m"):
            # It has room for one and a half.
            with self.assertRaises(errors.CommandError) as caught:
                self.written("vdi", "qcow2")
            self.assertTrue(errors.says_full(caught.exception))
            self.assertEqual([], list(self.out.iterdir()))

    def test_a_disk_that_cannot_keep_what_it_got_leaves_none(self):
        # The kernel tells such an error once, to whoever asks first.
        told = iter([OSError(errno.EIO, "Input/output error")])
        with (
            mock.patch.object(os, "fsync", side_effect=lambda _: _told(told)),
            self.assertRaisesRegex(OSError, "Input/output"),
        ):
            self.written("raw", "qcow2")
        self.assertEqual([], list(self.out.iterdir()))

    def test_docker_takes_a_tar_and_leaves_no_file(self):
        docker = self.docker(
            'tar -tf "$2" > "$0.said"; echo "$3" >> "$0.said"'
        )
        options = Options(docker_target="web:1")
        made = self.written_to(self.out, "docker", "tar", options=options)
        self.assertFalse(Path(f"{docker}.said").exists())
        [tar] = files.import_to_docker(made, options)
        said = Path(f"{docker}.said").read_text().splitlines()
        self.assertIn("./image0.raw", said)
        self.assertEqual("web:1", said[-1])
        self.assertEqual("tar", tar.format)
        self.assertEqual(
            ["web.tar", "web.tar.sha256", "web.tar.sha512"],
            sorted(path.name for path in self.out.iterdir()),
        )

    def test_what_docker_says_is_heard(self):
        self.docker("echo no daemon >&2; exit 3")
        made = self.written("docker")
        with self.assertRaisesRegex(errors.CommandError, "no daemon"):
            files.import_to_docker(made, OPTIONS)

    def docker(self, text):
        """A program of that name, first on our PATH."""
        programs = self.path / "programs"
        programs.mkdir()
        docker = programs / "docker"
        docker.write_text(f"#!/bin/bash\n{text}\n")
        docker.chmod(0o755)
        path = f"{programs}:{process.BASE_ENV['PATH']}"
        patched = mock.patch.dict(process.BASE_ENV, PATH=path)
        patched.start()
        self.addCleanup(patched.stop)
        return docker

    def test_what_hooks_left_beside_belongs_to_the_set(self):
        self.out.mkdir()
        for name, text in (("web.vmlinuz", "kernel"), ("web.initrd", "disk")):
            (self.out / name).write_text(text)
        manifests = self.out / "web.d/dib-manifests"
        manifests.mkdir(parents=True)
        (manifests / "dib_arguments").write_text("-n\n")
        found = {each.name: each for each in self.written("qcow2")}
        self.assertEqual(
            {
                "web.qcow2": "image",
                "web.vmlinuz": "kernel",
                "web.initrd": "ramdisk",
                "web.d/dib-manifests/dib_arguments": "other",
            },
            {name: each.role for name, each in found.items()},
        )
        self.assertEqual(
            hashlib.sha256(b"kernel").hexdigest(),
            found["web.vmlinuz"].digests["sha256"],
        )
        self.assertEqual(
            [
                f"web.{name}{suffix}"
                for name in ("d", "initrd", "qcow2", "vmlinuz")
                for suffix in ("", ".sha256", ".sha512")
                if name != "d" or not suffix
            ],
            sorted(path.name for path in self.out.iterdir()),
        )

    def test_what_a_hook_left_under_our_names_is_replaced(self):
        self.out.mkdir()
        (self.out / "web.qcow2").write_text("not a qcow2")
        (self.out / "web.qcow2.sha256").write_text("not its checksum")
        [qcow2] = self.written("qcow2")
        self.assertEqual("image", qcow2.role)
        images.run("sha256sum", "--check", "web.qcow2.sha256", cwd=self.out)

    def test_md5_is_there_for_who_asks(self):
        asked = Options.of(["qcow2"], {"DIB_CHECKSUM": "1"})
        self.written_to(self.out, "qcow2", options=asked)
        images.run("md5sum", "--check", "web.qcow2.md5", cwd=self.out)

    def test_a_qcow2_as_its_options_say(self):
        def made(**environment):
            [qcow2] = self.written_to(
                Path(tempfile.mkdtemp(dir=self.path)),
                "qcow2",
                options=Options.of(["qcow2"], environment),
            )
            said = images.run("qemu-img", "info", "--output=json", qcow2.path)
            return qcow2.size, json.loads(said)["format-specific"]["data"]

        small, data = made()
        self.assertEqual("zstd", data["compression-type"])
        _, data = made(QEMU_IMG_OPTIONS="compat=0.10")
        self.assertEqual("0.10", data["compat"])
        _, data = made(QEMU_IMG_OPTIONS="compression_type=zlib")
        self.assertEqual("zlib", data["compression-type"])
        large, data = made(COMPRESS_IMAGE="")
        self.assertGreater(large, 2 * small)

    def test_a_format_twice_is_one(self):
        self.assertEqual(1, len(self.written("qcow2", "qcow2")))
