"""When a ramdisk's own /init has spoken."""

import unittest

from dib_service.engine.gate import ramdisk

KERNEL = "[    1.234567] Run /init as init process\n"


class Speaks(unittest.TestCase):
    def test_init_has_spoken(self):
        for text in (
            f"{KERNEL}Starting\n",
            f"{KERNEL}[    1.3] usb\n[    1.400000] usb: new\n/ # ",
        ):
            self.assertTrue(ramdisk.speaks(text), text)

    def test_only_the_kernel_has(self):
        for text in (
            "",
            "SeaBIOS\nDecompressing Linux\n",
            KERNEL,
            f"{KERNEL}[    1.400000] usb: new\n",
        ):
            self.assertFalse(ramdisk.speaks(text), text)
