"""Brings what a build made to where it was asked for: all of it, or none."""

from collections.abc import Iterator
import contextlib
import datetime
import errno
import os
from pathlib import Path
import shutil

from dib_service.engine import kernel, process

# What stands beside a file and is only true of that one.
CHECKSUMS = (".md5", ".sha256", ".sha512")

# Where the files are while they arrive, from when on all of them have, and
# what they replace.
ARRIVING, WHOLE, REPLACED = "arriving", "whole", "replaced"


def place_in(target: Path) -> Path:
    """Where files for target wait; this process has one at a time."""
    return target / f".dib-engine-{os.getpid()}.part"


def deliver(
    source: Path,
    target: Path,
    *,
    place: Path,
    owner: tuple[int, int] | None = None,
    keep_old: bool = False,
    merge: bool = False,
) -> None:
    """Move all that is in source to target, or, after an error, nothing.

    Nothing gets its name before everything has arrived in ``place``, see
    ``place_in``. ``owner`` is who gets it; with ``keep_old``, a file that
    has such a name already is renamed, with its checksums, by the time of
    now. A directory takes the place of another one, or, with ``merge``, its
    files go into that.

    :raises errors.CommandError: there was no room for a copy.
    :raises OSError: as well, or target is not ours to change.
    """
    arriving, whole = place / ARRIVING, place / WHOLE
    shutil.rmtree(place, ignore_errors=True)
    # Ours in any case: in a directory that others write in, as /tmp is, it
    # could be their symlink.
    place.mkdir(mode=0o700)
    arriving.mkdir()
    try:
        for path in sorted(source.iterdir()):
            _move(path, arriving / path.name)
            if owner:
                _give(arriving / path.name, owner)
        arriving.rename(whole)
        _appear(place, target, keep_old, merge)
    finally:
        shutil.rmtree(place)


def finish(
    target: Path, *, place: Path, keep_old: bool = False, merge: bool = False
) -> None:
    """Do what is left of a delivery whose process was killed.

    If all files had arrived they appear; if not, none does.
    """
    if not place.is_symlink() and (place / WHOLE).is_dir():
        _appear(place, target, keep_old, merge)
    shutil.rmtree(place, ignore_errors=True)


def _move(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        # Another filesystem. An image is mostly holes: they stay holes.
        process.run(["cp", "--archive", "--sparse=always", "--", path, target])
        process.run(["sync", "--file-system", target])


def give_what_is_roots(path: Path, owner: tuple[int, int]) -> None:
    """Give all of a tree that is root's, and nobody else's, to owner."""
    # What vanishes meanwhile was somebody else's work.
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_uid == 0:
            os.chown(path, *owner, follow_symlinks=False)
        if _is_directory(path):
            for entry in path.iterdir():
                give_what_is_roots(entry, owner)


def _give(path: Path, owner: tuple[int, int]) -> None:
    os.chown(path, *owner, follow_symlinks=False)
    if _is_directory(path):
        for entry in path.iterdir():
            _give(entry, owner)


def _appear(place: Path, target: Path, keep_old: bool, merge: bool) -> None:
    """Give the files their names; take them back if one cannot have its."""
    replaced = place / REPLACED
    replaced.mkdir(exist_ok=True)
    stamp = datetime.datetime.now().strftime("%Y.%m.%d-%H.%M.%S")
    arrived = sorted(_pairs(place / WHOLE, target, merge))
    with contextlib.ExitStack() as undo:
        for path, final in arrived:
            if path.suffix not in CHECKSUMS:
                aside = replaced / final.parent.relative_to(target)
                aside.mkdir(parents=True, exist_ok=True)
                # diskimage-builder does so for the image alone.
                kept = final.parent == target and not path.is_dir()
                for old, new in _in_the_way(
                    final, aside, stamp if keep_old and kept else ""
                ):
                    _set_aside(old, new)
                    undo.callback(new.rename, old)
        for path, final in arrived:
            path.rename(final)
            undo.callback(final.rename, path)
        for directory in {final.parent for _, final in arrived} | {target}:
            kernel.to_disk(directory)
        undo.pop_all()


def _pairs(
    source: Path, target: Path, merge: bool
) -> Iterator[tuple[Path, Path]]:
    """What is to be moved, and where to."""
    for path in source.iterdir():
        final = target / path.name
        if merge and _is_directory(path) and _is_directory(final):
            yield from _pairs(path, final, merge)
        else:
            yield path, final


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _in_the_way(
    path: Path, replaced: Path, stamp: str
) -> Iterator[tuple[Path, Path]]:
    """What is there already, and where it goes.

    Its checksums go with it: they are those of another file from now on.
    """
    for kind in ("", *CHECKSUMS):
        old = path.with_name(path.name + kind)
        if not os.path.lexists(old):
            continue
        if stamp and not path.is_dir():
            name = f"{path.stem}-{stamp}{path.suffix}{kind}"
            yield old, old.with_name(name)
        else:
            yield old, replaced / old.name


def _set_aside(old: Path, new: Path) -> None:
    if new.parent != old.parent and not old.is_dir():
        # Another name for it: nobody who looks for the first misses it.
        with contextlib.suppress(OSError):
            os.link(old, new, follow_symlinks=False)
            if old.suffix in CHECKSUMS:
                old.unlink()
            return
    old.rename(new)
