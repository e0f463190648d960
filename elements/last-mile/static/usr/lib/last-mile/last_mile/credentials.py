"""Files that come with the metadata, and go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import dataclasses
import grp
import os
from pathlib import Path
import pwd
import re
from typing import Any

from metadata_reader import files
from metadata_reader.data import shown

from last_mile.asked import text_of

# Below these an image takes files: one directory on a line of any file here.
PLACES = Path("/usr/lib/last-mile/places.d")

MOST = 256
MODE = re.compile(r"0?[0-7]{3}")
OWNER = re.compile(r"([a-z_][a-z0-9_.-]{0,31})(?::([a-z_][a-z0-9_.-]{0,31}))?")


@dataclasses.dataclass(frozen=True)
class File:
    """One of them, with everything about it checked."""

    path: Path
    content: bytes
    mode: int
    owner: files.Owner


def places(folder: Path = PLACES) -> list[Path]:
    """The directories that this image takes files below."""
    found = []
    for each in sorted(folder.glob("*")):
        for line in each.read_text().splitlines():
            line = line.partition("#")[0].strip()
            if line.startswith("/"):
                found.append(Path(os.path.normpath(line)))
    return found


def wanted(
    described: object,
    allowed: Iterable[Path],
    warn: Callable[[str], object],
) -> list[File]:
    """The files that are described well; of the others somebody is told."""
    if not isinstance(described, list) or len(described) > MOST:
        warn(f"files is not a list of at most {MOST}: left out")
        return []
    allowed = list(allowed)
    found: dict[Path, File] = {}
    for each in described:
        try:
            file = _checked(each, allowed)
        except (ValueError, KeyError, OSError) as exc:
            path = each.get("path") if isinstance(each, dict) else each
            reason = getattr(exc, "strerror", None) or exc.args[0]
            warn(f"file {shown(repr(path), 80)}: {shown(reason)}: left out")
            continue
        found[file.path] = file
    return list(found.values())


def write(file: File) -> bool:
    """Have it there; whether that is new."""
    file.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return files.write(
        file.path, file.content, mode=file.mode, owner=file.owner
    )


def _checked(each: Any, allowed: list[Path]) -> File:
    if not isinstance(each, dict):
        raise ValueError("it is no object")
    return File(
        path=_path(each.get("path"), allowed),
        content=text_of(each),
        mode=_mode(each.get("mode", "0600")),
        owner=_owner(each.get("owner", "root:root")),
    )


def _path(value: object, allowed: list[Path]) -> Path:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("its path is not absolute")
    if not value.isprintable() or value.endswith("/"):
        raise ValueError("its path is no file's")
    path = Path(value)
    if ".." in path.parts:
        raise ValueError("its path goes up again")
    if not any(place in path.parents for place in allowed):
        raise ValueError("this image takes no files there")
    # Links on the way may lead elsewhere.
    real = path.parent.resolve()
    if not any(place.resolve() in (real, *real.parents) for place in allowed):
        raise ValueError("a link leads to where this image takes no files")
    if path.is_dir():
        raise ValueError("there is a directory of this name")
    return path


def _mode(value: object) -> int:
    if not isinstance(value, str) or not MODE.fullmatch(value):
        raise ValueError('its mode is not of the form "0640"')
    mode = int(value, 8)
    if mode & 0o002:
        raise ValueError("its mode lets everybody write it")
    return mode


def _owner(value: object) -> files.Owner:
    match = OWNER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('its owner is not of the form "user:group"')
    user = pwd.getpwnam(match[1])
    group = grp.getgrnam(match[2]).gr_gid if match[2] else user.pw_gid
    return user.pw_uid, group
