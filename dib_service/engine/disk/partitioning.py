"""Writes a partition table onto a disk, and says where all lies."""

from collections.abc import Iterator, Mapping, Sequence
import os
from pathlib import Path
import struct
from typing import BinaryIO

from dib_service.engine import errors, process
from dib_service.engine.disk.layout import Partition, Table
from dib_service.engine.sizes import EiB, MiB
from dib_service.engine.sizes import Span as Span

# The copy of a GPT at the end of the disk takes 33 sectors; a whole MiB
# keeps the end of the last partition on a boundary.
TAIL = MiB

MBR_SIGNATURE = 440
MBR_ENTRIES = 446
# LBA, as diskimage-builder has it; and what links one logical partition to
# the next.
EXTENDED, LINK = 0x0F, 0x05
FIRST_LOGICAL = 5
MOST_MBR_SECTORS = 2**32 - 1


def room(table: Table, wanted: Mapping[str, int]) -> int:
    """The size of a disk whose partitions have at least ``wanted`` bytes.

    Partitions of a fixed size are as large as they are.
    """
    low = high = _fixed(table) // table.align
    while not _suffices(table, high * table.align, wanted):
        low, high = high, 2 * high + 1
        if high * table.align > 8 * EiB:
            raise errors.LayoutError(
                "partitioning.partitions", "no disk is large enough for them"
            )
    while low < high:
        middle = (low + high) // 2
        if _suffices(table, middle * table.align, wanted):
            high = middle
        else:
            low = middle + 1
    return high * table.align


def spans(table: Table, size: int) -> dict[str, Span]:
    """Where each partition lies on a disk of ``size`` bytes.

    A share is one of what is left when its turn comes; what the partitions
    behind it need in bytes is left to them.

    :raises errors.DiskTooSmall: they do not all have room.
    """
    found = dict(_placed(table, size))
    if len(found) < len(table.partitions):
        raise errors.DiskTooSmall(size, max(room(table, {}), size + 1))
    return found


def _placed(table: Table, size: int) -> Iterator[tuple[str, Span]]:
    """The partitions that have room, up to the first that has none."""
    end = size // table.align * table.align - _tail(table)
    place = table.align
    number = 0
    for index, partition in enumerate(table.partitions):
        number += 1
        if partition.logical:
            number = max(number, FIRST_LOGICAL)
            # What links it to the others stands before it.
            place += table.align
        length = _up(partition.size.bytes, table.align)
        if partition.size.percent:
            behind = _lengths(table, table.partitions[index + 1 :])
            share = int((end - place) * partition.size.percent / 100)
            length = min(share, end - place - behind)
            length = length // table.align * table.align
        if length <= 0 or place + length > end:
            return
        yield partition.name, Span(place, length, number)
        place += length


def _suffices(table: Table, size: int, wanted: Mapping[str, int]) -> bool:
    found = dict(_placed(table, size))
    return all(
        partition.name in found
        and (
            not partition.size.percent
            or found[partition.name].size >= wanted.get(partition.name, 0)
        )
        for partition in table.partitions
    )


def write(
    device: Path, table: Table, places: Mapping[str, Span], sector: int
) -> None:
    """Write the table onto an empty disk with sectors of ``sector`` bytes.

    :raises errors.CommandError: the partitioner refused.
    :raises errors.LayoutError: the disk is larger than an mbr can say.
    """
    if table.label == "gpt":
        _write_gpt(device, table.partitions, places, sector)
    else:
        _write_mbr(device, table, places, sector)


def _write_gpt(
    device: Path,
    partitions: Sequence[Partition],
    places: Mapping[str, Span],
    sector: int,
) -> None:
    # Never with -q: then sgdisk writes nothing and says that all is well.
    words: list[str | Path] = ["sgdisk", "--set-alignment=1"]
    for partition in partitions:
        span = places[partition.name]
        number = span.number
        first = span.offset // sector
        last = (span.offset + span.size) // sector - 1
        words += [
            f"--new={number}:{first}:{last}",
            f"--typecode={number}:{partition.type}",
            f"--change-name={number}:{partition.name}",
        ]
        if partition.bootable:
            words.append(f"--attributes={number}:set:2")
    process.run([*words, device])


def _write_mbr(
    device: Path, table: Table, places: Mapping[str, Span], sector: int
) -> None:
    primary = [p for p in table.partitions if not p.logical]
    logical = [p for p in table.partitions if p.logical]
    with device.open("r+b") as disk:
        end = disk.seek(0, os.SEEK_END)
        if end // sector > MOST_MBR_SECTORS:
            raise errors.LayoutError(
                "partitioning.label", "an mbr ends at 2 TiB; take gpt"
            )
        entries = [
            _entry(p, places[p.name].offset, places[p.name].size, sector)
            for p in primary
        ]
        if logical:
            start = places[logical[0].name].offset - table.align
            entries.append(_link(EXTENDED, start, end - start, sector))
            _write_logical(disk, logical, places, table.align, sector)
        disk.seek(MBR_SIGNATURE)
        disk.write(os.urandom(4))
        _write_entries(disk, 0, entries)
        disk.flush()
        os.fsync(disk.fileno())


def _write_logical(
    disk: BinaryIO,
    partitions: Sequence[Partition],
    places: Mapping[str, Span],
    align: int,
    sector: int,
) -> None:
    """Each has a table of its own before it, which names the next."""
    first = places[partitions[0].name].offset - align
    for index, partition in enumerate(partitions):
        span = places[partition.name]
        entries = [_entry(partition, align, span.size, sector)]
        if index + 1 < len(partitions):
            following = places[partitions[index + 1].name]
            entries.append(
                _link(
                    LINK,
                    following.offset - align - first,
                    following.size + align,
                    sector,
                )
            )
        _write_entries(disk, span.offset - align, entries)


def _write_entries(
    disk: BinaryIO, place: int, entries: Sequence[bytes]
) -> None:
    disk.seek(place + MBR_ENTRIES)
    disk.write(b"".join(entries).ljust(64, b"\0") + b"\x55\xaa")


def _entry(partition: Partition, start: int, size: int, sector: int) -> bytes:
    return _packed(
        0x80 if partition.bootable else 0,
        int(partition.type, 16),
        start // sector,
        size // sector,
    )


def _link(kind: int, start: int, size: int, sector: int) -> bytes:
    return _packed(0, kind, start // sector, size // sector)


def _packed(boot: int, kind: int, start: int, size: int) -> bytes:
    # Cylinder, head and sector as they are written where the geometry means
    # nothing: everyone goes by the block numbers.
    nowhere = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", boot, nowhere, kind, nowhere, start, size)


def _tail(table: Table) -> int:
    return _up(TAIL, table.align) if table.label == "gpt" else 0


def _fixed(table: Table) -> int:
    """What stands on the disk beside the partitions that share the rest."""
    return table.align + _lengths(table, table.partitions) + _tail(table)


def _lengths(table: Table, partitions: Sequence[Partition]) -> int:
    """What these take that do not ask for a share."""
    return sum(
        _up(p.size.bytes, table.align) + (table.align if p.logical else 0)
        for p in partitions
    )


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
