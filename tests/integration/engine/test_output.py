"""Finished files: they appear together, small, and with true checksums."""

import os
from pathlib import Path
import tempfile
import unittest

from oslo_utils.imageutils import format_inspector

from dib_service.engine import errors, output
from tests.integration.engine import images

MiB = 1024 * 1024


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
        return output.write_all(
            formats, self.image, name="web", output_dir=self.out
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
                self.assertEqual(said, getattr(artefact, kind))
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
        again = self.path / "again"
        [repeated] = output.write_all(
            ["qcow2"], self.image, name="web", output_dir=again
        )
        self.assertEqual(qcow2.sha512, repeated.sha512)

    def test_a_qcow2_is_one_that_glance_takes(self):
        [qcow2] = self.written("qcow2")
        found = format_inspector.detect_file_format(str(qcow2.path))
        self.assertEqual("qcow2", str(found))
        self.assertEqual(64 * MiB, found.virtual_size)
        found.safety_check()

    def test_one_that_fails_leaves_none(self):
        with self.assertRaises(errors.CommandError):
            self.written("qcow2", "no-such-format")
        self.assertEqual([], list(self.out.iterdir()))
        self.assertTrue(self.image.exists())

    def test_what_was_there_is_replaced(self):
        self.written("qcow2")
        first = (self.out / "web.qcow2").stat().st_ino
        self.written("qcow2")
        self.assertNotEqual(first, (self.out / "web.qcow2").stat().st_ino)

    def test_a_format_twice_is_one(self):
        self.assertEqual(1, len(self.written("qcow2", "qcow2")))
