"""How large a filesystem must be to hold a tree: arithmetic, and one walk.

All figures are for ext4 with blocks of 4096 bytes and inodes of 256.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import errno
import math
import os
from pathlib import Path
import stat

from dib_service.engine.sizes import MiB

BLOCK = 4096

BLOCKS_PER_GROUP = 8 * BLOCK
GROUP = BLOCKS_PER_GROUP * BLOCK
INODES_PER_BLOCK = BLOCK // 256
DESCRIPTOR = 64

# The number of inodes in a group of 128 MiB never changes again, so it decides
# both how many files a grown machine can hold and, there being fewer than
# 2**32 inodes, where growth ends: at 64 TiB for the 8192 that mke2fs takes;
# at 1 PiB for 496, with a sixteenth of the files. An image that is to reach
# further than 64 TiB says so (MAX_ONLINE_RESIZE).
INODES_PER_GROUP = 8192
MOST_INODES = 2**32 - 1

# ext4 has each block of group descriptors in the groups that it is of
# (meta_bg), so growth only adds. In the older layout, which ext2 and ext3
# have, all lie together, and so many blocks are kept free behind them: room
# for 8 TiB, 4 MiB for each copy. Beyond, resize2fs moves what is in the way
# or refuses, and a kernel changes over to meta_bg in the middle. It is that
# change that damaged files until February 2024 ("ext4: fix corruption during
# on-line resize"); what has meta_bg from its first group on never makes it.
RESERVED_BLOCKS = 1024

# What finalise.d writes and what a first boot needs before the disk is
# grown: 3 MiB of boot loader, and an initramfs made anew, which unpacks 100
# to 250 MiB of modules into /var/tmp and stands beside the old one until it
# is done. A small tree has no kernel, so the room goes with the tree.
SLACK_SHARE = 4
SMALLEST_SLACK = 16 * MiB
LARGEST_SLACK = 256 * MiB

# The journal does not grow with the filesystem, and one of 4 MiB makes a
# large disk slow for ever: 64 MiB as diskimage-builder has it, less where
# that would be more than the tree. Below 1024 blocks ext4 refuses it.
JOURNAL = 64 * MiB
SMALLEST_JOURNAL = 4 * MiB

# In an inode of 256 bytes this is left for extended attributes.
INLINE_ATTRIBUTES = 96
INLINE_SYMLINK = 59
INLINE_EXTENTS = 4
LARGEST_EXTENT = 128 * MiB


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a tree takes: blocks of 4096 bytes, and inodes."""

    blocks: int = 0
    inodes: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.blocks + other.blocks, self.inodes + other.inodes)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The figures that ``mke2fs`` is given; ``size`` is in bytes."""

    size: int
    inodes: int
    journal: int
    meta_bg: bool

    @property
    def resize(self) -> int | None:
        """The blocks that the descriptors kept free suffice for."""
        if self.meta_bg:
            return None
        groups = (_descriptor_blocks(self.size) + RESERVED_BLOCKS) * (
            BLOCK // DESCRIPTOR
        )
        most = min(groups * BLOCKS_PER_GROUP, 2**31)
        # What is larger than that already has none to keep.
        return most if most > self.size // BLOCK else None


def measure(tree: Path, mount_points: Sequence[str]) -> dict[str, Usage]:
    """What lies in each filesystem, by its mount point.

    A file counts where the deepest mount point above it is.
    """
    found = dict.fromkeys(mount_points, Usage())
    seen: set[tuple[int, int]] = set()
    device = tree.stat().st_dev
    for relative, path, status in _walk(tree, "", device):
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        point = _holder(f"/{relative}", mount_points)
        found[point] += Usage(_blocks(path, status), 1)
    return found


def geometry(
    usage: Usage,
    *,
    size: int | None = None,
    extra: int | None = None,
    journal: int | None = None,
    limit: int | None = None,
    ratio: int | None = None,
    meta_bg: bool = True,
) -> Geometry:
    """A filesystem for ``usage``: of ``size``, or just large enough.

    ``extra`` replaces the slack, ``limit`` is what it must grow to, and
    ``ratio`` says of how many bytes each has an inode. ``meta_bg`` is the
    layout of ext4.
    """
    content = usage.blocks * BLOCK
    if journal is None:
        journal = min(max(content // 8, SMALLEST_JOURNAL), JOURNAL)
        journal = journal // MiB * MiB
    per_group = _per_group(usage, limit, ratio)
    if size is not None:
        return Geometry(size, per_group.of(size), journal, meta_bg)
    extra = slack(usage, extra)
    size = _round_up(content + extra + journal, MiB)
    # More groups take more tables, which take more groups: the sum settles
    # after a few rounds.
    while True:
        found = Geometry(size, per_group.of(size), journal, meta_bg)
        enough = max(needed(found, usage) + extra, per_group.floor)
        if enough <= size:
            return found
        size = _whole_group(_round_up(enough, MiB))


def slack(usage: Usage, extra: int | None = None) -> int:
    """The bytes that are left free: ``extra``, or a share of the tree."""
    if extra is not None:
        return extra
    share = usage.blocks * BLOCK // SLACK_SHARE
    return min(max(share, SMALLEST_SLACK), LARGEST_SLACK)


def needed(geometry: Geometry, usage: Usage) -> int:
    """The bytes of a filesystem that are taken once the tree is in it."""
    groups = _groups(geometry.size)
    tables = math.ceil(geometry.inodes / INODES_PER_BLOCK) + 2 * groups
    # Directories grow in steps and files lie in pieces: two in a hundred.
    loss = usage.blocks // 50 + 64
    blocks = usage.blocks + loss + tables + _descriptors(geometry)
    return blocks * BLOCK + geometry.journal


def _descriptors(geometry: Geometry) -> int:
    """The blocks of all superblocks and descriptors, copies included."""
    superblocks = _copies(_groups(geometry.size))
    once = _descriptor_blocks(geometry.size)
    if geometry.meta_bg:
        return superblocks + 3 * once
    return superblocks * (1 + once + RESERVED_BLOCKS)


def fits(geometry: Geometry, usage: Usage) -> bool:
    """Whether the tree goes into a filesystem of this geometry."""
    return (
        needed(geometry, usage) <= geometry.size
        and _wanted_inodes(usage) <= geometry.inodes
    )


@dataclasses.dataclass(frozen=True)
class _PerGroup:
    """How many inodes a group has: so many, or more if there is no limit."""

    wanted: int
    usual: int
    fixed: bool

    def of(self, size: int) -> int:
        """The inodes of a filesystem of ``size`` bytes."""
        groups = _groups(size)
        if self.fixed:
            return groups * self.usual
        # A tree of many small files comes before the last terabyte.
        per_group = max(self.usual, -(-self.wanted // groups))
        return groups * min(
            _round_up(per_group, INODES_PER_BLOCK), BLOCKS_PER_GROUP
        )

    @property
    def floor(self) -> int:
        """The size below which there cannot be enough inodes."""
        most = self.usual if self.fixed else BLOCKS_PER_GROUP
        # The last group may be a piece of one.
        return (-(-self.wanted // most) - 1) * GROUP + MiB


def _per_group(
    usage: Usage, limit: int | None, ratio: int | None
) -> _PerGroup:
    usual = INODES_PER_GROUP
    if ratio is not None:
        usual = min(max(GROUP // ratio, INODES_PER_BLOCK), BLOCKS_PER_GROUP)
    fixed = limit is not None and limit > _ceiling(usual)
    if limit is not None and fixed:
        usual = MOST_INODES // _groups(limit)
    usual = max(usual // INODES_PER_BLOCK, 1) * INODES_PER_BLOCK
    return _PerGroup(_wanted_inodes(usage), usual, fixed)


def _wanted_inodes(usage: Usage) -> int:
    return usage.inodes * 5 // 4 + 1024


def _ceiling(inodes_per_group: int) -> int:
    return MOST_INODES // inodes_per_group * GROUP


def _groups(size: int) -> int:
    return -(-size // GROUP)


def _descriptor_blocks(size: int) -> int:
    return -(-_groups(size) * DESCRIPTOR // BLOCK)


def _copies(groups: int) -> int:
    """How many groups hold a copy of the superblock (sparse_super)."""
    found = min(groups, 2)
    for base in (3, 5, 7):
        power = base
        while power < groups:
            found += 1
            power *= base
    return found


def _whole_group(size: int) -> int:
    # mke2fs leaves out a last group that could not even hold its tables.
    rest = size % GROUP
    return size + 16 * MiB - rest if 0 < rest < 16 * MiB else size


def _round_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _walk(
    directory: Path, relative: str, device: int
) -> Iterator[tuple[str, str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            name = f"{relative}/{entry.name}" if relative else entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield name, entry.path, status
                continue
            if status.st_dev != device:
                # Something mounted there; the copy leaves it out as well.
                status = os.stat_result((status.st_mode, *[0] * 9))
                yield name, entry.path, status
                continue
            yield name, entry.path, status
            yield from _walk(Path(entry.path), name, device)


def _holder(path: str, mount_points: Sequence[str]) -> str:
    above = [
        point
        for point in mount_points
        if point == "/" or path == point or path.startswith(f"{point}/")
    ]
    return max(above, key=len)


def _blocks(path: str, status: os.stat_result) -> int:
    blocks = _attribute_blocks(path)
    if stat.S_ISREG(status.st_mode):
        data = _data(path, status)
        blocks += -(-data // BLOCK)
        if data > INLINE_EXTENTS * LARGEST_EXTENT:
            blocks += 1
    elif stat.S_ISLNK(status.st_mode):
        blocks += status.st_size > INLINE_SYMLINK
    elif stat.S_ISDIR(status.st_mode):
        # The size of a directory is something else on each filesystem.
        names = sum(_entry(each.name) for each in Path(path).iterdir())
        blocks += max(1, -(-names * 3 // 2 // BLOCK))
    return blocks


def _entry(name: str) -> int:
    return 8 + _round_up(len(os.fsencode(name)), 4)


def _data(path: str, status: os.stat_result) -> int:
    """The bytes of a file that are not holes."""
    if status.st_blocks * 512 >= status.st_size:
        return status.st_size
    total = 0
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        end = 0
        while True:
            try:
                start = os.lseek(fd, end, os.SEEK_DATA)
            except OSError as exc:
                if exc.errno == errno.ENXIO:
                    return total
                raise
            end = os.lseek(fd, start, os.SEEK_HOLE)
            total += _round_up(end, BLOCK) - start // BLOCK * BLOCK
    finally:
        os.close(fd)


def _attribute_blocks(path: str) -> int:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return 0
    size = sum(
        16 + len(name) + len(os.getxattr(path, name, follow_symlinks=False))
        for name in names
    )
    return int(size > INLINE_ATTRIBUTES)
