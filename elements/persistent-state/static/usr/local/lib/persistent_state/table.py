"""Add an entry to a partition table of a disk that is in use."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import time

from persistent_state.devices import SYS, Device, device
from persistent_state.faults import Fault, run

NODE_SECONDS = 10.0
# An MBR has so many bits for a sector's number.
MBR_SECTORS = 1 << 32
LINUX = {"gpt": "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "dos": "83"}


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as ``sfdisk --dump`` has it; entries in bytes, by number."""

    kind: str
    header: tuple[str, ...]
    lines: tuple[str, ...]
    entries: dict[int, tuple[int, int]]


def read(disk: Device) -> Table:
    """The disk's table.

    :raises Fault: it has none that we know.
    """
    lines = run("sfdisk", "--dump", disk.path).splitlines()
    header = [line for line in lines if re.match(r"[a-z-]+: ", line)]
    entries = [line for line in lines if line.startswith("/dev/")]
    told = dict(line.split(": ", 1) for line in header)
    if told.get("label") not in LINUX:
        raise Fault("table", f"{disk.path} has no GPT and no MBR")
    unit = sector_size(disk)
    found = {}
    for line in entries:
        place = re.match(
            r"\S*?(\d+) : start= *(\d+), size= *(\d+)", line.strip()
        )
        if place:
            number, start, size = map(int, place.groups())
            if size:
                found[number] = (start * unit, size * unit)
    return Table(told["label"], tuple(header), tuple(entries), found)


def overlapping(table: Table, start: int, size: int) -> list[int]:
    """The numbers of the entries that have a part of that room."""
    return [
        number
        for number, (first, length) in table.entries.items()
        if first < start + size and start < first + length
    ]


def add(disk: Device, table: Table, start: int, size: int, label: str) -> str:
    """Enter a partition there; the kernel name that it got.

    Nothing is written but the table. What it said of its own end is left
    out: an image was made for a smaller disk than it is on.

    :raises Fault: the table is full, or cannot be written.
    """
    most = 4 if table.kind == "dos" else 128
    free = set(range(1, most + 1)) - set(table.entries)
    if not free:
        raise Fault("table", f"{disk.path} has {most} partitions already")
    number = min(free)
    unit = sector_size(disk)
    if table.kind == "dos" and (start + size) // unit > MBR_SECTORS:
        raise Fault(
            "table",
            f"the MBR of {disk.path} ends at {MBR_SECTORS * unit >> 40} TiB, "
            "before the state; an image with a GPT has it",
        )
    name = partition_name(disk, number)
    entry = (
        f"/dev/{name} : start={start // unit}, size={size // unit}, "
        f"type={LINUX[table.kind]}"
    )
    if table.kind == "gpt":
        entry += f', name="{label}"'
    kept = [line for line in table.header if not line.startswith("last-lba")]
    # The disk is in use, so the kernel is told of the one entry alone.
    run(
        *("sfdisk", "--quiet", "--force", "--no-reread", "--no-tell-kernel"),
        *("--wipe", "never", "--wipe-partitions", "never", disk.path),
        stdin="\n".join([*kept, "", *table.lines, entry, ""]),
    )
    run("partx", "--add", "--nr", str(number), disk.path)
    return _appeared(name)


def partition_name(disk: Device, number: int) -> str:
    """What the kernel calls a partition of the disk."""
    between = "p" if disk.name[-1].isdigit() else ""
    return f"{disk.name}{between}{number}"


def sector_size(disk: Device) -> int:
    """What the disk counts in, in bytes."""
    file = SYS / disk.disk / "queue/logical_block_size"
    return int(file.read_text())


def _appeared(name: str) -> str:
    deadline = time.monotonic() + NODE_SECONDS
    while not pathlib.Path("/dev", name).is_block_device():
        if time.monotonic() > deadline:
            raise Fault("table", f"/dev/{name} was made and did not appear")
        time.sleep(0.1)
    return device(name).name
