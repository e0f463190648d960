"""What a loader says of itself: a program or not, signed or not."""

from pathlib import Path
import struct
import tempfile
import unittest

from dib_service.engine.verify import uefi

HEADER = 0x80
SIZE = 4096


def program(*, magic=0x20B, certificates=(0, 0)):
    """A PE file with nothing in it but what we look at."""
    data = bytearray(SIZE)
    data[:2] = b"MZ"
    struct.pack_into("<I", data, 0x3C, HEADER)
    data[HEADER : HEADER + 4] = b"PE\0\0"
    optional = HEADER + 24
    struct.pack_into("<H", data, optional, magic)
    # The fifth directory; the directories of 32-bit programs come sooner.
    where = optional + (112 if magic == 0x20B else 96) + 4 * 8
    struct.pack_into("<II", data, where, *certificates)
    return bytes(data)


class Loaders(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "loader"

    def signed(self, data):
        self.path.write_bytes(data)
        return uefi.is_signed(self.path)

    def test_signed(self):
        for magic in (0x10B, 0x20B):
            data = program(magic=magic, certificates=(SIZE - 512, 512))
            self.assertTrue(self.signed(data))
            self.assertTrue(uefi.is_program(self.path))

    def test_not_signed(self):
        self.assertFalse(self.signed(program()))
        self.assertTrue(uefi.is_program(self.path))
        # Cut off: what it speaks of is not there.
        self.assertFalse(self.signed(program(certificates=(SIZE, 512))))

    def test_no_program(self):
        sound = program(certificates=(SIZE - 512, 512))
        for data in (
            b"",
            b"MZ",
            b"\x7fELF" + sound[4:],
            sound[:HEADER] + b"NE" + sound[HEADER + 2 :],
            sound[: HEADER + 100],
            sound[:0x3C] + b"\xff" * 4 + sound[0x40:],
            program(magic=0x107),
        ):
            self.assertFalse(self.signed(data))
            self.assertFalse(uefi.is_program(self.path))
