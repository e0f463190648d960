"""What may differ in two trees that are the same, and why.

Short, and each with its reason: a path that is here is a path where nobody
would see this engine go wrong.
"""

from collections.abc import Callable, Mapping
import dataclasses
from pathlib import Path
import re

# Names of places that tell one side or one run from the other.
PLACES = (
    (rb"/run-\w+/(?:peer|ours)/", b"/SIDE/"),
    (rb"/elements-\w+/", b"/DIRECTORY/"),
    (rb"/tmp/dib_build\.\w+", b"/BUILD"),
    (rb"/tmp/dib-engine-\w+/dib_build\.[\w-]+", b"/BUILD"),
)

# Both builds draw these at random, or say in them where or when it was.
CHANCE = {
    r"/boot/initrd\.img-.*": "an archive with the time of each file",
    r"/etc/iscsi/initiatorname\.iscsi": "a name drawn at random",
    r"/opt/.*/\.git/index": "inode numbers and times of files",
    r"/opt/.*/\.git/logs/.*": "the time of a clone",
    r"/var/cache/ldconfig/aux-cache": "inode numbers and times of libraries",
}


def _lines_sorted(text: bytes) -> bytes:
    return b"\n".join(sorted(text.splitlines()))


def _without_salts(text: bytes) -> bytes:
    return re.sub(rb"(?m)^([^:]*:\$\w+)\$[^:]+:", rb"\1:", text)


# Options and programs of either, and what we keep out of an image.
VARIABLES = re.compile(
    rb"(?m)^declare -x DIB_(?:ARGS|DEV_USER_PASSWORD|IMAGE_CACHE|IMAGE_SIZE"
    rb"|PYTHON_EXEC|RUN_MARKER)(?:=.*)?\n?"
)


def _variables(text: bytes) -> bytes:
    return VARIABLES.sub(b"", text)


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
    Part(
        r"/etc/dib-manifests/dib_environment",
        "options are variables of ours, and a password is not kept",
        _variables,
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
    left, right = (
        _placeless((tree / path[1:]).read_bytes()) for tree in (theirs, ours)
    )
    for part in PARTS:
        if re.fullmatch(part.path, path):
            left, right = part.rest(left), part.rest(right)
    return left == right


def _placeless(text: bytes) -> bytes:
    for pattern, word in PLACES:
        text = re.sub(pattern, word, text)
    return text
