"""A tree on its disk, as root: every bit of it, and nothing left over."""

import contextlib
import hashlib
import os
from pathlib import Path
import re
import stat
import subprocess
import tempfile
import unittest

from dib_service.engine import blockdevice, disk, errors, loop, verify_image
from dib_service.engine.sizes import GiB, MiB, TiB
from tests.integration.engine import images

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

WITH_ESP = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: ESP
        type: 'EF00'
        size: 64MiB
        mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: }}
      - name: root
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
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

# cap_net_raw+ep, as setcap writes it.
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def full_tree(tree):
    """A tree with one of everything that a copy can lose."""
    (tree / "etc").mkdir(parents=True)
    (tree / ".autorelabel").touch()
    (tree / "dir with space").mkdir(mode=0o1777)
    (tree / "dir with space").chmod(0o1777)
    (tree / "usr/bin").mkdir(parents=True)
    ping = tree / "usr/bin/ping"
    ping.write_text("ping")
    os.setxattr(ping, "security.capability", CAPABILITY)
    sudo = tree / "usr/bin/sudo"
    sudo.write_text("sudo")
    os.chown(sudo, 12, 34)
    sudo.chmod(0o4755)
    os.setxattr(sudo, "user.comment", b"kept")
    os.link(sudo, tree / "usr/bin/sudoedit")
    (tree / "usr/bin/absolute").symlink_to("/usr/bin/sudo")
    (tree / "dangling").symlink_to("nowhere")
    with (tree / "sparse").open("wb") as file:
        file.truncate(64 * MiB)
        file.seek(32 * MiB)
        file.write(b"island")
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(tree / "fifo", 0o640)
    images.run("setfacl", "-m", "u:1234:rwx,d:g:99:rx", tree / "usr/bin")
    (tree / "nam\xe9\n").write_text("odd")
    os.utime(tree / "etc", ns=(10**18, 10**18 + 123))
    tree.chmod(0o711)
    os.chown(tree, 7, 8)
    os.utime(tree, ns=(10**18, 10**18 + 5))


def described(tree):
    """Everything of a tree that a copy has to keep, by path."""
    found = {}
    first = {}
    for path in [tree, *sorted(tree.rglob("*"))]:
        name = str(path.relative_to(tree))
        status = path.lstat()
        if name.startswith("lost+found"):
            continue
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)
            # XFS shows an ACL by its own name, too.
            if not key.startswith("trusted.SGI_ACL")
        }
        content = ""
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = str(path.readlink())
        found[name] = (
            oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev,
            status.st_mtime_ns, attributes, content,
            first.setdefault(status.st_ino, name),
        )  # fmt: skip
    return found


class Disks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        images.keep_mounts_private()

    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()
        self.tree = self.path / "built"
        self.tree.mkdir()
        self.addCleanup(self.assert_nothing_left)

    def assert_nothing_left(self):
        self.assertEqual([], images.mounts_below(self.path))
        self.assertEqual([], images.loops_left(self.path))

    def laid_out(self, layout, size=None):
        return disk.laid_out(
            layout,
            tree=self.tree,
            directory=self.path,
            mount_point=self.path / "mnt",
            size=size,
        )

    @contextlib.contextmanager
    def mounted_again(self, image, offset=0):
        place = self.path / "again"
        place.mkdir(exist_ok=True)
        with loop.loop_device(image, offset=offset) as device:
            images.run("mount", device.path, place)
            try:
                yield place
            finally:
                images.run("umount", place)


class Copies(Disks):
    def test_every_bit_of_the_tree_is_there(self):
        full_tree(self.tree)
        with self.laid_out(images.layout()) as target:
            # The fstab came with the disk, and into the tree.
            self.assertEqual(described(self.tree), described(target.root))
        with self.mounted_again(target.image) as place:
            self.assertEqual(described(self.tree), described(place))
            sparse = (place / "sparse").stat()
            self.assertLess(sparse.st_blocks * 512, MiB)

    def test_what_is_mounted_in_the_tree_stays_behind(self):
        (self.tree / "proc").mkdir()
        images.run("mount", "-t", "tmpfs", "x", self.tree / "proc")
        self.addCleanup(images.run, "umount", self.tree / "proc")
        (self.tree / "proc/secret").touch()
        with self.laid_out(images.layout()) as target:
            self.assertEqual([], list((target.root / "proc").iterdir()))
        images.run("umount", self.tree / "proc")
        images.run("mount", "-t", "tmpfs", "x", self.tree / "proc")

    def test_an_image_is_clean_small_and_says_nothing_of_the_host(self):
        full_tree(self.tree)
        with self.laid_out(images.layout()) as target:
            pass
        images.run("e2fsck", "-fn", target.image)
        status = target.image.stat()
        self.assertLess(status.st_size, 64 * MiB)
        self.assertLess(status.st_blocks * 512, 10 * MiB)
        header = images.run("dumpe2fs", "-h", target.image)
        self.assertNotIn(str(self.path), header)
        self.assertIn("64bit", header)

    def test_what_was_deleted_is_trimmed(self):
        noise = os.urandom(MiB)
        with self.laid_out(images.layout(), size=256 * MiB) as target:
            for number in range(100):
                (target.root / str(number)).write_bytes(noise)
            os.sync()
            full = target.image.stat().st_blocks * 512
            for number in range(100):
                (target.root / str(number)).unlink()
        trimmed = target.image.stat().st_blocks * 512
        self.assertGreater(full, 100 * MiB)
        self.assertLess(trimmed, 20 * MiB)
        self.assertEqual(256 * MiB, target.image.stat().st_size)

    def test_a_size_that_no_disk_has(self):
        with self.laid_out(images.layout(), size=64 * MiB + 777) as target:
            pass
        self.assertEqual(64 * MiB, target.image.stat().st_size)

    def test_fstab(self):
        (self.tree / "etc").mkdir()
        outside = self.path / "outside"
        (self.tree / "etc/fstab").symlink_to(outside)
        with self.laid_out(images.layout()) as target:
            text = (target.root / "etc/fstab").read_text()
        self.assertEqual("LABEL=cloudimg-rootfs / ext4 defaults 0 1\n", text)
        self.assertFalse(outside.exists())


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
            found = verify_image.partition_table(target.image, 512)
            self.assertEqual(kind, found.label)
            root = found.spans[-1]
            images.run("e2fsck", "-fn", f"{target.image}?offset={root.offset}")
            self.assertEqual(
                "cloudimg-rootfs",
                verify_image.label(target.image, root.offset),
            )
            target.image.unlink()

    def test_sectors_of_4096_bytes(self):
        layout = images.layout("gpt", DIB_BLOCK_SIZE="4096")
        with self.laid_out(layout) as target:
            pass
        found = verify_image.partition_table(target.image, 4096)
        self.assertEqual("gpt", found.label)
        self.assertEqual(
            "cloudimg-rootfs",
            verify_image.label(target.image, found.spans[-1].offset),
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
        root, log, _swap = verify_image.partition_table(
            target.image, 512
        ).spans
        inside = verify_image.Filesystem(target.image, root.offset)
        self.assertEqual([], [
            name for name in inside.names("/var/log") if name != "lost+found"
        ])  # fmt: skip
        inside = verify_image.Filesystem(target.image, log.offset)
        self.assertEqual(MiB, inside.size("/deep/file"))


class SystemPartitions(Disks):
    """An EFI system partition, on a kernel that may not have vfat."""

    def layout(self, **environment):
        return blockdevice.parse(WITH_ESP, environment)

    def listed(self, image, sector=512):
        """What lies in the ESP, by path."""
        esp = verify_image.partition_table(image, sector).spans[0]
        place = f"{image}@@{esp.offset}"
        names = images.run("mdir", "-/", "-b", "-i", place, "::")
        return {
            name.removeprefix("::"): images.run("mtype", "-i", place, name)
            for name in names.splitlines()
            if name and not name.endswith("/")
        }

    def test_what_hooks_write_there_is_in_the_partition_only(self):
        (self.tree / "boot/efi/EFI/debian").mkdir(parents=True)
        (self.tree / "boot/efi/EFI/debian/shimx64.efi").write_text("shim")
        os.chown(self.tree / "boot/efi/EFI/debian/shimx64.efi", 12, 34)
        for block_size in (512, 4096):
            layout = self.layout(DIB_BLOCK_SIZE=str(block_size))
            with self.laid_out(layout) as target:
                efi = target.root / "boot/efi"
                self.assertTrue(efi.is_mount())
                devices = target.environment["IMAGE_BLOCK_DEVICES"]
                source = images.run("findmnt", "-no", "SOURCE", efi).strip()
                self.assertIn(f"[ESP]={source} ", devices)
                copied = efi / "EFI/debian/shimx64.efi"
                self.assertEqual("shim", copied.read_text())
                (efi / "EFI/BOOT").mkdir()
                (efi / "EFI/BOOT/BOOTX64.EFI").write_text("grub")
                (efi / "Long name \xe9.txt").write_text("kept")
            with self.subTest(block_size):
                found = self.listed(target.image, block_size)
                self.assertEqual("shim", found["/EFI/debian/shimx64.efi"])
                self.assertEqual("grub", found["/EFI/BOOT/BOOTX64.EFI"])
                self.assertEqual(3, len(found))
                table = verify_image.partition_table(target.image, block_size)
                inside = verify_image.Filesystem(
                    target.image, table.spans[1].offset
                )
                self.assertEqual([], list(inside.names("/boot/efi")))
                esp = self.path / "esp"
                images.run(
                    *("dd", f"if={target.image}", f"of={esp}", "bs=1M"),
                    *("skip=1", f"count={table.spans[0].size // MiB}"),
                )
                images.run("fsck.vfat", "-n", esp)
            target.image.unlink()

    def test_what_the_tree_has_there_and_fat_cannot_hold(self):
        efi = self.tree / "boot/efi"
        efi.mkdir(parents=True)
        (efi / "grub.cfg").symlink_to("nowhere")
        with (
            self.assertRaisesRegex(
                errors.FatContent,
                "^/boot/efi/grub.cfg is neither a file nor a directory",
            ),
            self.laid_out(self.layout()),
        ):
            pass
        (efi / "grub.cfg").unlink()
        (efi / "EFI").mkdir()
        (efi / "efi").mkdir()
        (self.path / "image0.raw").unlink()
        with (
            self.assertRaisesRegex(errors.FatContent, "/boot/efi/efi is the"),
            self.laid_out(self.layout()),
        ):
            pass

    def test_more_than_the_partition_holds(self):
        # A kernel with a driver says so to whoever writes, one without only
        # to us.
        with (
            self.assertRaisesRegex(
                (OSError, errors.FatContent), "does not fit|No space left"
            ),
            self.laid_out(self.layout()) as target,
            (target.root / "boot/efi/large").open("wb") as file,
        ):
            for _ in range(64):
                file.write(b"x" * MiB)


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
        full_tree(self.tree)
        for kind, label in (
            ("xfs", "img-rootfs"),
            ("btrfs", "cloudimg-rootfs"),
        ):
            layout = blockdevice.parse(GPT, {"FS_TYPE": kind})
            with self.subTest(kind):
                with self.laid_out(layout) as target:
                    self.assertEqual(
                        described(self.tree), described(target.root)
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
                table = verify_image.partition_table(target.image, 512)
                with self.mounted_again(
                    target.image, table.spans[-1].offset
                ) as place:
                    self.assertEqual(described(self.tree), described(place))
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
        found = verify_image.partition_table(data, 512)
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


class Endings(Disks):
    def test_a_raise_leaves_nothing(self):
        with (
            self.assertRaises(KeyError),
            self.laid_out(images.layout("gpt")) as target,
        ):
            self.assertEqual(1, len(images.loops_over(target.image)))
            raise KeyError
        self.assert_nothing_left()

    def test_a_filesystem_that_cannot_be_made_leaves_nothing(self):
        layout = images.layout("gpt", MKFS_OPTS="--no-such-option")
        with (
            self.assertRaises(errors.CommandError),
            self.laid_out(layout),
        ):
            pass
        self.assert_nothing_left()

    def test_too_small_is_said_before_anything_is_made(self):
        (self.tree / "large").write_bytes(os.urandom(64 * MiB))
        for kind in (None, "mbr", "gpt"):
            with (
                self.subTest(kind),
                self.assertRaises(errors.DiskTooSmall) as caught,
                self.laid_out(images.layout(kind), size=64 * MiB),
            ):
                pass
            facts = caught.exception.facts
            self.assertEqual(64 * MiB, facts["wanted"])
            self.assertIn("67108864 bytes (0.06 GiB)", str(caught.exception))
            self.assertEqual(["built"], [p.name for p in self.path.iterdir()])
            # What it says would be enough is enough.
            with self.laid_out(images.layout(kind), size=facts["needed"]) as t:
                self.assertTrue((t.root / "large").exists())
            t.image.unlink()
            (self.path / "mnt").rmdir()

    def test_a_host_without_room_is_said_before_anything_is_made(self):
        (self.tree / "large").write_bytes(os.urandom(64 * MiB))
        scratch = self.path / "tmpfs"
        scratch.mkdir()
        images.run("mount", "-t", "tmpfs", "-o", "size=32M", "x", scratch)
        self.addCleanup(images.run, "umount", scratch)
        with (
            self.assertRaises(errors.DiskFull),
            disk.laid_out(
                images.layout(),
                tree=self.tree,
                directory=scratch,
                mount_point=self.path / "mnt",
                size=None,
            ),
        ):
            pass
        self.assertEqual([], list(scratch.iterdir()))

    def test_just_enough_for_what_cannot_shrink(self):
        # Small files, large files, long names: none of them overflows.
        for shape in ("small", "large", "names"):
            tree = self.tree / shape
            tree.mkdir()
            for number in range(3000):
                name = "n" * 200 if shape == "names" else "n"
                path = tree / f"{name}{number}"
                path.write_bytes(b"x" * 100 if shape == "small" else b"")
            if shape == "large":
                (tree / "one").write_bytes(os.urandom(100 * MiB))
            layout = images.layout(DIB_IMAGE_EXTRA_SIZE="0")
            with self.subTest(shape), self.laid_out(layout) as target:
                pass
            images.run("e2fsck", "-fn", target.image)
            target.image.unlink()


class Growth(Disks):
    """How far a root can grow, in sparse files.

    That a mounted ext4 grows is seen in the boot tests: the kernel lets only
    CAP_SYS_RESOURCE do that, which a root in a container need not have.
    """

    def test_a_filesystem_grows_a_hundredfold(self):
        header = self.grown_a_hundredfold()
        # In place: so it is for every group, from the first one on.
        self.assertIn("meta_bg", header)
        self.assertNotIn("resize_inode", header)
        self.assertNotIn("First meta block group", header)

    def test_one_of_the_older_layout_grows_a_hundredfold(self):
        header = self.grown_a_hundredfold(FS_TYPE="ext3")
        # In place: the descriptors that were kept free sufficed.
        self.assertNotIn("meta_bg", header)
        self.assertIn("resize_inode", header)

    def test_the_default_reaches_64_tib(self):
        image = self.made_for_large_files(images.layout())
        self.grown(image, 64 * TiB)
        self.assert_kept(image, 62 * TiB)

    def test_beyond_if_it_was_said_that_it_must(self):
        petabyte = str(1024**5 // 4096)
        image = self.made_for_large_files(
            images.layout(MAX_ONLINE_RESIZE=petabyte)
        )
        self.grown(image, 100 * TiB)
        self.assert_kept(image, 99 * TiB)

    def test_a_mounted_xfs_grows(self):
        image = self.made_for_large_files(images.layout(FS_TYPE="xfs"))
        os.truncate(image, 4 * TiB)
        with self.mounted_again(image) as place:
            images.run("xfs_growfs", place)
        self.assert_kept(image, 3 * TiB)

    def made_for_large_files(self, layout):
        """An image where a file may be larger than ext4 has them."""
        host = self.path / "host"
        with host.open("wb") as file:
            file.truncate(16 * GiB)
        images.run("mkfs.xfs", "-q", host)
        place = self.path / "large"
        place.mkdir()
        images.run("mount", "-o", "loop", host, place)
        self.addCleanup(self.unmounted, place, host)
        (self.tree / "file").write_text("kept")
        with disk.laid_out(
            layout,
            tree=self.tree,
            directory=place,
            mount_point=self.path / "mnt",
            size=None,
        ) as target:
            pass
        return target.image

    def unmounted(self, place, host):
        images.run("umount", place)
        images.loops_left(host)

    def grown(self, image, size):
        os.truncate(image, size)
        images.run("e2fsck", "-fp", image)
        images.run("resize2fs", image)

    def assert_kept(self, image, size):
        with self.mounted_again(image) as place:
            status = os.statvfs(place)
            self.assertGreater(status.f_blocks * status.f_frsize, size)
            self.assertEqual("kept", (place / "file").read_text())

    def grown_a_hundredfold(self, **environment):
        full_tree(self.tree)
        with self.laid_out(images.layout(**environment)) as target:
            pass
        size = target.image.stat().st_size * 100
        self.grown(target.image, size)
        with self.mounted_again(target.image) as place:
            status = os.statvfs(place)
            self.assertGreater(status.f_blocks * 4096, size * 0.95)
            self.assertEqual(described(self.tree), described(place))
        return images.run("dumpe2fs", "-h", target.image)


class Names(unittest.TestCase):
    def test_this_runs_as_root(self):
        self.assertEqual(0, os.geteuid(), "integration tests need root")
        subprocess.run(["losetup", "--version"], check=True)
