"""With Secure Boot enforced, what nobody signed is not started.

That the image boots there says something only if another would not.
"""

import pathlib
import struct
import subprocess
import tempfile

import testtools

from dib_service.engine.verify import uefi
from dib_service.engine.verify.image import partition_table
from tests import qemu
from tests.integration import published

LOADER = "/EFI/BOOT/BOOTX64.EFI"


class TestRefused(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        self.image = pathlib.Path(folder.name) / "image.raw"
        self.run_tool(
            *("qemu-img", "convert", "-O", "raw"),
            *(str(published.debian_image()), str(self.image)),
        )
        esp = partition_table(self.image, 512).spans[0]
        self.esp = f"{self.image}@@{esp.offset}"

    def run_tool(self, *words: str) -> None:
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)

    def take_the_signature_away(self) -> None:
        """Leave the loader as it was, but for who vouches for it."""
        copy = self.image.with_name("loader")
        self.run_tool("mcopy", "-i", self.esp, f"::{LOADER}", str(copy))
        self.assertTrue(uefi.is_signed(copy))
        data = bytearray(copy.read_bytes())
        (header,) = struct.unpack_from("<I", data, 0x3C)
        struct.pack_into("<II", data, header + 24 + 144, 0, 0)
        copy.write_bytes(data)
        self.assertFalse(uefi.is_signed(copy))
        self.run_tool("mcopy", "-o", "-i", self.esp, str(copy), f"::{LOADER}")

    def test_a_loader_without_its_signature(self) -> None:
        self.take_the_signature_away()
        with qemu.Guest(self.image, firmware="secure-boot") as guest:
            guest.wait_for_console("Access Denied")
            self.assertNotIn("Loading Linux", guest.console_text())
        # Nothing else is the matter with it.
        with qemu.Guest(self.image, firmware="uefi") as guest:
            guest.wait_for_console("Loading Linux")
