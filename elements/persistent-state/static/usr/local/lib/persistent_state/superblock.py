"""What an ext filesystem says of itself, and a lost one's copy still does."""

from __future__ import annotations

import dataclasses
import pathlib
import struct

FIRST = 1024
MAGIC = 0xEF53
# The first copy, where blocks have 1 KiB, 2 KiB and 4 KiB: the beginning of
# the second group of blocks.
COPIES = (8193 << 10, 16384 << 11, 32768 << 12)


@dataclasses.dataclass(frozen=True)
class Superblock:
    """``size`` is the filesystem's, in bytes; ``group`` 0 has the first."""

    size: int
    group: int


def read(path: str, where: int = FIRST) -> Superblock | None:
    """The superblock at that byte; None if it is none."""
    with pathlib.Path(path).open("rb") as file:
        file.seek(where)
        block = file.read(1024)
    if len(block) < 1024:
        return None
    (low,) = struct.unpack_from("<I", block, 4)
    (order,) = struct.unpack_from("<I", block, 24)
    magic, group = (
        struct.unpack_from("<H", block, place)[0] for place in (56, 90)
    )
    (features,) = struct.unpack_from("<I", block, 96)
    (high,) = struct.unpack_from("<I", block, 0x150)
    if magic != MAGIC or order > 6:
        return None
    blocks = low | (high << 32 if features & 0x80 else 0)
    return Superblock(blocks << (10 + order), group)


def copied(path: str) -> bool:
    """There has been a filesystem here: a copy of its superblock is left."""
    found = (read(path, where) for where in COPIES)
    return any(each is not None and each.group == 1 for each in found)
