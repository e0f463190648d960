"""A tree on its disk, as root: every bit of it, and nothing left over."""

import os
import subprocess
import unittest

from dib_service.engine import errors
from dib_service.engine.disk import making
from dib_service.engine.sizes import MiB
from tests.integration.engine import images, nasty
from tests.integration.engine.disks import Disks


class Copies(Disks):
    def test_every_bit_of_the_tree_is_there(self):
        nasty.tree(self.tree)
        with self.laid_out(images.layout()) as target:
            # The fstab came with the disk, and into the tree.
            self.assertEqual(nasty.seen(self.tree), nasty.seen(target.root))
        with self.mounted_again(target.image) as place:
            self.assertEqual(nasty.seen(self.tree), nasty.seen(place))
            sparse = (place / "root/sparse").stat()
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
        nasty.tree(self.tree)
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
            making.laid_out(
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


class Names(unittest.TestCase):
    def test_this_runs_as_root(self):
        self.assertEqual(0, os.geteuid(), "integration tests need root")
        subprocess.run(["losetup", "--version"], check=True)
