"""What elements and operators registered to outlive a redeploy."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib

GLOB = set("*?[")
FOLDERS = ("usr/lib/persistent-state.d", "etc/persistent-state.d")


@dataclasses.dataclass(frozen=True)
class Registered:
    """Absolute paths; ``files`` may be globs. ``wrong`` are other lines."""

    directories: tuple[str, ...]
    files: tuple[str, ...]
    wrong: tuple[str, ...] = ()


def read(root: pathlib.Path, *, mountpoint: str) -> Registered:
    """All lines of all ``*.conf`` below root.

    A file in /etc takes the place of one of the same name in /usr/lib. What
    lies in a directory that is registered goes with that directory.
    """
    directories, files, wrong = set(), set(), []
    for where, line in _lines(root):
        parts = pathlib.PurePosixPath(line).parts
        path = f"/{'/'.join(parts[1:])}"
        if not line.startswith("/") or ".." in parts or len(parts) < 3:
            wrong.append(f"{where}: {line}: not a path to keep")
        elif f"{mountpoint}/".startswith(f"{path}/"):
            wrong.append(f"{where}: {line}: the state is mounted in there")
        elif GLOB & set(path if line.endswith("/") else "".join(parts[:-1])):
            # Nothing says when what is in a folder without a name changes.
            wrong.append(f"{where}: {line}: a glob is of files in one folder")
        elif line.endswith("/"):
            directories.add(path)
        else:
            files.add(path)
    outer = {
        path
        for path in directories
        if not any(_inside(path, other) for other in directories)
    }
    alone = {
        path
        for path in files
        if not any(_inside(path, other) for other in outer)
    }
    return Registered(tuple(sorted(outer)), tuple(sorted(alone)), tuple(wrong))


def _lines(root: pathlib.Path) -> Iterator[tuple[str, str]]:
    chosen = {
        file.name: file
        for folder in FOLDERS
        for file in sorted((root / folder).glob("*.conf"))
    }
    for name, file in sorted(chosen.items()):
        for line in file.read_text(errors="replace").splitlines():
            text = line.strip()
            if text and not text.startswith("#"):
                yield name, text


def _inside(path: str, other: str) -> bool:
    return path != other and f"{path}/".startswith(f"{other}/")
