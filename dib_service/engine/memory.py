"""A build in memory, for who wants one and has the room for it."""

from pathlib import Path

from dib_service.engine import kernel
from dib_service.engine.sizes import KiB

MEMINFO = Path("/proc/meminfo")


def available(meminfo: Path = MEMINFO) -> int:
    """Bytes that programs can have without others being swapped out."""
    for line in meminfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * KiB
    return 0


def cover(places: list[Path], wanted: int) -> bool:
    """Put empty filesystems in memory over directories, if there is room.

    ``wanted`` is in bytes; twice as much has to be free, for the tree is
    there twice while the image is filled.
    """
    free = available()
    if free < 2 * wanted:
        return False
    for place in places:
        kernel.mount(
            "tmpfs", place, kind="tmpfs", data=f"size={free},mode=755"
        )
    return True
