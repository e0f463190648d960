"""Disks of other layouts than one filesystem, as root."""

import os
from pathlib import Path
import re

from dib_service.engine.disk import blockdevice
from dib_service.engine.sizes import MiB, TiB
from dib_service.engine.verify.image import Filesystem, named, partition_table
from tests.integration.engine import images, nasty
from tests.integration.engine.disks import Disks

TWO_FILESYSTEMS = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: root
        size: 75%
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
      - name: log
        size: 25%
        mkfs: {type: ext4, label: log, mount: {mount_point: /var/log, fstab: }}
      - {name: swap, size: 8MiB, type: '8200', mkfs: {type: swap, label: swap,
         mount: {mount_point: none, fstab: {options: sw, fsck-passno: 0}}}}
"""

LOGICAL = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {name: root, flags: [boot, primary], size: 128MiB, mkfs: {mount:
         {mount_point: /}}}
      - {name: home, size: 75%, mkfs: {type: ext4, mount:
         {mount_point: /home}}}
      - {name: more, type: 0x82, size: 100%}
"""

GPT = """
- local_loop:
    name: image0
    partitioning:
      label: gpt
      partitions:
        - {name: BSP, type: EF02, size: 1MiB}
        - {name: root, size: 100%, mkfs: {mount: {mount_point: /}}}
"""

TWO_DISKS = """
- local_loop: {name: data}
- partitioning:
    base: data
    label: gpt
    partitions:
      - {name: store, size: 100%, mkfs: {type: ext4, mount: {mount_point: /srv
         }}}
- local_loop: {name: image0, mkfs: {name: mkfs_root, mount: {mount_point: /}}}
"""


class WholeDisks(Disks):
    def test_hooks_are_told_of_the_devices(self):
        with self.laid_out(images.layout("gpt")) as target:
            told = target.environment
            devices = dict(
                re.findall(r"\[(\w+)\]=(\S+) ", told["IMAGE_BLOCK_DEVICES"])
            )
            self.assertEqual({"image0", "BSP", "root"}, set(devices))
            # A partition of that disk, as a boot loader wants to see it.
            self.assertEqual(devices["root"], f"{devices['image0']}p2")
            self.assertEqual(told["IMAGE_BLOCK_DEVICE"], devices["image0"])
            source = images.run("findmnt", "-no", "SOURCE", target.root)
            self.assertEqual(source.strip(), devices["root"])
            size = int(told["DIB_IMAGE_SIZE"]) * 1024
        self.assertEqual(target.image.stat().st_size, size)

    def test_what_is_written_to_the_disk_is_in_the_file(self):
        with self.laid_out(images.layout("mbr")) as target:
            whole = target.environment["IMAGE_BLOCK_DEVICE"]
            with Path(whole).open("r+b") as device:
                device.seek(1024)
                device.write(b"core")
            (target.root / "kept").write_text("kept")
        self.assertEqual(b"core", target.image.read_bytes()[1024:1028])
        with self.mounted_again(target.image, MiB) as place:
            self.assertEqual("kept", (place / "kept").read_text())

    def test_tables_that_other_programs_read(self):
        for kind in ("mbr", "gpt"):
            with (
                self.subTest(kind),
                self.laid_out(images.layout(kind)) as target,
            ):
                pass
            images.run("sfdisk", "--verify", target.image)
            found = partition_table(target.image, 512)
            self.assertEqual(kind, found.label)
            root = found.spans[-1]
            images.run("e2fsck", "-fn", f"{target.image}?offset={root.offset}")
            self.assertEqual(
                "cloudimg-rootfs",
                named(target.image, root.offset).label,
            )
            target.image.unlink()

    def test_sectors_of_4096_bytes(self):
        layout = images.layout("gpt", DIB_BLOCK_SIZE="4096")
        with self.laid_out(layout) as target:
            pass
        found = partition_table(target.image, 4096)
        self.assertEqual("gpt", found.label)
        self.assertEqual(
            "cloudimg-rootfs",
            named(target.image, found.spans[-1].offset).label,
        )

    def test_more_than_one_filesystem(self):
        (self.tree / "var/log/deep").mkdir(parents=True)
        (self.tree / "var/log/deep/file").write_text("x" * MiB)
        (self.tree / "root-file").touch()
        layout = blockdevice.parse(TWO_FILESYSTEMS, {})
        with self.laid_out(layout) as target:
            self.assertTrue((target.root / "var/log").is_mount())
            self.assertEqual(
                {"deep", "lost+found"},
                {p.name for p in (target.root / "var/log").iterdir()},
            )
            fstab = (target.root / "etc/fstab").read_text()
        self.assertEqual(
            ["LABEL=cloudimg-rootfs / ext4 defaults 0 1",
             "LABEL=log /var/log ext4 defaults 0 2",
             "LABEL=swap none swap sw 0 0"],
            fstab.splitlines(),
        )  # fmt: skip
        root, log, _swap = partition_table(target.image, 512).spans
        inside = Filesystem(target.image, root.offset)
        self.assertEqual([], [
            name for name in inside.names("/var/log") if name != "lost+found"
        ])  # fmt: skip
        inside = Filesystem(target.image, log.offset)
        self.assertEqual(MiB, inside.size("/deep/file"))


class OtherLayouts(Disks):
    def test_logical_partitions(self):
        layout = blockdevice.parse(LOGICAL, {})
        with self.laid_out(layout, size=256 * MiB) as target:
            told = target.environment["IMAGE_BLOCK_DEVICES"]
            self.assertRegex(told, r"\[home\]=/dev/loop\d+p5 ")
            self.assertRegex(told, r"\[more\]=/dev/loop\d+p6 ")
            (target.root / "home/file").write_text("kept")
        lines = images.run(
            *("partx", "--raw", "-g", "-o", "NR,START,TYPE", target.image)
        )
        self.assertEqual(
            ["1 2048 0x83", "2 264192 0xf", "5 266240 0x83", "6 460800 0x82"],
            lines.splitlines(),
        )
        images.run("sfdisk", "--verify", target.image)
        with self.mounted_again(target.image, 266240 * 512) as place:
            self.assertEqual("kept", (place / "file").read_text())

    def test_roots_that_are_not_ext(self):
        nasty.tree(self.tree)
        for kind, label in (
            ("xfs", "img-rootfs"),
            ("btrfs", "cloudimg-rootfs"),
        ):
            layout = blockdevice.parse(GPT, {"FS_TYPE": kind})
            with self.subTest(kind):
                with self.laid_out(layout) as target:
                    self.assertEqual(
                        nasty.seen(self.tree), nasty.seen(target.root)
                    )
                    device = images.run(
                        "findmnt", "-no", "SOURCE", target.root
                    ).strip()
                    words = ("blkid", "-p", "-o", "value", "-s")
                    self.assertEqual(
                        [label, kind],
                        [
                            images.run(*words, tag, device).strip()
                            for tag in ("LABEL", "TYPE")
                        ],
                    )
                table = partition_table(target.image, 512)
                with self.mounted_again(
                    target.image, table.spans[-1].offset
                ) as place:
                    self.assertEqual(nasty.seen(self.tree), nasty.seen(place))
                    left = os.statvfs(place)
                    self.assertGreater(left.f_bavail * left.f_frsize, 16 * MiB)
                target.image.unlink()

    def test_several_disks(self):
        (self.tree / "srv").mkdir()
        (self.tree / "srv/file").write_text("kept")
        layout = blockdevice.parse(TWO_DISKS, {})
        with self.laid_out(layout) as target:
            told = target.environment["IMAGE_BLOCK_DEVICES"]
            for name in ("image0", "data", "store"):
                self.assertRegex(told, rf"\[{name}\]=/dev/loop")
        data = self.path / "data.raw"
        self.assertEqual({"data": data}, target.others)
        found = partition_table(data, 512)
        with self.mounted_again(data, found.spans[0].offset) as place:
            self.assertEqual("kept", (place / "file").read_text())
        with self.mounted_again(target.image) as place:
            self.assertEqual([], list((place / "srv").iterdir()))

    def test_what_a_request_tells_mkfs_xfs(self):
        layout = images.layout(FS_TYPE="xfs", MKFS_OPTS="-dagcount=4")
        with self.laid_out(layout) as target:
            said = images.run("xfs_info", target.root)
        self.assertIn("agcount=4", said)

    def test_what_a_request_tells_mke2fs(self):
        layout = images.layout(
            MKFS_OPTS="-i 16384 -E stride=4 -O ^metadata_csum -m 1"
        )
        with self.laid_out(layout, size=256 * MiB) as target:
            pass
        header = images.run("dumpe2fs", "-h", target.image)
        self.assertRegex(header, r"Inode count: +16384\n")
        self.assertRegex(header, r"RAID stride: +4\n")
        self.assertNotIn("metadata_csum", header)
        # Ours stay beside theirs.
        self.assertIn("64bit", header)
        self.assertIn("meta_bg", header)

    def test_a_request_that_wants_the_older_layout(self):
        blocks = 2 * TiB // 4096
        for words in (f"-E resize={blocks}", "-O resize_inode"):
            layout = images.layout(MKFS_OPTS=words)
            with self.subTest(words), self.laid_out(layout) as target:
                pass
            header = images.run("dumpe2fs", "-h", target.image)
            self.assertNotIn("meta_bg", header)
            self.assertRegex(header, "Reserved GDT blocks: +(255|102[0-9])")
            target.image.unlink()
