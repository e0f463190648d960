"""diskimage-builder's own ``ramdisk`` makes its ramdisk with our library."""

from pathlib import Path
import shutil
import subprocess

from dib_service.engine import hooks as engine_hooks
from tests.conformance import peer
from tests.integration import test_element_hooks

KERNEL = "6.1.0-10-amd64"
ELEMENTS = ("ramdisk", "ramdisk-base", "deploy-tgtadm")

# What a ramdisk has of the system that it is made in; any program will do.
STAND_INS = (
    "dhclient ip lsmod modprobe reboot shutdown tgtadm tgtd udevadm wget"
)

BUSYBOX = """#!/bin/bash
[ "$*" = --list ] && printf '%s\\n' ip ls reboot sh
"""


class Legacy(test_element_hooks.TreeCase):
    """The hook runs unmodified in a chroot with the files that it reads."""

    programs = (
        "bash cat chmod cp cpio date dirname env expr find grep gzip ln "
        "ls mkdir mktemp mv rm sed sort tail touch true uname"
    )

    def setUp(self) -> None:
        super().setUp()
        self.bin = self.root / "usr/bin"
        # A script: it has no libraries of its own.
        shutil.copy("/usr/bin/ldd", self.bin)
        for name in STAND_INS.split():
            shutil.copy(self.bin / "true", self.bin / name)
        (self.bin / "busybox").write_text(BUSYBOX)
        (self.bin / "busybox").chmod(0o755)
        self.write(
            f"boot/vmlinuz-{KERNEL}",
            "boot/vmlinuz-6.1.0-9-amd64",
            f"usr/lib/modules/{KERNEL}/kernel/net.ko",
            f"usr/lib/modules/{KERNEL}/kernel/drivers/video/xfb.ko",
            "usr/lib/udev/rules.d/80-drivers.rules",
            "etc/modprobe.d/own.conf",
            "usr/sbin/dhclient-script",
        )
        (self.root / "sbin").symlink_to("usr/sbin")
        for name in ("dev/pts", "proc", "sys", "var/tmp"):
            (self.root / name).mkdir(parents=True)
        self.gathered = self.root / "tmp/in_target.d"
        for name in ELEMENTS:
            shutil.copytree(
                peer.elements() / name, self.gathered, dirs_exist_ok=True
            )
        self.outside("01-inject-ramdisk-build-files")
        self.outside("50-inject-tgtadm-iscsi-func")
        self.inside("01-ensure-binaries")
        self.inside("99-build-ramdisk")
        self.files = self.unpacked()

    def outside(self, hook: str) -> None:
        subprocess.run(
            [self.gathered / "extra-data.d" / hook],
            env={
                "PATH": "/usr/sbin:/usr/bin",
                "TMP_MOUNT_PATH": str(self.root),
                "_LIB": str(engine_hooks.LIB),
                "DIB_DEBUG_TRACE": "0",
            },
            check=True,
        )

    def inside(self, hook: str) -> None:
        done = subprocess.run(
            [
                *("/usr/sbin/chroot", self.root),
                f"/tmp/in_target.d/post-install.d/{hook}",
            ],
            env={
                "PATH": "/usr/sbin:/usr/bin",
                "DIB_DEBUG_TRACE": "0",
                "DISTRO_NAME": "debian",
                "IMAGE_NAME": "my",
            },
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def unpacked(self) -> Path:
        """The ramdisk's files."""
        files = self.place / "ramdisk"
        files.mkdir()
        subprocess.run(
            f"gzip -dc {self.root}/tmp/ramdisk | cpio -i --quiet",
            shell=True,
            check=True,
            cwd=files,
        )
        return files

    def test_the_ramdisk(self) -> None:
        with self.subTest("the newest kernel is taken"):
            self.assertTrue((self.root / "tmp/kernel").is_file())
            modules = self.files / "lib/modules"
            self.assertEqual(
                [KERNEL], [path.name for path in modules.iterdir()]
            )
            self.assertTrue((modules / KERNEL / "kernel/net.ko").is_file())
            self.assertEqual([], list(modules.rglob("*fb.ko")))
        with self.subTest("programs run, with their libraries"):
            done = subprocess.run(
                ["/usr/sbin/chroot", self.files, "/bin/bash", "-c", "tgtd"],
                env={"PATH": "/bin:/sbin"},
            )
            self.assertEqual(0, done.returncode)
        with self.subTest("busybox does what no program does"):
            applets = self.files / "bin"
            self.assertEqual("busybox", str((applets / "ls").readlink()))
            self.assertFalse((applets / "ip").is_symlink())
        with self.subTest("init has its fragments in their order"):
            init = (self.files / "init").read_text()
            places = [
                init.index(f"# init fragment from {name}\n")
                for name in (
                    "10-start-base-system",
                    "20-init-variables",
                    "30-start-network",
                    "40-check-network-ready",
                )
            ]
            self.assertEqual(sorted(places), places)
            self.assertTrue(init.startswith("#!/bin/bash\n"))
            self.assertGreater(init.index("Final init steps"), places[-1])
        with self.subTest("what is beside them"):
            for name in (
                "init-func",
                "iscsi-func",
                "lib/udev/rules.d/60-persistent-storage.rules",
                "lib/udev/rules.d/80-drivers.rules",
                "etc/modprobe.d/own.conf",
                "usr/sbin/dhclient-script",
                "etc/fstab",
            ):
                self.assertTrue((self.files / name).is_file(), name)
