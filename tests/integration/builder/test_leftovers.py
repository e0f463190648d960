"""As root: what a dead build can leave behind goes, and nothing else."""

import contextlib
import pathlib
import subprocess
import tempfile
import unittest

from dib_service.builder import leftovers


def run(*words: str) -> str:
    return subprocess.run(
        words, check=True, capture_output=True, text=True
    ).stdout.strip()


class LeftoversTest(unittest.TestCase):
    def setUp(self):
        self.state = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        ).resolve()
        self.builds = self.state / "builds"
        self.beside = self.state / "beside"
        for place in (self.builds, self.beside):
            place.mkdir()

    def loop(self, place: pathlib.Path) -> str:
        """A loop device on a file with a filesystem in it."""
        image = place / "a disk.raw"
        with image.open("wb") as stream:
            stream.truncate(16 << 20)
        run("mkfs.ext4", "-q", str(image))
        device = run("losetup", "--find", "--show", str(image))
        self.addCleanup(self.release, device)
        return device

    def release(self, device: str) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("losetup", "-d", device)

    def mounted(self, target: pathlib.Path, *words: str) -> None:
        target.mkdir(parents=True)
        run("mount", *words, str(target))
        self.addCleanup(
            subprocess.run, ["umount", "-q", str(target)], check=False
        )

    def test_mounts_loops_and_files_go(self):
        device = self.loop(self.builds)
        tree = self.builds / "old-1" / "a tree"
        self.mounted(tree, device)
        self.mounted(tree / "proc", "-t", "proc", "proc")
        self.assertTrue(leftovers.clear(self.builds))
        self.assertFalse(self.builds.exists())
        self.assertEqual([], list(leftovers.mounts(self.builds)))
        self.assertEqual([], list(leftovers.loops(self.builds)))

    def test_a_bind_mount_s_other_side_stays(self):
        (self.beside / "precious").touch()
        self.mounted(
            self.builds / "old-1" / "cache", "--bind", str(self.beside)
        )
        self.assertTrue(leftovers.clear(self.builds))
        self.assertTrue((self.beside / "precious").exists())

    def test_what_cannot_be_unmounted_is_not_deleted(self):
        (self.beside / "precious").touch()
        place = self.builds / "old-1" / "cache"
        self.mounted(place, "--bind", str(self.beside))
        with (place / "precious").open():
            self.assertFalse(leftovers.clear(self.builds))
        self.assertTrue((self.beside / "precious").exists())
        self.assertTrue(leftovers.clear(self.builds))
        self.assertTrue((self.beside / "precious").exists())

    def test_what_lies_beside_is_left_alone(self):
        device = self.loop(self.beside)
        self.mounted(self.beside / "tree", device)
        self.assertTrue(leftovers.clear(self.builds))
        self.assertEqual(
            [self.beside / "tree"], list(leftovers.mounts(self.beside))
        )
        self.assertEqual(
            [pathlib.Path(device)], list(leftovers.loops(self.beside))
        )
