"""Give what is kept to those who owned it, whatever their numbers are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import itertools
import json
import os
import pathlib
import stat

RECORD = "owners.json"
KINDS = {"users": "etc/passwd", "groups": "etc/group"}
# Added to the number of who is on the way; systemd has nobody there either.
BETWEEN = 1 << 31
# From here on, too: who is not in this image, and whose number is another's.
PARKED = 3 << 30

Names = Mapping[str, int]


def own_again(top: pathlib.Path, root: pathlib.Path) -> None:
    """Give all below top to the numbers that root's users and groups have.

    Whose number has become another's, and who is not there now, has one that
    nobody has until he is there again.

    Two users may have changed places, a file may have two names, and power
    may be lost in the midst of it. So who moves first gets a number that
    nobody has, and then the new one; either can be done again.

    :raises OSError: a file cannot be given to its owner.
    """
    record = top / RECORD
    now = {kind: _numbers(root / file) for kind, file in KINDS.items()}
    said = _recorded(record)
    if "to" in said:
        _arrive(top, said, said["to"])
        said = said["to"]
        _write(record, said)
    before = {kind: said.get(kind, {}) for kind in KINDS}
    to = {kind: _with_gone(before[kind], now[kind]) for kind in KINDS}
    leaving = {kind: _leaving(before[kind], to[kind]) for kind in KINDS}
    if any(leaving.values()):
        _give(top, leaving)
        _write(record, {**before, "to": to})
        _arrive(top, before, to)
    if to != said:
        _write(record, to)


def walk(top: pathlib.Path) -> Iterator[pathlib.Path]:
    """The folder, and all that is in it."""
    yield top
    for folder, directories, files in os.walk(top):
        for name in (*directories, *files):
            yield pathlib.Path(folder, name)


def _leaving(before: Names, to: Names) -> dict[int, int]:
    return {
        number: _between(number)
        for name, number in before.items()
        if to.get(name, number) != number
    }


def _between(number: int) -> int:
    """What is nobody's already needs no other on the way."""
    return number if number >= PARKED else BETWEEN + number


def _arrive(
    top: pathlib.Path, before: Mapping[str, Names], to: Mapping[str, Names]
) -> None:
    arriving = {
        kind: {
            _between(number): to[kind].get(name, number)
            for name, number in before[kind].items()
        }
        for kind in KINDS
    }
    _give(top, arriving)


def _with_gone(before: Names, now: Names) -> Names:
    """Who is there now, and who may be there again in the next image."""
    taken = {*now.values(), *before.values()}
    free = (each for each in itertools.count(PARKED) if each not in taken)
    others = set(now.values())
    gone = {
        name: next(free) if number in others else number
        for name, number in sorted(before.items())
        if name not in now
    }
    return {**gone, **now}


def _give(top: pathlib.Path, numbers: Mapping[str, Mapping[int, int]]) -> None:
    for path in walk(top):
        told = os.lstat(path)
        user = numbers["users"].get(told.st_uid, told.st_uid)
        group = numbers["groups"].get(told.st_gid, told.st_gid)
        if (user, group) != (told.st_uid, told.st_gid):
            _chown(path, user, group, told.st_mode)


def _chown(path: pathlib.Path, user: int, group: int, mode: int) -> None:
    kept = {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
    }
    os.lchown(path, user, group)
    # The kernel takes a file's capabilities and set-id bits from it.
    for name, value in kept.items():
        os.setxattr(path, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode))


def _recorded(record: pathlib.Path) -> dict[str, dict[str, int]]:
    """What was written last; empty if nothing was, or half of it."""
    try:
        said: dict[str, dict[str, int]] = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return said


def _write(record: pathlib.Path, said: object) -> None:
    new = record.with_name(f"{record.name}.new")
    # On the disk after all that was given, before anything else is.
    with new.open("w") as file:
        file.write(json.dumps(said))
        file.flush()
        os.fsync(file.fileno())
    new.replace(record)


def _numbers(file: pathlib.Path) -> dict[str, int]:
    """The number of each user or group."""
    rows = [
        line.split(":")
        for line in file.read_text(errors="replace").splitlines()
    ]
    return {
        row[0]: int(row[2])
        for row in rows
        if len(row) > 2 and row[2].isdigit()
    }
