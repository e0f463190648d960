"""Decides how large a disk is, and each filesystem on it."""

from collections.abc import Mapping
import dataclasses
import re

from dib_service.engine import errors
from dib_service.engine.disk import partitioning, sizing
from dib_service.engine.disk.layout import EXT, Disk, Layout, Volume
from dib_service.engine.disk.sizing import BLOCK, Geometry, Usage
from dib_service.engine.sizes import MiB, Span

# No disk ends within a sector, whatever number it was asked for by.
SECTOR = 4096

# What mkfs.xfs (6.1) and mkfs.btrfs (6.2) refuse to go below, in bytes.
LEAST = {"xfs": 300 * MiB, "btrfs": 110 * MiB}

# Where no size is asked for they have this, and never less.
SMALLEST = {
    "xfs": 300 * MiB,
    "btrfs": 128 * MiB,
    "vfat": 2 * MiB,
    "swap": MiB,
}

# What they take before the first file is in them: XFS a log of 64 MiB and
# its trees, btrfs its system and metadata chunks, FAT its two tables.
OWN = {"xfs": 96 * MiB, "btrfs": 96 * MiB, "vfat": MiB, "swap": 0}

# What a file takes beside its content, in bytes: an inode of 512 in XFS,
# its items twice in btrfs, the rest of its last cluster in FAT.
EACH = {"xfs": 600, "btrfs": 2048, "vfat": 4096, "swap": 0}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Sizes, decided: of the disk, its parts, and what is made in them.

    ``geometries`` has those of the ext filesystems, by where they lie.
    """

    size: int
    spans: Mapping[str, Span]
    geometries: Mapping[str, Geometry]


def planned(
    disk: Disk, layout: Layout, usage: Mapping[str, Usage], size: int | None
) -> Plan:
    """Sizes for everything on a disk of ``size`` bytes, or just enough.

    ``usage`` is what lies in the tree, by mount point.

    :raises errors.DiskTooSmall: the tree does not fit.
    :raises errors.LayoutError: no disk could be laid out so.
    """
    volumes = layout.on(disk)
    wanted = {
        volume.base: _enough(volume, layout, _usage(volume, usage))
        for volume in volumes
    }
    size = disk.size or size
    if disk.table is None:
        total = (size or wanted[disk.name]) // SECTOR * SECTOR
        spans = {disk.name: Span(0, total)}
    else:
        enough = partitioning.room(disk.table, wanted)
        total = (size or enough) // SECTOR * SECTOR
        spans = partitioning.spans(disk.table, total)
    for volume in volumes:
        part = spans[volume.base].size
        if _holds(volume, layout, _usage(volume, usage), part):
            continue
        if volume is layout.root:
            enough = wanted[volume.base]
            if disk.table:
                enough = partitioning.room(disk.table, wanted)
            raise errors.DiskTooSmall(total, enough)
        raise errors.DiskTooSmall(
            part, wanted[volume.base], what=f"filesystem '{volume.name}'"
        )
    geometries = {
        volume.base: _geometry(
            volume, layout, _usage(volume, usage), spans[volume.base].size
        )
        for volume in volumes
        if volume.type in EXT
    }
    return Plan(total, spans, geometries)


def _usage(volume: Volume, usage: Mapping[str, Usage]) -> Usage:
    if not volume.mounted:
        return Usage()
    return usage[volume.mount_point or ""]


def _enough(volume: Volume, layout: Layout, usage: Usage) -> int:
    """The bytes that a filesystem has to have, with the slack in it."""
    if volume.type in EXT:
        return _geometry(volume, layout, usage, None).size
    needed = _needed(volume.type, usage)
    if volume.mounted and volume.type != "vfat":
        needed += sizing.slack(usage, layout.extra)
    return max(needed, SMALLEST[volume.type])


def _holds(volume: Volume, layout: Layout, usage: Usage, size: int) -> bool:
    if volume.type in EXT:
        geometry = _geometry(volume, layout, usage, size)
        return sizing.fits(geometry, usage)
    return size >= max(_needed(volume.type, usage), LEAST.get(volume.type, 0))


def _needed(kind: str, usage: Usage) -> int:
    files = usage.blocks * BLOCK + usage.inodes * EACH[kind]
    # Trees and tables: two in a hundred.
    return -(-(files * 51 // 50 + OWN[kind]) // MiB) * MiB


def _geometry(
    volume: Volume, layout: Layout, usage: Usage, size: int | None
) -> Geometry:
    is_root = volume is layout.root
    journal = layout.journal if is_root else None
    return sizing.geometry(
        usage,
        size=size,
        extra=layout.extra,
        journal=0 if volume.type == "ext2" else journal,
        limit=layout.limit if is_root else None,
        ratio=_ratio(volume),
        meta_bg=_meta_bg(volume),
    )


def _meta_bg(volume: Volume) -> bool:
    """Whether the descriptors lie in their groups: always in ext4.

    Unless its own words ask for the other layout; mke2fs refuses both.
    """
    words = [
        each for word in volume.options for each in re.split("^-[EO]|,", word)
    ]
    return volume.type == "ext4" and not any(
        word in ("^meta_bg", "resize_inode") or word.startswith("resize=")
        for word in words
    )


def _ratio(volume: Volume) -> int | None:
    """The bytes for each inode, where mke2fs is told so by its -i."""
    words = volume.options
    for word, following in zip(words, (*words, "")[1:], strict=True):
        text = following if word == "-i" else word.removeprefix("-i")
        if word.startswith("-i") and text.isdigit() and int(text):
            return int(text)
    return None
