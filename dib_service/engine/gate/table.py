"""A config drive's place in a partition table, as Ironic makes it.

Bytes in, bytes out: nothing here reads or writes a disk. Ironic's agent moves
the copy of a GPT to the end of the disk and adds a partition of 64 MiB there;
in an MBR it takes a primary one, and gives up where none is left
(ironic-python-agent, partition_utils.create_config_drive_partition).
"""

from collections.abc import Iterator, Sequence
import dataclasses
import struct
import uuid
import zlib

from dib_service.engine.gate.faults import Found
from dib_service.engine.sizes import MiB, Span

DRIVE_BYTES = 64 * MiB

# What has to be known of a disk's beginning: both tables lie within.
HEAD_BYTES = MiB

PROTECTIVE = 0xEE
# sgdisk's and parted's choice for a partition of which nothing is said.
LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
FAT_LBA = 0x0C

SIGNATURE = b"EFI PART"
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
ENTRIES = 128

# Encoded here: where this is used, Python finds no further encoding.
ROOT, CONFIG_2 = (text.encode("utf-16-le") for text in ("root", "config-2"))

Patch = tuple[int, bytes]


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where the drive goes, and what of the disk has to be overwritten.

    ``parts`` are the partitions that were there, in the table's order.
    """

    drive: Span
    parts: Sequence[Span]
    patches: Sequence[Patch]

    def room(self, number: int) -> int:
        """How large the partition of that number, from 0, can become.

        0 if something lies behind it.
        """
        if not 0 <= number < len(self.parts):
            return 0
        wanted = self.parts[number]
        if any(part.offset > wanted.offset for part in self.parts):
            return 0
        return self.drive.offset - wanted.offset


def with_drive(head: bytes, size: int, sector: int) -> Placed:
    """A place on a disk of ``size`` bytes that begins with ``head``.

    :raises Found: the table has no room for it, or there is none.
    """
    if head[510:512] != b"\x55\xaa":
        raise Found("boot-no-loader", "the image has no partition table")
    if any(kind == PROTECTIVE for _, kind, _, _ in _mbr(head)):
        return _in_gpt(head, size, sector)
    return _in_mbr(head, size, sector)


def empty_gpt(size: int, sector: int) -> bytes:
    """The beginning of a disk with one partition, for all but the drive."""
    head = bytearray(HEAD_BYTES)
    blocks = size // sector
    struct.pack_into(
        "<B3sB3sII", head, 446, 0, b"\0\2\0", PROTECTIVE, b"\xff" * 3, 1, 0
    )
    head[510:512] = b"\x55\xaa"
    table = bytearray(ENTRIES * ENTRY.size)
    end = _drive_start(size - _tail(sector)) // sector - 1
    _write_entry(table, 0, MiB // sector, end, ROOT)
    head[2 * sector : 2 * sector + len(table)] = table
    head[sector : sector + HEADER.size] = HEADER.pack(
        *(SIGNATURE, 0x10000, HEADER.size, 0, 0, 1, blocks - 1),
        *(MiB // sector, _last_usable(size, sector)),
        *(uuid.uuid4().bytes_le, 2, ENTRIES, ENTRY.size, 0),
    )
    return bytes(head)


def _in_gpt(head: bytes, size: int, sector: int) -> Placed:
    fields = list(HEADER.unpack_from(head, sector))
    at, count, length = fields[10:13]
    end = at * sector + count * length
    if fields[0] != SIGNATURE or length != ENTRY.size or end > len(head):
        raise Found("boot-no-loader", "the image's GPT is damaged")
    table = bytearray(head[at * sector : end])
    used = {
        number: ENTRY.unpack_from(table, number * length)
        for number in range(count)
        if any(table[number * length : number * length + 16])
    }
    free = [number for number in range(count) if number not in used]
    if not free:
        raise _no_room("all entries of its GPT are taken")
    blocks = size // sector
    last = _last_usable(size, sector, len(table))
    start = _drive_start((last + 1) * sector)
    _write_entry(table, free[0], start // sector, last, CONFIG_2)
    copy = (last + 1) * sector
    fields[8] = last
    return Placed(
        drive=Span(start, (last + 1) * sector - start, free[0] + 1),
        parts=[
            Span(first * sector, (final - first + 1) * sector, number + 1)
            for number, (_, _, first, final, *_) in used.items()
        ],
        patches=[
            (0, _protective(head, blocks).ljust(sector, b"\0")[:sector]),
            (sector, _header(fields, 1, blocks - 1, at, table, sector)),
            (at * sector, _whole(bytes(table), sector)),
            (copy, _whole(bytes(table), sector)),
            (
                (blocks - 1) * sector,
                _header(fields, blocks - 1, 1, last + 1, table, sector),
            ),
        ],
    )


def _in_mbr(head: bytes, size: int, sector: int) -> Placed:
    entries = list(_mbr(head))
    free = [n for n, (_, kind, _, _) in enumerate(entries) if not kind]
    if not free:
        raise _no_room("its MBR has four partitions already")
    start = _drive_start(size)
    if start // sector >= 2**32:
        raise _no_room("its MBR ends at 2 TiB")
    nowhere = b"\xfe\xff\xff"
    changed = bytearray(head[:sector])
    struct.pack_into(
        "<B3sB3sII",
        changed,
        446 + 16 * free[0],
        *(0, nowhere, FAT_LBA, nowhere),
        *(start // sector, DRIVE_BYTES // sector),
    )
    return Placed(
        drive=Span(start, DRIVE_BYTES, free[0] + 1),
        parts=[
            Span(first * sector, length * sector, number + 1)
            for number, (_, kind, first, length) in enumerate(entries)
            if kind
        ],
        patches=[(0, bytes(changed))],
    )


def _mbr(head: bytes) -> Iterator[tuple[int, ...]]:
    for number in range(4):
        yield struct.unpack_from("<B3xB3xII", head, 446 + 16 * number)


def _protective(head: bytes, blocks: int) -> bytes:
    """The first sector, with an entry that spans all of the disk."""
    changed = bytearray(head[:512])
    for number, (_, kind, _, _) in enumerate(_mbr(head)):
        if kind == PROTECTIVE:
            struct.pack_into(
                "<I", changed, 446 + 16 * number + 12, min(blocks, 2**32) - 1
            )
    return bytes(changed)


def _header(
    fields: Sequence[object],
    here: int,
    other: int,
    table_at: int,
    table: bytes | bytearray,
    sector: int,
) -> bytes:
    """A header for one end of the disk, with its checksums."""
    changed = list(fields)
    changed[2:4] = [HEADER.size, 0]
    changed[5:7] = [here, other]
    changed[10] = table_at
    changed[13] = zlib.crc32(table)
    changed[3] = zlib.crc32(HEADER.pack(*changed))
    return HEADER.pack(*changed).ljust(sector, b"\0")


def _write_entry(
    table: bytearray, number: int, first: int, last: int, name: bytes
) -> None:
    ENTRY.pack_into(
        table,
        number * ENTRY.size,
        LINUX_DATA.bytes_le,
        uuid.uuid4().bytes_le,
        first,
        last,
        0,
        name,
    )


def _last_usable(size: int, sector: int, entries: int = 0) -> int:
    return (size - _tail(sector, entries)) // sector - 1


def _tail(sector: int, entries: int = 0) -> int:
    """The copy of the entries, of so many bytes or more, and of the header."""
    entries = max(entries, ENTRIES * ENTRY.size)
    return -(-entries // sector) * sector + sector


def _drive_start(end: int) -> int:
    return (end - DRIVE_BYTES) // MiB * MiB


def _whole(data: bytes, sector: int) -> bytes:
    return data.ljust(-(-len(data) // sector) * sector, b"\0")


def _no_room(why: str) -> Found:
    return Found(
        "boot-config-drive", f"Ironic finds no place for a config drive: {why}"
    )
