"""How large a disk must be: what is counted, and what comes of it."""

import os
from pathlib import Path
import tempfile
import unittest

from dib_service.engine.disk import sizing
from dib_service.engine.disk.sizing import BLOCK, GROUP, Usage
from dib_service.engine.sizes import GiB, MiB, TiB

DEBIAN = Usage(blocks=105_000, inodes=14_000)


class Measured(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.tree = Path(holder.name)

    def used(self, *points):
        return sizing.measure(self.tree, ["/", *points])

    def test_files_in_whole_blocks(self):
        (self.tree / "empty").touch()
        (self.tree / "one").write_bytes(b"x")
        (self.tree / "two").write_bytes(b"x" * (BLOCK + 1))
        self.assertEqual(Usage(blocks=3, inodes=3), self.used()["/"])

    def test_a_hard_link_costs_nothing(self):
        (self.tree / "one").write_bytes(b"x")
        os.link(self.tree / "one", self.tree / "again")
        self.assertEqual(Usage(blocks=1, inodes=1), self.used()["/"])

    def test_a_hole_costs_nothing(self):
        with (self.tree / "sparse").open("wb") as file:
            file.truncate(GiB)
            file.seek(512 * MiB)
            file.write(b"x")
        self.assertEqual(Usage(blocks=1, inodes=1), self.used()["/"])

    def test_directories_and_links(self):
        (self.tree / "directory").mkdir()
        (self.tree / "short").symlink_to("x" * 59)
        (self.tree / "long").symlink_to("x" * 60)
        self.assertEqual(Usage(blocks=2, inodes=3), self.used()["/"])

    def test_a_directory_of_many_names(self):
        for number in range(200):
            (self.tree / f"{'n' * 56}{number:04}").touch()
        many = self.tree / "many"
        many.mkdir()
        for path in list(self.tree.iterdir()):
            if path != many:
                path.rename(many / path.name)
        # 200 names of 60 bytes and 8 more each, half of it room to split.
        self.assertEqual(Usage(blocks=5, inodes=201), self.used()["/"])

    def test_each_filesystem_gets_its_own(self):
        for name in ("var", "var/log", "varnish"):
            (self.tree / name).mkdir()
            (self.tree / name / "file").write_bytes(b"x")
        used = self.used("/var", "/var/log")
        self.assertEqual(2, used["/var/log"].inodes)
        self.assertEqual(2, used["/var"].inodes)
        self.assertEqual(2, used["/"].inodes)


class Decided(unittest.TestCase):
    def test_it_fits_and_is_not_much_larger(self):
        for usage in (Usage(0, 0), Usage(2000, 100), DEBIAN,
                      Usage(10_000_000, 1_000_000)):  # fmt: skip
            with self.subTest(usage):
                found = sizing.geometry(usage)
                self.assertTrue(sizing.fits(found, usage))
                rest = found.size - sizing.needed(found, usage)
                content = usage.blocks * BLOCK
                self.assertGreaterEqual(rest, min(content // 4, 256 * MiB))
                self.assertLessEqual(rest, max(content // 4 + MiB, 34 * MiB))

    def test_a_tree_of_nothing_but_small_files(self):
        usage = Usage(blocks=1000, inodes=1_000_000)
        found = sizing.geometry(usage)
        self.assertGreater(found.inodes, 1_000_000)
        self.assertLessEqual(found.inodes / -(-found.size // GROUP), 32768)

    def test_room_that_was_asked_for(self):
        less = sizing.geometry(DEBIAN, extra=0)
        more = sizing.geometry(DEBIAN, extra=500 * MiB)
        self.assertGreaterEqual(more.size - less.size, 490 * MiB)

    def test_a_small_tree_has_a_small_journal(self):
        self.assertEqual(4 * MiB, sizing.geometry(Usage(2000, 9)).journal)
        self.assertEqual(
            64 * MiB, sizing.geometry(Usage(1_000_000, 9)).journal
        )

    def test_a_size_too_small_does_not_fit(self):
        enough = sizing.geometry(DEBIAN, extra=0).size
        self.assertTrue(self.fits(enough + MiB))
        self.assertFalse(self.fits(enough - 16 * MiB))

    def fits(self, size):
        return sizing.fits(sizing.geometry(DEBIAN, size=size), DEBIAN)

    def test_it_can_grow_to_64_tib_in_the_end(self):
        found = sizing.geometry(DEBIAN)
        per_group = found.inodes // -(-found.size // GROUP)
        self.assertGreaterEqual(2**32 // per_group * GROUP, 64 * TiB)

    def test_it_can_grow_to_a_pebibyte_if_it_must(self):
        limit = 1024 * TiB
        found = sizing.geometry(DEBIAN, limit=limit)
        per_group = found.inodes // -(-found.size // GROUP)
        self.assertLess(per_group * (limit // GROUP), 2**32)
        self.assertTrue(sizing.fits(found, DEBIAN))

    def test_descriptors_that_lie_together_have_room_for_8_tib(self):
        found = sizing.geometry(DEBIAN, meta_bg=False)
        self.assertEqual(8 * TiB, found.resize * BLOCK)
        far = sizing.geometry(DEBIAN, size=16 * TiB, meta_bg=False)
        self.assertIsNone(far.resize)

    def test_descriptors_in_their_groups_need_none(self):
        found = sizing.geometry(DEBIAN)
        self.assertIsNone(found.resize)
        together = sizing.geometry(DEBIAN, meta_bg=False)
        # Three copies: this is a filesystem of four or five groups.
        self.assertGreaterEqual(together.size - found.size, 3 * 4 * MiB)


class Copies(unittest.TestCase):
    def test_as_ext4_has_them(self):
        # In 0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125 and so on.
        for groups, copies in (
            (1, 1), (2, 2), (3, 2), (4, 3), (8, 5), (10, 6), (26, 7),
            (28, 8), (50, 9), (82, 10),
        ):  # fmt: skip
            with self.subTest(groups):
                self.assertEqual(copies, sizing._copies(groups))
