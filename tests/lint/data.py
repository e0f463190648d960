"""What an element declares is read, sorted and about elements that exist."""

from collections.abc import Iterator
import json
import pathlib
import re
from typing import Any

import yaml

from tests.lint.shelf import Shelf, text, words

DECLARED = ("package-installs.yaml", "package-installs.json", "svc-map")


def is_tidy(shelf: Shelf) -> Iterator[str]:
    for path in shelf.files():
        said = text(path)
        if said and (
            not said.endswith("\n")
            or "\t" in said
            or re.search(r" $", said, re.MULTILINE)
        ):
            yield f"{shelf.name(path)}: tab, trailing blank or no last newline"


def can_be_read(shelf: Shelf) -> Iterator[str]:
    for path in _declarations(shelf):
        try:
            _read(path)
        except (ValueError, yaml.YAMLError) as exc:
            yield f"{shelf.name(path)}: {exc}"


def is_sorted(shelf: Shelf) -> Iterator[str]:
    """Each list that two people may add to: then they seldom collide."""
    for element in shelf.elements():
        for name in ("element-deps", "element-provides"):
            lines = words(element / name)
            if lines != sorted(set(lines)):
                yield f"{element.name}/{name}: not sorted, or twice the same"
    for path in _declarations(shelf):
        try:
            declared = _read(path)
        except (ValueError, yaml.YAMLError):
            continue
        if path.name == "pkg-map":
            names = _sections(declared)
        elif path.name in DECLARED:
            names = {"": declared}
        else:
            continue
        for section, entries in names.items():
            if list(entries or ()) != sorted(entries or ()):
                yield f"{shelf.name(path)}: {section} is not sorted".replace(
                    ":  ", ": "
                )


def names_elements_that_exist(shelf: Shelf) -> Iterator[str]:
    known = {path.name for path in shelf.elements()}
    for element in shelf.elements():
        known.update(words(element / "element-provides"))
    for element in shelf.elements():
        for name in words(element / "element-deps"):
            if name not in known:
                yield f"{element.name}/element-deps: no element {name}"


def _declarations(shelf: Shelf) -> Iterator[pathlib.Path]:
    for path in shelf.files():
        if path.suffix in (".yaml", ".json") or (
            path.name in ("pkg-map", "svc-map")
            and path.parent.parent == shelf.path
        ):
            yield path


def _read(path: pathlib.Path) -> Any:
    # JSON is what pkg-map is to be, and YAML would take more than that.
    if path.name == "pkg-map" or path.suffix == ".json":
        return json.loads(path.read_text())
    return yaml.safe_load(path.read_text())


def _sections(declared: dict[str, Any]) -> dict[str, Any]:
    """Each list of names in a pkg-map, by where it stands."""
    found = {"default": declared.get("default", {})}
    for kind in ("family", "distro", "release"):
        for name, entries in declared.get(kind, {}).items():
            if kind != "release":
                found[f"{kind}.{name}"] = entries
                continue
            for release, packages in entries.items():
                found[f"{kind}.{name}.{release}"] = packages
    return found
