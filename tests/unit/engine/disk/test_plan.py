"""How large a disk is decided to be, and what does not fit."""

import unittest

from dib_service.engine import errors
from dib_service.engine.disk import blockdevice
from dib_service.engine.disk.plan import planned
from dib_service.engine.disk.sizing import Usage
from dib_service.engine.sizes import GiB, MiB

EFI = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: ESP
        type: EF00
        size: 64MiB
        mkfs: {type: vfat, mount: {mount_point: /boot/efi}}
      - {name: swap, size: 16MiB, type: '8200', mkfs: {type: swap, label: s}}
      - {name: root, size: 100%, mkfs: {mount: {mount_point: /}}}
"""

NOTHING = Usage()
# 400 MiB in 10,000 files.
TREE = Usage(blocks=100 * 1024, inodes=10_000)


class Plans(unittest.TestCase):
    def planned(self, text=EFI, size=None, efi=NOTHING, **environment):
        layout = blockdevice.parse(text, environment)
        usage = {"/": TREE, "/boot/efi": efi, "/srv": NOTHING}
        return [planned(disk, layout, usage, size) for disk in layout.disks]

    def test_just_large_enough(self):
        [plan] = self.planned()
        root = plan.spans["root"]
        self.assertGreater(root.size, 500 * MiB)
        # The slack is a quarter, the journal and the tables are less.
        self.assertLess(root.size, 640 * MiB)
        self.assertEqual(64 * MiB, plan.spans["ESP"].size)
        # A MiB before, and one after for the copy of the table.
        self.assertEqual(root.size + 82 * MiB, plan.size)
        self.assertEqual({"root"}, set(plan.geometries))

    def test_a_size_that_was_asked_for(self):
        [plan] = self.planned(size=10 * GiB)
        self.assertEqual(10 * GiB, plan.size)
        self.assertEqual(10 * GiB - 82 * MiB, plan.spans["root"].size)

    def test_a_size_of_the_configuration_goes_before_it(self):
        text = EFI.replace("name: image0}", "name: image0, size: 5GiB}")
        [plan] = self.planned(text, size=10 * GiB)
        self.assertEqual(5 * GiB, plan.size)

    def test_each_disk_has_its_own(self):
        text = EFI + (
            "- local_loop: {name: data, size: 1GiB, mkfs: {type: xfs,"
            " mount: {mount_point: /srv}}}\n"
            "- local_loop: {name: more, mkfs: {type: ext4}}\n"
        )
        _, data, more = self.planned(text)
        self.assertEqual(GiB, data.size)
        self.assertLess(more.size, 64 * MiB)

    def test_other_roots_have_what_they_begin_with(self):
        for kind, least in (("xfs", 560), ("btrfs", 560)):
            [plan] = self.planned(FS_TYPE=kind)
            with self.subTest(kind):
                self.assertGreater(plan.spans["root"].size, least * MiB)
                self.assertLess(plan.spans["root"].size, 660 * MiB)
                self.assertEqual({}, dict(plan.geometries))

    def test_what_lies_in_the_esp_has_to_fit(self):
        with self.assertRaises(errors.DiskTooSmall) as caught:
            self.planned(efi=Usage(blocks=64 * 256, inodes=3))
        self.assertIn("filesystem 'mkfs_ESP'", str(caught.exception))
        self.planned(efi=Usage(blocks=50 * 256, inodes=3))

    def test_a_disk_that_is_too_small_says_what_is_enough(self):
        with self.assertRaises(errors.DiskTooSmall) as caught:
            self.planned(size=400 * MiB)
        [plan] = self.planned(size=caught.exception.facts["needed"])
        self.assertGreater(plan.size, 400 * MiB)

    def test_what_mkfs_would_refuse_is_too_small_whatever_is_in_it(self):
        for kind, least in (("xfs", 300), ("btrfs", 110)):
            text = EFI + (
                f"- local_loop: {{name: data, mkfs: {{type: {kind}, "
                "mount: {mount_point: /srv}}, size: "
            )
            self.planned(f"{text}{least}MiB}}\n")
            with self.assertRaises(errors.DiskTooSmall):
                self.planned(f"{text}{least - 1}MiB}}\n")

    def test_inodes_that_were_asked_for(self):
        for words in ("-i 65536", "-i65536", "-m 1 -i 65536 -b 4096"):
            [plan] = self.planned(size=GiB, MKFS_OPTS=words)
            self.assertEqual(
                # Of eight groups; the tree needs more than 2048 in each.
                8 * 2048,
                plan.geometries["root"].inodes,
            )
        [usual] = self.planned(size=GiB)
        self.assertEqual(8 * 8192, usual.geometries["root"].inodes)

    def test_the_layout_of_descriptors_that_was_asked_for(self):
        for words, meta_bg in (
            ("", True), ("-m 1 -E stride=4 -O ^resize_inode", True),
            ("-O ^metadata_csum,resize_inode", False),
            ("-E stride=4,resize=1000000", False), ("-Eresize=9", False),
            ("-O ^meta_bg", False),
        ):  # fmt: skip
            with self.subTest(words):
                [plan] = self.planned(size=GiB, MKFS_OPTS=words)
                self.assertEqual(meta_bg, plan.geometries["root"].meta_bg)
        for kind in ("ext2", "ext3"):
            [plan] = self.planned(size=GiB, FS_TYPE=kind)
            self.assertFalse(plan.geometries["root"].meta_bg)
