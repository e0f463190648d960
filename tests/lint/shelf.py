"""A directory of elements, and how their files are told apart."""

from collections.abc import Iterator
import dataclasses
import functools
import os
import pathlib
import re

PHASES = (
    "root",
    "extra-data",
    "pre-install",
    "install",
    "post-install",
    "post-root",
    "block-device",
    "pre-finalise",
    "finalise",
    "cleanup",
)


@dataclasses.dataclass(frozen=True)
class Shelf:
    """The elements below ``path``."""

    path: pathlib.Path

    def elements(self) -> list[pathlib.Path]:
        return sorted(path for path in self.path.iterdir() if path.is_dir())

    def files(self) -> list[pathlib.Path]:
        return sorted(
            path
            for path in self.path.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )

    def hooks(self) -> Iterator[pathlib.Path]:
        """What stands in the phases, whether it would be run or not."""
        for element in self.elements():
            for phase in PHASES:
                for path in sorted((element / f"{phase}.d").glob("*")):
                    if path.is_file():
                        yield path

    def shell_scripts(self) -> list[pathlib.Path]:
        return [
            path for path in self.files() if shebang(path) == "#!/bin/bash"
        ]

    def snippets(self) -> list[pathlib.Path]:
        """What is sourced before each phase."""
        return [
            path
            for path in self.files()
            if path.parent.name == "environment.d"
        ]

    def sourced(self) -> list[pathlib.Path]:
        """All shell code that another script reads."""
        return [
            path
            for path in self.files()
            if not shebang(path)
            and (
                path.parent.name in ("environment.d", "init.d")
                or path.suffix == ".sh"
            )
        ]

    def name(self, path: pathlib.Path) -> str:
        """The path as a complaint has it, from the element's name on."""
        return str(path.relative_to(self.path))


@functools.cache
def shebang(path: pathlib.Path) -> str:
    with path.open("rb") as source:
        first = source.readline()
    return first.decode().strip() if first.startswith(b"#!") else ""


def runnable(path: pathlib.Path) -> bool:
    return os.access(path, os.X_OK)


def code(path: pathlib.Path) -> str:
    """What a script does, without what it says of that."""
    return re.sub(r"^\s*#.*", "", text(path), flags=re.MULTILINE)


def text(path: pathlib.Path) -> str:
    return path.read_text(errors="replace")


def words(path: pathlib.Path) -> list[str]:
    """The lines of a list of elements; none where there is no such file."""
    return path.read_text().splitlines() if path.exists() else []
