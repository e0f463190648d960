"""Mounts, as root: what is there during the block and gone after it."""

from pathlib import Path
import subprocess
import tempfile
import unittest

from dib_service.engine import errors, mounts


def mounted_below(path: Path) -> list[str]:
    return [
        line.split()[1]
        for line in Path("/proc/mounts").read_text().splitlines()
        if line.split()[1].startswith(str(path))
    ]


class Mounts(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name).resolve() / "root"
        (self.root / "etc").mkdir(parents=True)

    def test_a_mount_ends_with_its_block(self):
        target = self.root / "mnt"
        with mounts.mounted("tmpfs", target, "-t", "tmpfs"):
            self.assertEqual([str(target)], mounted_below(self.root))
        self.assertEqual([], mounted_below(self.root))

    def test_a_mount_ends_when_its_block_raises(self):
        with (
            self.assertRaises(KeyError),
            mounts.mounted("tmpfs", self.root / "mnt", "-t", "tmpfs"),
        ):
            raise KeyError
        self.assertEqual([], mounted_below(self.root))

    def test_a_prepared_tree_has_what_programs_need(self):
        with mounts.prepared(self.root):
            self.assertTrue((self.root / "proc/self").is_symlink())
            self.assertTrue((self.root / "dev/null").is_char_device())
            self.assertTrue((self.root / "dev/pts/ptmx").exists())
            with self.assertRaises(OSError):
                (self.root / "sys/made").mkdir()
        self.assertEqual([], mounted_below(self.root))

    def test_what_was_mounted_in_the_tree_meanwhile_is_not_any_more(self):
        (self.root / "kept").mkdir()
        with (
            mounts.mounted("tmpfs", self.root / "kept", "-t", "tmpfs"),
        ):
            with mounts.prepared(self.root):
                for place in ("dev/shm", "kept/a b", "kept", "proc", "é\n"):
                    (self.root / place).mkdir(exist_ok=True, parents=True)
                    mount = ["mount", "-t", "tmpfs", "none"]
                    subprocess.run([*mount, self.root / place], check=True)
            left = mounted_below(self.root)
            self.assertEqual([str(self.root / "kept")], left)
        self.assertEqual([], mounted_below(self.root))

    def test_what_was_left_running_in_the_tree_is_ended(self):
        for name in ("bin", "lib", "lib64", "usr"):
            (self.root / name).mkdir()
            process_bind(self.root / name, f"/{name}", self)
        with mounts.prepared(self.root):
            left = subprocess.Popen(["chroot", self.root, "/bin/sleep", "600"])
            while Path(f"/proc/{left.pid}/root").readlink() != self.root:
                pass
        self.assertEqual(-9, left.wait(10))

    def test_the_images_resolv_conf_comes_back(self):
        own = self.root / "etc/resolv.conf"
        own.write_text("nameserver 192.0.2.1\n")
        with mounts.prepared(self.root):
            self.assertNotIn("192.0.2.1", own.read_text())
            original = self.root / "etc/resolv.conf.ORIG"
            self.assertIn("192.0.2.1", original.read_text())
            original.write_text("nameserver 192.0.2.2\n")
        self.assertEqual("nameserver 192.0.2.2\n", own.read_text())
        self.assertFalse(original.exists())

    def test_one_that_nobody_shall_change_stays(self):
        own = self.root / "etc/resolv.conf"
        own.write_text("nameserver 192.0.2.1\n")
        with mounts.prepared(self.root):
            self.assertEqual(0o644, own.stat().st_mode & 0o777)
            own.write_text("nameserver 192.0.2.2\n")
            subprocess.run(["chattr", "+i", own], check=True)
            self.addCleanup(subprocess.run, ["chattr", "-i", own], check=True)
        self.assertEqual("nameserver 192.0.2.2\n", own.read_text())
        self.assertEqual([own], list((self.root / "etc").iterdir()))

    def test_an_image_without_resolv_conf_stays_without(self):
        with mounts.prepared(self.root):
            pass
        self.assertFalse((self.root / "etc/resolv.conf").exists())

    def test_a_resolv_conf_made_a_symlink_meanwhile_stays_one(self):
        own = self.root / "etc/resolv.conf"
        own.write_text("nameserver 192.0.2.1\n")
        with mounts.prepared(self.root):
            own.unlink()
            own.symlink_to("../run/systemd/resolve/stub-resolv.conf")
        self.assertTrue(own.is_symlink())
        self.assertFalse((self.root / "etc/resolv.conf.ORIG").exists())

    def test_a_symlink_out_of_the_tree_is_refused(self):
        (self.root / "proc").symlink_to("/tmp")
        with (
            self.assertRaises(errors.MountError),
            mounts.prepared(self.root),
        ):
            pass
        self.assertEqual([], mounted_below(self.root))


def process_bind(target: Path, source: str, case: unittest.TestCase) -> None:
    subprocess.run(["mount", "--bind", source, target], check=True)
    case.addCleanup(subprocess.run, ["umount", target], check=True)
