"""What a FAT filesystem can hold, and what is copied there."""

import os
from pathlib import Path
import tempfile
import unittest

from dib_service.engine import errors
from dib_service.engine.disk import fat


class Content(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.source = Path(holder.name) / "source"
        self.target = Path(holder.name) / "target"
        self.source.mkdir()
        self.target.mkdir()

    def refused(self):
        with self.assertRaises(errors.FatContent) as caught:
            fat.check(self.source, "/boot/efi")
        self.assertEqual("element", caught.exception.turn)
        return str(caught.exception)

    def test_files_are_copied_with_their_times(self):
        deep = self.source / "EFI/BOOT"
        deep.mkdir(parents=True)
        (self.source / "empty").mkdir()
        (deep / "BOOTX64.EFI").write_text("loader")
        os.utime(deep / "BOOTX64.EFI", ns=(10**18, 10**18))
        fat.fill(self.source, self.target, "/boot/efi")
        copy = self.target / "EFI/BOOT/BOOTX64.EFI"
        self.assertEqual("loader", copy.read_text())
        self.assertEqual(10**18, copy.stat().st_mtime_ns)
        self.assertTrue((self.target / "empty").is_dir())

    def test_into_what_is_there_already(self):
        for side in (self.source, self.target):
            (side / "EFI").mkdir()
        (self.source / "EFI/a").touch()
        (self.target / "EFI/b").touch()
        fat.fill(self.source, self.target, "/boot/efi")
        self.assertEqual(
            {"a", "b"}, {p.name for p in (self.target / "EFI").iterdir()}
        )

    def test_links(self):
        (self.source / "EFI").mkdir()
        (self.source / "EFI/link").symlink_to("/etc/shadow")
        self.assertEqual(
            "/boot/efi/EFI/link is neither a file nor a directory",
            self.refused(),
        )
        with self.assertRaises(errors.FatContent):
            fat.fill(self.source, self.target, "/boot/efi")
        self.assertEqual([], list(self.target.iterdir()))

    def test_other_kinds(self):
        os.mkfifo(self.source / "fifo")
        self.assertIn("/boot/efi/fifo is neither", self.refused())

    def test_names(self):
        for name in ("a:b", "a\\b", "a?", "new\nline", "dot.", "blank "):
            with self.subTest(name):
                path = self.source / name
                path.touch()
                self.assertIn("has a name that vfat", self.refused())
                path.unlink()
        (self.source / "Grüße aus Köln.txt").touch()
        fat.check(self.source, "/boot/efi")

    def test_names_that_differ_in_case_only(self):
        (self.source / "GRUB.cfg").touch()
        (self.source / "grub.cfg").touch()
        self.assertEqual(
            "/boot/efi/grub.cfg is the same name as GRUB.cfg to a vfat "
            "filesystem",
            self.refused(),
        )
