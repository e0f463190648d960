"""Where a config drive goes, and what is written for it."""

import pathlib
import struct
import tempfile
import unittest
import zlib

from dib_service.engine import sizes
from dib_service.engine.disk import layout, partitioning
from dib_service.engine.gate import table
from dib_service.engine.gate.faults import Found
from dib_service.engine.sizes import GiB, MiB
from dib_service.engine.verify.image import partition_table

SIZE = 2 * GiB


class Disk:
    """A sparse disk that tables are written to."""

    def __init__(self, path, sector=512):
        self.path = path
        self.sector = sector

    def grow(self, size):
        with self.path.open("ab") as file:
            file.truncate(size)

    def patch(self, placed):
        with self.path.open("r+b") as file:
            for offset, data in placed.patches:
                file.seek(offset)
                file.write(data)

    @property
    def head(self):
        with self.path.open("rb") as file:
            return file.read(table.HEAD_BYTES)

    @property
    def parts(self):
        return partition_table(self.path, self.sector)

    def header(self, block):
        with self.path.open("rb") as file:
            file.seek(block * self.sector)
            data = file.read(table.HEADER.size)
            fields = table.HEADER.unpack(data)
            file.seek(fields[10] * self.sector)
            entries = file.read(fields[11] * fields[12])
        return data, fields, entries


class Tables(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = pathlib.Path(holder.name) / "disk"

    def assert_sound(self, disk, block, other):
        """A GPT's header and entries, as firmware checks them."""
        data, fields, entries = disk.header(block)
        self.assertEqual(b"EFI PART", fields[0])
        self.assertEqual((block, other), fields[5:7])
        plain = data[:16] + bytes(4) + data[20:]
        self.assertEqual(zlib.crc32(plain), fields[3])
        self.assertEqual(zlib.crc32(entries), fields[13])

    def gpt(self, sector, size):
        disk = Disk(self.path, sector)
        self.path.write_bytes(table.empty_gpt(size, sector))
        disk.grow(size)
        return disk

    def test_a_drive_at_the_end_of_a_gpt(self):
        for sector in (512, 4096):
            with self.subTest(sector):
                disk = self.gpt(sector, SIZE)
                first = table.with_drive(disk.head, SIZE, sector)
                disk.patch(first)
                [root, drive] = disk.parts.spans
                self.assertEqual(first.drive, drive)
                self.assertGreaterEqual(drive.size, 64 * MiB)
                self.assertLess(SIZE - drive.offset, 66 * MiB)
                self.assertEqual(drive.offset, root.offset + root.size)
                self.assertEqual(root.size, first.room(0))
                last = SIZE // sector - 1
                self.assert_sound(disk, 1, last)
                self.assert_sound(disk, last, 1)

    def test_the_copy_of_a_gpt_moves_to_the_end_of_a_larger_disk(self):
        disk = self.gpt(512, SIZE)
        disk.patch(table.with_drive(disk.head, SIZE, 512))
        size = SIZE + 4 * GiB
        disk.grow(size)
        placed = table.with_drive(disk.head, size, 512)
        disk.patch(placed)
        last = size // 512 - 1
        self.assert_sound(disk, 1, last)
        self.assert_sound(disk, last, 1)
        self.assertEqual(3, len(disk.parts.spans))
        # The protective MBR spans the disk, for whoever looks at that.
        (blocks,) = struct.unpack_from("<I", disk.head, 446 + 12)
        self.assertEqual(last, blocks)
        # Something lies behind the first, and may grow; it cannot.
        self.assertEqual(0, placed.room(0))
        self.assertGreaterEqual(placed.room(1), 4 * GiB)
        self.assertEqual(0, placed.room(-1))
        self.assertEqual(0, placed.room(2))

    def test_a_gpt_of_more_entries_than_usual(self):
        disk = self.gpt(512, SIZE)
        head = bytearray(disk.head)
        # Their number stands 80 bytes into the header.
        struct.pack_into("<I", head, 512 + 80, 2 * table.ENTRIES)
        disk.patch(table.with_drive(bytes(head), SIZE, 512))
        last = SIZE // 512 - 1
        self.assert_sound(disk, 1, last)
        self.assert_sound(disk, last, 1)

    def test_no_entry_is_left_in_a_gpt(self):
        disk = self.gpt(512, SIZE)
        head = bytearray(disk.head)
        head[1024 : 1024 + 128 * 128] = head[1024 : 1024 + 128] * 128
        with self.assertRaises(Found) as caught:
            table.with_drive(bytes(head), SIZE, 512)
        self.assertEqual("boot-config-drive", caught.exception.code)

    def test_a_drive_at_the_end_of_an_mbr(self):
        disk = self.mbr(1)
        size = SIZE + GiB
        disk.grow(size)
        placed = table.with_drive(disk.head, size, 512)
        before = disk.head
        disk.patch(placed)
        [root, drive] = disk.parts.spans
        self.assertEqual(size, drive.offset + drive.size)
        self.assertEqual(64 * MiB, drive.size)
        self.assertEqual(drive.offset - root.offset, placed.room(0))
        # Boot code, signature and the other entries stay what they are.
        self.assertEqual(before[: 446 + 16], disk.head[: 446 + 16])
        self.assertEqual(before[510:], disk.head[510:])

    def test_ironic_takes_no_fifth_partition_of_an_mbr(self):
        with self.assertRaises(Found) as caught:
            table.with_drive(self.mbr(4).head, SIZE, 512)
        self.assertEqual("boot-config-drive", caught.exception.code)

    def test_no_table(self):
        for head in (bytes(MiB), b"\0" * 510 + b"\x55\xaa" + bytes(MiB)):
            damaged = bytearray(head)
            if any(head):
                damaged[446 + 4] = table.PROTECTIVE
            with self.assertRaises(Found) as caught:
                table.with_drive(bytes(damaged), SIZE, 512)
            self.assertEqual("boot-no-loader", caught.exception.code)

    def mbr(self, count):
        """An MBR of the engine's own, with so many partitions."""
        asked = layout.Table(
            label="mbr",
            partitions=tuple(
                layout.Partition(f"p{number}", sizes.Size(256 * MiB), "83")
                for number in range(count)
            ),
        )
        disk = Disk(self.path)
        self.path.touch()
        disk.grow(SIZE)
        places = partitioning.spans(asked, SIZE)
        partitioning.write(self.path, asked, places, 512)
        return disk
