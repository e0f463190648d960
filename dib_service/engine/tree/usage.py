"""What takes the room in a tree, for a person who wonders about a size."""

from collections.abc import Callable, Iterator, Mapping
import os
from pathlib import Path

from dib_service.engine.sizes import KiB, MiB

# In a report that is not to be of everything.
LARGE = 10 * MiB

# What a file's status counts in.
SECTOR = 512


def report(
    root: Path,
    environment: Mapping[str, str],
    tell: Callable[[str], object],
) -> None:
    """Say it, largest first, if DIB_SHOW_IMAGE_USAGE asks for it.

    That is of what is large, and of everything with
    DIB_SHOW_IMAGE_USAGE_FULL. A directory counts with all that is in it.
    """
    if environment.get("DIB_SHOW_IMAGE_USAGE", "0") == "0":
        return
    everything = environment.get("DIB_SHOW_IMAGE_USAGE_FULL", "0") != "0"
    tell("what takes the room in the image:")
    found = sorted(sizes(root).items(), key=lambda pair: (-pair[1], pair[0]))
    for path, size in found:
        if everything or size >= LARGE:
            tell(f"{_readable(size):>10}  {path}")


def sizes(root: Path) -> Mapping[str, int]:
    """Bytes on disk of every file and directory of one filesystem.

    A file with several names counts once, by its first.
    """
    found: dict[str, int] = {}
    seen = set()
    for place, names in _deepest_first(root):
        total = place.lstat().st_blocks * SECTOR
        for name in names:
            path = place / name
            status = path.lstat()
            key = (status.st_dev, status.st_ino)
            if str(path) in found:
                total += found[str(path)]
            elif key not in seen:
                seen.add(key)
                found[str(path)] = status.st_blocks * SECTOR
                total += found[str(path)]
        found[str(place)] = total
    prefix = len(str(root))
    return {path[prefix:] or "/": size for path, size in found.items()}


def _deepest_first(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for place, directories, files in os.walk(root, topdown=False):
        yield Path(place), sorted([*directories, *files])


def _readable(size: int) -> str:
    if size >= LARGE:
        return f"{size // MiB} MiB"
    return f"{size // KiB} KiB"
