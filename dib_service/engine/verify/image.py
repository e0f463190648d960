"""Reads an image file as a machine would, without asking the kernel to.

What is in the image was made by strangers' hooks. A filesystem that was
made to harm its reader is read by debugfs, a process of its own.
"""

from collections.abc import Iterator, Sequence
import dataclasses
from pathlib import Path
import posixpath
import re
import stat
import struct
from typing import BinaryIO, Literal
import uuid

from dib_service.engine import process
from dib_service.engine.disk.partitioning import Span

BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
# In a GPT and in an MBR.
EFI_SYSTEM = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EF")
PROTECTIVE = 0xEE
EXTENDED = (0x05, 0x0F, 0x85)
MOST_LOGICAL = 256

# Of each superblock: where it is, its magic number, its label, its UUID.
SUPERBLOCKS = (
    (1024, (0x38, b"\x53\xef"), slice(0x78, 0x88), slice(0x68, 0x78)),
    (0, (0, b"XFSB"), slice(0x6C, 0x78), slice(0x20, 0x30)),
    (64 * 1024, (0x40, b"_BHRfS_M"), slice(0x12B, 0x22B), slice(0x20, 0x30)),
)

# A line of "ls -p": inode, mode, owner, group, name, size.
ENTRY = re.compile(
    r"/\d+/(?P<mode>[0-7]{6})/\d+/\d+/(?P<name>[^/]+)/(?P<size>\d*)/"
)
LONGEST_TEXT = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class PartitionTable:
    """What the disk says of its parts; ``types`` are GUIDs or numbers."""

    label: Literal["mbr", "gpt"]
    spans: Sequence[Span]
    types: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Filesystem:
    """An ext filesystem that begins at ``offset`` of an image."""

    image: Path
    offset: int

    def check(self) -> None:
        """Return when e2fsck has nothing to say.

        :raises errors.CommandError: it has.
        """
        process.run(["e2fsck", "-f", "-n", self._place])

    def text(self, path: str) -> str:
        """What a file holds; nothing if it is not there, or is no text."""
        if self.size(path) > LONGEST_TEXT:
            return ""
        return self._ask("cat", path)

    def names(self, path: str) -> list[str]:
        """What is in a directory; nothing if it is not there."""
        return [name for name, _, _ in self._entries(path)]

    def exists(self, path: str) -> bool:
        """Whether there is something of that name."""
        return self._find(path) is not None

    def is_file(self, path: str) -> bool:
        """Whether it is a regular file, not only a link to one."""
        found = self._find(path)
        return found is not None and stat.S_ISREG(found[0])

    def size(self, path: str) -> int:
        """The bytes of a file; 0 if it is not there."""
        found = self._find(path)
        return found[1] if found else 0

    def _find(self, path: str) -> tuple[int, int] | None:
        directory, wanted = posixpath.split(posixpath.normpath(path))
        for name, mode, size in self._entries(directory):
            if name == wanted:
                return mode, size
        return None

    def _entries(self, path: str) -> list[tuple[str, int, int]]:
        rows = map(ENTRY.fullmatch, self._ask("ls -p", path).splitlines())
        return [
            (row["name"], int(row["mode"], 8), int(row["size"] or 0))
            for row in rows
            if row and row["name"] not in (".", "..")
        ]

    def _ask(self, request: str, path: str) -> str:
        if '"' in path or not path.isprintable():
            # No file that we look for; debugfs would take it for two words.
            return ""
        return process.run(
            ["debugfs", "-R", f'{request} "{path}"', self._place]
        )

    @property
    def _place(self) -> str:
        return f"{self.image}?offset={self.offset}"


@dataclasses.dataclass(frozen=True)
class Named:
    """What a filesystem says of itself in its superblock."""

    label: str
    uuid: str


def named(image: Path, offset: int) -> Named | None:
    """The names of a filesystem that can be a root; ``None`` if it is none."""
    with image.open("rb") as disk:
        for where, magic, label, number in SUPERBLOCKS:
            disk.seek(offset + where)
            block = disk.read(1024)
            if block[magic[0] :].startswith(magic[1]):
                text = block[label].partition(b"\0")[0]
                return Named(
                    label=text.decode("utf-8", "replace"),
                    uuid=str(uuid.UUID(bytes=block[number])),
                )
    return None


def partition_table(image: Path, sector: int) -> PartitionTable:
    """The parts of a disk with sectors of ``sector`` bytes.

    :raises ValueError: there is no table, or a damaged one.
    """
    found = _table(image, sector)
    size = image.stat().st_size
    for span in found.spans:
        # What reads them next goes where they say.
        if span.size <= 0 or span.offset + span.size > size:
            raise ValueError(f"partition {span.number} is not on the disk")
    return found


def _table(image: Path, sector: int) -> PartitionTable:
    with image.open("rb") as disk:
        first = disk.read(512)
        if first[510:512] != b"\x55\xaa":
            raise ValueError("there is no partition table")
        entries = [
            struct.unpack_from("<B3xB3xII", first, 446 + 16 * number)
            for number in range(4)
        ]
        if any(kind == PROTECTIVE for _, kind, _, _ in entries):
            return _gpt(disk, sector, image.stat().st_size)
        found = list(_mbr(disk, sector, entries))
    return PartitionTable(
        label="mbr",
        spans=[span for span, _ in found],
        types=[f"{kind:02X}" for _, kind in found],
    )


def _mbr(
    disk: BinaryIO, sector: int, entries: Sequence[tuple[int, ...]]
) -> Iterator[tuple[Span, int]]:
    """Each partition with its type, the logical ones in place of theirs."""
    for number, (_, kind, start, size) in enumerate(entries, start=1):
        if kind in EXTENDED:
            yield from _logical(disk, sector, start)
        elif kind:
            yield Span(start * sector, size * sector, number), kind


def _logical(
    disk: BinaryIO, sector: int, first: int
) -> Iterator[tuple[Span, int]]:
    at = first
    for number in range(5, MOST_LOGICAL):
        disk.seek(at * sector)
        table = disk.read(512)
        if table[510:512] != b"\x55\xaa":
            raise ValueError("a logical partition has no table before it")
        _, kind, start, size = struct.unpack_from("<B3xB3xII", table, 446)
        yield Span((at + start) * sector, size * sector, number), kind
        _, link, following, _ = struct.unpack_from("<B3xB3xII", table, 462)
        if link not in EXTENDED:
            return
        at = first + following
    raise ValueError("there is no end of logical partitions")


def _gpt(disk: BinaryIO, sector: int, size: int) -> PartitionTable:
    disk.seek(sector)
    header = disk.read(92)
    disk.seek(size // sector * sector - sector)
    if header[:8] != b"EFI PART" or disk.read(8) != b"EFI PART":
        raise ValueError("the GPT lacks one of its headers")
    at, count, length = struct.unpack_from("<QII", header, 72)
    if length < 128 or count > 1024 or at * sector + count * length > size:
        raise ValueError("the GPT's header is damaged")
    spans, types = [], []
    disk.seek(at * sector)
    for number in range(1, count + 1):
        entry = disk.read(length)
        kind, _, start, end = struct.unpack_from("<16s16sQQ", entry)
        if any(kind):
            spans.append(
                Span(start * sector, (end - start + 1) * sector, number)
            )
            types.append(str(uuid.UUID(bytes_le=kind)))
    return PartitionTable(label="gpt", spans=spans, types=types)
