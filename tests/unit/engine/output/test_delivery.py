"""What a build made comes whole, and by its name."""

import errno
import os
from pathlib import Path
import re
import tempfile
import unittest
from unittest import mock

from dib_service.engine.output import delivery


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

    def deliver(self, **options):
        delivery.deliver(
            self.source,
            self.target,
            place=delivery.place_in(self.target),
            **options,
        )

    def there(self):
        return {
            re.sub(r"-[\d.]+-[\d.]+\d", "-TIME", path.name): path.read_text()
            for path in self.target.iterdir()
            if path.is_file()
        }

    def test_what_was_there_is_replaced(self):
        self.made(self.target, a_raw="old", a_raw_md5="old", other="stays")
        self.made(self.source, a_raw="new", a_raw_sha256="sum")
        self.deliver()
        # A sum of the old one would lie of the new.
        self.assertEqual(
            {"a.raw": "new", "a.raw.sha256": "sum", "other": "stays"},
            self.there(),
        )

    def test_anothers_symlink_in_its_place_is_not_followed(self):
        elsewhere = self.target / "elsewhere"
        (elsewhere / delivery.WHOLE).mkdir(parents=True)
        self.made(elsewhere / delivery.WHOLE, a_raw="theirs")
        delivery.place_in(self.target).symlink_to(elsewhere)
        self.made(self.source, a_raw="new")
        with self.assertRaises(FileExistsError):
            self.deliver()
        delivery.finish(self.target, place=delivery.place_in(self.target))
        self.assertEqual({}, self.there())
        self.assertEqual(
            [elsewhere / delivery.WHOLE], list(elsewhere.iterdir())
        )

    def test_what_was_there_is_renamed_with_its_checksums(self):
        self.made(self.target, a_raw="old", a_raw_md5="o", a_raw_sha256="s")
        self.made(self.source, a_raw="new", a_raw_sha256="sum")
        self.deliver(keep_old=True)
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
        self.deliver(keep_old=True)
        self.assertEqual([], list((self.target / "a.d").iterdir()))

    def test_a_directory_may_be_added_to(self):
        (self.target / "a.d/below").mkdir(parents=True)
        self.made(self.target / "a.d", old="stays", both="old")
        self.made(self.target / "a.d/below", old="stays")
        before = self.everything()
        self.make_directory()
        with self.failing_at("new"), self.assertRaises(OSError):
            self.deliver(keep_old=True, merge=True)
        self.assertEqual(before, self.everything())
        self.make_directory()
        self.deliver(keep_old=True, merge=True)
        found = {
            str(path.relative_to(self.target)): path.read_text()
            for path in self.target.rglob("*")
            if path.is_file()
        }
        self.assertEqual(
            {
                "a.d/both": "new",
                "a.d/old": "stays",
                "a.d/below/new": "new",
                "a.d/below/old": "stays",
            },
            found,
        )
        self.assertTrue((self.target / "a.d/other").is_dir())

    def make_directory(self):
        (self.source / "a.d/below").mkdir(parents=True)
        (self.source / "a.d/other").mkdir()
        self.made(self.source / "a.d", both="new")
        self.made(self.source / "a.d/below", new="new")

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
            self.deliver(keep_old=True)
        self.assertEqual({"a.raw": "old"}, self.there())

    def test_one_that_cannot_have_its_name_takes_all_back(self):
        self.made(
            self.target, a_raw="old", a_raw_md5="old", b_raw="old", z="stays"
        )
        (self.target / "c.d").mkdir()
        (self.target / "c.d/old").touch()
        before = self.everything()
        for keep_old in (False, True):
            for name in ("a.raw", "a.raw.sha256", "b.raw", "c.d"):
                with self.subTest(name, keep_old=keep_old):
                    self.made(
                        self.source, a_raw="1", a_raw_sha256="2", b_raw="3"
                    )
                    (self.source / "c.d").mkdir()
                    with self.failing_at(name), self.assertRaises(OSError):
                        self.deliver(keep_old=keep_old)
                    self.assertEqual(before, self.everything())
                    self.assertEqual([], list(self.source.iterdir()))

    def everything(self):
        """What is in the target, to the inode."""
        return {
            str(path.relative_to(self.target)): path.stat().st_ino
            for path in self.target.rglob("*")
        }

    def failing_at(self, name):
        rename = Path.rename

        def failing(path, to):
            if f"/{delivery.WHOLE}/" in str(path) and path.name == name:
                raise OSError(errno.EIO, "that disk again")
            return rename(path, to)

        return mock.patch.object(Path, "rename", failing)

    def test_one_that_is_killed_before_all_have_come_leaves_nothing(self):
        self.made(self.target, a_raw="old")
        place = delivery.place_in(self.target)
        self.made(self.source, a_raw="new")
        place.mkdir()
        self.source.rename(place / delivery.ARRIVING)
        delivery.finish(self.target, place=place)
        self.assertEqual({"a.raw"}, set(self.everything()))
        self.assertEqual({"a.raw": "old"}, self.there())

    def test_one_that_is_killed_while_they_appear_is_finished(self):
        self.made(self.target, a_raw="new", b_raw="old")
        place = delivery.place_in(self.target)
        self.made(self.source, a_raw_sha256="sum", b_raw="new")
        place.mkdir()
        self.source.rename(place / delivery.WHOLE)
        delivery.finish(self.target, place=place, keep_old=True)
        self.assertEqual(
            {
                "a.raw": "new",
                "a.raw.sha256": "sum",
                "b-TIME.raw": "old",
                "b.raw": "new",
            },
            self.there(),
        )
        self.assertFalse(place.exists())

    def test_there_may_be_nothing_to_finish(self):
        delivery.finish(self.target, place=delivery.place_in(self.target))
        self.assertEqual({}, self.everything())

    def test_it_is_given_to_its_owner(self):
        self.made(self.source, a_raw="new")
        (self.source / "a.d").mkdir()
        (self.source / "a.d/link").symlink_to("/etc/shadow")
        given = []
        with mock.patch.object(
            os, "chown", lambda path, *ids, **how: given.append((path, how))
        ):
            self.deliver(owner=(7, 8))
        self.assertEqual(
            {"a.raw", "a.d", "link"},
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
            delivery.deliver(source, target, place=target / ".part")
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
