"""What a build made comes whole, and by its name."""

import os
from pathlib import Path
import re
import tempfile
import unittest
from unittest import mock

from dib_service.engine import delivery


class Delivery(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.source = Path(holder.name) / "source"
        self.target = Path(holder.name) / "target"
        for place in (self.source, self.target):
            place.mkdir()

    def made(self, place, **files):
        for name, text in files.items():
            (place / name.replace("_", ".")).write_text(text)

    def there(self):
        return {
            re.sub(r"-[\d.]+-[\d.]+\d", "-TIME", path.name): path.read_text()
            for path in self.target.iterdir()
            if path.is_file()
        }

    def test_what_was_there_is_replaced(self):
        self.made(self.target, a_raw="old", a_raw_md5="old", other="stays")
        self.made(self.source, a_raw="new", a_raw_sha256="sum")
        delivery.deliver(self.source, self.target)
        # A sum of the old one would lie of the new.
        self.assertEqual(
            {"a.raw": "new", "a.raw.sha256": "sum", "other": "stays"},
            self.there(),
        )

    def test_what_was_there_is_renamed_with_its_checksums(self):
        self.made(self.target, a_raw="old", a_raw_md5="o", a_raw_sha256="s")
        self.made(self.source, a_raw="new", a_raw_sha256="sum")
        delivery.deliver(self.source, self.target, keep_old=True)
        self.assertEqual(
            {
                "a.raw": "new",
                "a.raw.sha256": "sum",
                "a-TIME.raw": "old",
                "a-TIME.raw.md5": "o",
                "a-TIME.raw.sha256": "s",
            },
            self.there(),
        )

    def test_a_directory_is_replaced(self):
        (self.target / "a.d").mkdir()
        (self.target / "a.d/old").touch()
        (self.source / "a.d").mkdir()
        delivery.deliver(self.source, self.target, keep_old=True)
        self.assertEqual([], list((self.target / "a.d").iterdir()))

    def test_nothing_changes_before_everything_has_come(self):
        self.made(self.target, a_raw="old")
        self.made(self.source, a_raw="new", b_raw="new")
        real = delivery._move

        def failing(path, target):
            if path.name == "b.raw":
                raise OSError("no room")
            real(path, target)

        with (
            mock.patch.object(delivery, "_move", failing),
            self.assertRaises(OSError),
        ):
            delivery.deliver(self.source, self.target, keep_old=True)
        self.assertEqual({"a.raw": "old"}, self.there())

    def test_it_is_given_to_its_owner(self):
        self.made(self.source, a_raw="new")
        (self.source / "a.d").mkdir()
        (self.source / "a.d/link").symlink_to("/etc/shadow")
        given = []
        with mock.patch.object(
            os, "chown", lambda path, *ids, **how: given.append((path, how))
        ):
            delivery.deliver(self.source, self.target, owner=(7, 8))
        self.assertEqual(
            {".a.raw.part", ".a.d.part", "link"},
            {path.name for path, _ in given},
        )
        self.assertEqual(
            [{"follow_symlinks": False}] * 3, [how for _, how in given]
        )

    def test_holes_are_kept_on_the_way_to_another_filesystem(self):
        with (
            tempfile.TemporaryDirectory(dir="/var/tmp") as here,
            tempfile.TemporaryDirectory(dir="/dev/shm") as there,
        ):
            source, target = Path(here), Path(there)
            self.assertNotEqual(source.stat().st_dev, target.stat().st_dev)
            with (source / "image.raw").open("wb") as image:
                image.write(b"x")
                image.truncate(64 * 1024**2)
            (source / "image.d").mkdir()
            (source / "image.d/manifest").write_text("x")
            (target / "image.d").mkdir()
            (target / "image.d/old").write_text("x")
            delivery.deliver(source, target)
            made = (target / "image.raw").stat()
            self.assertEqual(64 * 1024**2, made.st_size)
            self.assertLess(made.st_blocks * 512, 1024**2)
            self.assertEqual(
                ["manifest"],
                [path.name for path in (target / "image.d").iterdir()],
            )
            self.assertEqual(
                ["image.d", "image.raw"],
                sorted(path.name for path in target.iterdir()),
            )
