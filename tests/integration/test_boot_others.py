"""What else boots to a login beside the image that vm makes by default.

Each is built of Debian by the engine alone, without the service.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import testtools

from dib_service.engine import elements
from dib_service.engine.verify.image import Filesystem
from tests import qemu
from tests.conformance import peer

LOGIN = "login:"


class TestOthers(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            self.fail("these tests build images: run them as root")
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name)

    def build(self, *names: str, before: tuple[pathlib.Path, ...] = ()):
        """A raw image of these elements, ``before`` coming before ours."""
        described = self.place / "spec.json"
        described.write_text(
            json.dumps(
                {
                    "version": 1,
                    "name": "image",
                    "elements": names,
                    "formats": ["raw"],
                    # A quarter of the size, and as good as the other here.
                    "environment": {
                        "DIB_DEBIAN_KERNEL": "linux-image-cloud-amd64"
                    },
                }
            )
        )
        path = ":".join(map(str, (*before, *elements.default_path())))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dib_service.engine", "build"),
                *(described, "--output-dir", self.place / "out"),
                *("--element-path", path),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout[-4000:])
        return self.place / "out/image.raw"

    def boots(
        self,
        image: pathlib.Path,
        firmware: qemu.Firmware = "bios",
        extra: tuple[str, ...] = (),
    ) -> str:
        """What the machine says until somebody may log in."""
        with qemu.Guest(image, firmware=firmware, extra=extra) as guest:
            guest.wait_for_console(LOGIN)
            return guest.console_text()

    def peers_boot_loader(self) -> pathlib.Path:
        """diskimage-builder's vm and bootloader, and nothing else of its."""
        place = self.place / "peer"
        place.mkdir()
        for name in ("bootloader", "vm"):
            (place / name).symlink_to(peer.elements() / name)
        return place

    def test_an_mbr(self) -> None:
        self.boots(self.build("debian", "vm", "block-device-mbr"))

    def test_diskimage_builders_boot_loader_on_an_mbr(self) -> None:
        self.boots(
            self.build(
                *("debian", "vm", "block-device-mbr"),
                before=(self.peers_boot_loader(),),
            )
        )

    def test_diskimage_builders_boot_loader_for_every_firmware(self) -> None:
        image = self.build("debian", "vm", before=(self.peers_boot_loader(),))
        self.boots(image)
        self.assertIn(
            "Kernel is locked down from EFI Secure Boot",
            self.boots(image, "secure-boot"),
        )

    def test_a_partition_image_with_its_kernel_and_ramdisk(self) -> None:
        image = self.build("debian")
        inside = Filesystem(image, 0)
        kernel, ramdisk = (
            self.dumped(image, name)
            for prefix in ("vmlinuz-", "initrd.img-")
            for name in inside.names("/boot")
            if name.startswith(prefix)
        )
        told = (
            "root=LABEL=cloudimg-rootfs ro console=ttyS0,115200 "
            + qemu.KERNEL_OPTIONS
        )
        self.boots(
            image,
            extra=(
                *("-kernel", str(kernel), "-initrd", str(ramdisk)),
                *("-append", told),
            ),
        )

    def dumped(self, image: pathlib.Path, name: str) -> pathlib.Path:
        """A file of /boot."""
        path = self.place / name
        subprocess.run(
            ["debugfs", "-R", f"dump /boot/{name} {path}", image], check=True
        )
        return path
