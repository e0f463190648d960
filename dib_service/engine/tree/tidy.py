"""What a build leaves in a tree and an image should not have."""

from collections.abc import Iterator
import os
from pathlib import Path
import shutil

# Made by mkfs or mount points themselves: no sign of a distribution.
MEANINGLESS = frozenset({"lost+found", "tmp"})


def empty(root: Path) -> bool:
    """Whether nobody has put anything into the tree."""
    return all(entry.name in MEANINGLESS for entry in root.iterdir())


def remove_lost_and_found(root: Path) -> None:
    """Every filesystem makes its own."""
    for path in _real(root, "lost+found"):
        shutil.rmtree(path)


def forget_the_build(root: Path) -> None:
    """Empty /tmp and the logs; hooks and package scripts fill them."""
    for path in _real(root, "tmp"):
        for entry in path.iterdir():
            _delete(entry)
    for path in _real(root, "var/log"):
        for log in _files(path):
            os.truncate(log, 0)
    for path in _real(root, "root"):
        for log in path.glob("*.log"):
            _delete(log)


def _real(root: Path, relative: str) -> Iterator[Path]:
    """The directory, if it is one and no symlink leads out of the tree."""
    path = root
    for part in Path(relative).parts:
        path = path / part
        if path.is_symlink() or not path.is_dir():
            return
    yield path


def _files(directory: Path) -> Iterator[Path]:
    for place, _, names in os.walk(directory):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
