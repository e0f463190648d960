"""diskimage-builder's own elements, unmodified, make the same trees.

builds.yaml says which are built together. What each build came to is kept
for the table that ``python -m tests.conformance.table`` prints.
"""

import dataclasses
import json
from pathlib import Path
import re
import shutil
import time
from typing import Any
import unittest

import yaml

from tests.conformance import (
    author,
    bookworm,
    fixtures,
    ignored,
    peer,
    sides,
    trees,
)

BUILDS = Path(__file__).with_name("builds.yaml")
RESULTS = sides.CHECKOUT / ".lab/conformance/results"
DIFFERENT = sides.CHECKOUT / ".lab/conformance/different"

RESOLVED = re.compile(r"Expanded element dependencies to: (.*)")

GIB_ENOUGH = 3


class ElementsTest(unittest.TestCase):
    maxDiff = None

    def check(self, name: str) -> None:
        described = yaml.safe_load(BUILDS.read_text())[name]
        began = time.monotonic()
        with author.place() as directory:
            fixtures.write(directory)
            wanted = _wanted(name, described, directory)
            with sides.both(wanted) as both:
                theirs, ours = both
                for side in both:
                    self.assertEqual(0, side.code, side.log[-4000:])
                result = Result(name, *_compared(described, theirs, ours))
        result = dataclasses.replace(
            result, seconds=round(time.monotonic() - began)
        )
        result.keep()
        self.assertEqual({}, result.unexplained)

    def test_machine(self) -> None:
        self.check("machine")

    def test_declared(self) -> None:
        self.check("declared")

    def test_packages(self) -> None:
        self.check("packages")

    def test_cloud(self) -> None:
        self.check("cloud")

    def test_kernel(self) -> None:
        self.check("kernel")

    def test_no_image(self) -> None:
        self.check("no-image")

    def test_debian(self) -> None:
        self.check("debian")


@dataclasses.dataclass(frozen=True)
class Result:
    """What a build of both came to.

    ``explained`` are those differences that builds.yaml gives a reason for,
    by element.
    """

    name: str
    elements: list[str]
    explained: dict[str, str]
    unexplained: dict[str, str]
    seconds: int = 0

    def keep(self) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{self.name}.json").write_text(
            json.dumps(dataclasses.asdict(self), indent=1)
        )


def _wanted(
    name: str, described: dict[str, Any], directory: Path
) -> sides.Wanted:
    given = {
        "DIB_BOOKWORM_TREE": str(bookworm.tree()),
        "DIB_DEBIAN_SECURITY_MIRROR": bookworm.mirror("bookworm-security"),
        "DIB_DISTRIBUTION_MIRROR": bookworm.mirror("bookworm"),
        "DIB_SOURCES": str(directory),
        **described.get("environment", {}),
    }
    return sides.Wanted(
        tuple(described["elements"]),
        environment={
            variable: value.replace("DIRECTORY", str(directory))
            for variable, value in given.items()
        },
        base=described.get("base", False),
        size=GIB_ENOUGH,
        authorized_keys=fixtures.KEY,
        name=name,
    )


def _compared(
    described: dict[str, Any], theirs: sides.Side, ours: sides.Side
) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The peer's elements in this build, and the two kinds of differences."""
    found = RESOLVED.search(theirs.log)
    assert found, theirs.log
    names = {path.name for path in peer.elements().iterdir()}
    elements = sorted(set(found[1].split()) & names)
    differences = {**_of_the_build(theirs, ours), **_of_trees(theirs, ours)}
    explained = {}
    for each in described.get("different", ()):
        matching = [
            path for path in differences if re.fullmatch(each["path"], path)
        ]
        for path in matching:
            del differences[path]
            explained[each["element"]] = each["because"]
    return elements, explained, differences


def _of_the_build(theirs: sides.Side, ours: sides.Side) -> dict[str, str]:
    found = {}
    if theirs.hooks != ours.hooks:
        found["the hooks"] = f"{theirs.hooks}, {ours.hooks}"
    if ours.left:
        found["left behind"] = str(ours.left)
    if missing := set(theirs.made) - set(ours.made):
        found["beside the image"] = f"without {sorted(missing)}"
    return found


def _of_trees(theirs: sides.Side, ours: sides.Side) -> dict[str, str]:
    if not theirs.image.exists() and not ours.image.exists():
        return {}
    with theirs.mounted() as left, ours.mounted() as right:
        found = ignored.without(trees.compare(left, right), left, right)
        for path in (path for path in found if found[path] == "content"):
            for side, tree in ((theirs, left), (ours, right)):
                # For whoever wants to know what it is.
                kept = DIFFERENT / side.name / path[1:]
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tree / path[1:], kept)
        return found
