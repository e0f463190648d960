"""Writes a partition table into an image file, and says where all lies."""

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import struct

from dib_service.engine import errors, process
from dib_service.engine.blockdevice import Partition, Table
from dib_service.engine.sizes import MiB
from dib_service.engine.sizes import Span as Span

# The copy of a GPT at the end of the disk takes 33 sectors; a whole MiB
# keeps the end of the last partition on a boundary.
TAIL = MiB

MBR_SIGNATURE = 440
MBR_ENTRIES = 446


def room(table: Table, wanted: Mapping[str, int]) -> int:
    """The size of a disk whose partitions have at least ``wanted`` bytes.

    :raises errors.LayoutError: the shares add up to more than all.
    """
    fixed = _fixed(table)
    percent = sum(p.size.percent for p in table.partitions)
    if percent > 100:
        raise errors.LayoutError(
            "partitioning.partitions", f"sizes add up to {percent:g}%"
        )
    shared = 0
    for partition in table.partitions:
        if partition.size.percent:
            size = wanted.get(partition.name, table.align) + table.align
            share = int(size * 100 / partition.size.percent)
            shared = max(shared, _up(share, table.align))
    return fixed + shared


def spans(table: Table, size: int) -> dict[str, Span]:
    """Where each partition lies on a disk of ``size`` bytes.

    :raises errors.DiskTooSmall: they do not all have room.
    """
    fixed = _fixed(table)
    left = size // table.align * table.align - fixed
    offset = table.align
    found = {}
    for number, partition in enumerate(table.partitions, start=1):
        length = _up(partition.size.bytes, table.align)
        if partition.size.percent:
            length = int(left * partition.size.percent / 100)
            length = length // table.align * table.align
        if length <= 0:
            raise errors.DiskTooSmall(size, fixed + table.align)
        found[partition.name] = Span(offset, length, number)
        offset += length
    if left < 0:
        raise errors.DiskTooSmall(size, fixed)
    return found


def write(
    device: Path, table: Table, places: Mapping[str, Span], sector: int
) -> None:
    """Write the table onto an empty disk with sectors of ``sector`` bytes.

    :raises errors.CommandError: the partitioner refused.
    """
    if table.label == "gpt":
        _write_gpt(device, table.partitions, places, sector)
    else:
        _write_mbr(device, table.partitions, places, sector)


def _write_gpt(
    device: Path,
    partitions: Sequence[Partition],
    places: Mapping[str, Span],
    sector: int,
) -> None:
    # Never with -q: then sgdisk writes nothing and says that all is well.
    words: list[str | Path] = ["sgdisk", "--set-alignment=1"]
    for number, partition in enumerate(partitions, start=1):
        span = places[partition.name]
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
    device: Path,
    partitions: Sequence[Partition],
    places: Mapping[str, Span],
    sector: int,
) -> None:
    entries = b"".join(
        struct.pack(
            "<B3sB3sII",
            0x80 if partition.bootable else 0,
            # Cylinder, head and sector as they are written where the
            # geometry means nothing: everyone goes by the block numbers.
            b"\xfe\xff\xff",
            int(partition.type, 16),
            b"\xfe\xff\xff",
            places[partition.name].offset // sector,
            places[partition.name].size // sector,
        )
        for partition in partitions
    )
    with device.open("r+b") as disk:
        disk.seek(MBR_SIGNATURE)
        disk.write(os.urandom(4))
        disk.seek(MBR_ENTRIES)
        disk.write(entries.ljust(64, b"\0") + b"\x55\xaa")
        disk.flush()
        os.fsync(disk.fileno())


def _fixed(table: Table) -> int:
    """What stands on the disk beside the partitions that share the rest."""
    tail = TAIL if table.label == "gpt" else 0
    sizes = sum(_up(p.size.bytes, table.align) for p in table.partitions)
    return table.align + sizes + _up(tail, table.align)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
