"""What may differ in two trees that are the same, and why.

Short, and each with its reason: a path that is here is a path where nobody
would see this engine go wrong.
"""

from collections.abc import Callable, Mapping
import dataclasses
from pathlib import Path
import re

# Both builds draw these at random, or say where or when they were made.
CHANCE = {
    r"/var/cache/ldconfig/aux-cache": "inode numbers and times of libraries",
}


def _lines_sorted(text: bytes) -> bytes:
    return b"\n".join(sorted(text.splitlines()))


def _without_salts(text: bytes) -> bytes:
    return re.sub(rb"(?m)^([^:]*:\$\w+)\$[^:]+:", rb"\1:", text)


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a file that may differ: what is left must be equal."""

    path: str
    why: str
    rest: Callable[[bytes], bytes]


PARTS = (
    Part(
        r"/etc/shadow-?",
        "a password's salt is drawn at random",
        _without_salts,
    ),
    Part(
        r"/etc/dib-manifests/dib-element-manifest",
        "in the order of a Python set",
        _lines_sorted,
    ),
)


def without(
    differences: Mapping[str, str], theirs: Path, ours: Path
) -> dict[str, str]:
    """The differences that are left when what may differ is put aside."""
    return {
        path: how
        for path, how in differences.items()
        if not (how == "content" and _may(path, theirs, ours))
    }


def _may(path: str, theirs: Path, ours: Path) -> bool:
    if any(re.fullmatch(pattern, path) for pattern in CHANCE):
        return True
    for part in PARTS:
        if re.fullmatch(part.path, path):
            left, right = (tree / path[1:] for tree in (theirs, ours))
            return part.rest(left.read_bytes()) == part.rest(
                right.read_bytes()
            )
    return False
