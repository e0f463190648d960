"""A tree is what a distribution's own disk image holds."""

import os
from pathlib import Path
import subprocess
import tempfile
import unittest

ELEMENTS = Path(__file__).parents[2] / "elements"
EXTRACT = ELEMENTS / "sysprep/bin/extract-image"
MIB = 1024 * 1024

TABLE = """\
label: gpt
size=8MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
size=8MiB, type=BC13C2FF-59E6-4262-A352-B275FD6F7172
size=4MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
"""


def run(*words: object, given: str = "") -> None:
    subprocess.run(
        [str(word) for word in words],
        check=True,
        capture_output=True,
        input=given,
        text=True,
    )


class ExtractImage(unittest.TestCase):
    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("these tests mount: run them as root")
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.cache = self.place / "cache"
        self.hooks = self.place / "hooks/bin"
        self.hooks.mkdir(parents=True)
        (self.hooks / "cache-url").symlink_to(
            ELEMENTS / "cache-url/bin/cache-url"
        )
        (self.hooks.parent / "disk-image-tools").symlink_to(
            ELEMENTS / "sysprep/disk-image-tools"
        )
        self.disk = self.place / "disk"
        self.image = self.place / "image.qcow2"

    def filesystem(self, start: int, size: int, *options: str, **files: str):
        """Make one in the disk, with files of these contents."""
        tree = Path(tempfile.mkdtemp(dir=self.place))
        for name, text in files.items():
            path = tree / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            os.chown(path, 1234, 1234)
        run(
            *("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, *options),
            *("-E", f"offset={start}", self.disk, f"{size // 1024}k"),
        )

    def whole_disk(self) -> None:
        self.disk.touch()
        os.truncate(self.disk, 64 * MIB)
        run("sfdisk", "--quiet", self.disk, given=TABLE)
        esp = self.place / "esp"
        esp.touch()
        os.truncate(esp, 8 * MIB)
        run("mkfs.vfat", esp)
        (self.place / "shim").write_text("shim")
        run("mmd", "-i", esp, "::EFI")
        run("mcopy", "-i", esp, self.place / "shim", "::EFI/shim")
        run(
            *("dd", f"if={esp}", f"of={self.disk}", "bs=1M"),
            *("seek=1", "conv=notrunc"),
        )
        self.filesystem(9 * MIB, 8 * MIB, vmlinuz="kernel", efi__x="")
        self.filesystem(
            21 * MIB,
            42 * MIB,
            etc__hostname="distribution",
            boot__efi__x="",
            boot__x="under a mount",
        )

    def pack(self) -> None:
        run("qemu-img", "convert", "-O", "qcow2", self.disk, self.image)

    def ended(self, **environment: str) -> subprocess.CompletedProcess[str]:
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        return subprocess.run(
            [
                *(EXTRACT, "image.qcow2", "image.tgz"),
                *(f"file://{self.image}", self.cache / "image.qcow2"),
            ],
            env={
                "PATH": os.environ["PATH"],
                "DIB_IMAGE_CACHE": str(self.cache),
                "DIB_OFFLINE": "",
                "TARGET_ROOT": str(self.root),
                "TMP_HOOKS_PATH": str(self.hooks.parent),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def extract(self, **environment: str) -> None:
        done = self.ended(**environment)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_all_that_a_machine_mounts(self) -> None:
        self.whole_disk()
        self.pack()
        self.extract()
        for name, text in (
            ("etc/hostname", "distribution"),
            ("boot/vmlinuz", "kernel"),
            ("boot/efi/EFI/shim", "shim"),
        ):
            self.assertEqual(text, (self.root / name).read_text())
        self.assertFalse((self.root / "boot/x").exists())
        self.assertEqual(1234, (self.root / "etc/hostname").stat().st_uid)
        mounts = Path("/proc/self/mounts").read_text()
        self.assertNotIn(str(self.place), mounts)
        # The next build takes the tarball, and offline nothing else.
        self.image.unlink()
        self.assertNotEqual(0, self.ended().returncode)
        self.extract(DIB_OFFLINE="1")
        self.assertTrue((self.root / "boot/vmlinuz").exists())

    def test_one_filesystem_without_a_table(self) -> None:
        self.disk.touch()
        os.truncate(self.disk, 16 * MIB)
        self.filesystem(0, 16 * MIB, x="y")
        self.pack()
        self.extract()
        self.assertEqual("y", (self.root / "x").read_text())

    def test_an_image_with_a_file_behind_it(self) -> None:
        run(
            *("qemu-img", "create", "-f", "qcow2", "-F", "raw"),
            *("-b", "/etc/passwd", self.image, "1M"),
        )
        done = self.ended()
        self.assertEqual(1, done.returncode)
        self.assertIn("wants another file beside it", done.stderr)

    def test_nothing_in_it(self) -> None:
        self.disk.touch()
        os.truncate(self.disk, MIB)
        self.pack()
        done = self.ended()
        self.assertNotEqual(0, done.returncode)
        self.assertIn("has no filesystem", done.stderr)
