"""Brings what a build made to where it was asked for, as one set."""

from collections.abc import Iterator
import contextlib
import datetime
import errno
import os
from pathlib import Path
import shutil

from dib_service.engine import process

# What stands beside a file and is only true of that one.
CHECKSUMS = (".md5", ".sha256", ".sha512")


def deliver(
    source: Path,
    target: Path,
    *,
    owner: tuple[int, int] | None = None,
    keep_old: bool = False,
) -> None:
    """Move all that is in source to target, never half of a file.

    Nothing gets its name before everything has arrived. ``owner`` is who
    gets it; with ``keep_old``, a file that has such a name already is
    renamed, with its checksums, by the time of now.
    """
    names = sorted(path.name for path in source.iterdir())
    with _arriving(target, names) as partial:
        for name in names:
            _move(source / name, partial[name])
            if owner:
                _give(partial[name], owner)
        stamp = datetime.datetime.now().strftime("%Y.%m.%d-%H.%M.%S")
        for name in names:
            if partial[name].is_dir() or (target / name).is_dir():
                _delete(target / name)
            elif not name.endswith(CHECKSUMS):
                _make_way(target / name, stamp if keep_old else "")
        for name in names:
            partial[name].replace(target / name)


@contextlib.contextmanager
def _arriving(target: Path, names: list[str]) -> Iterator[dict[str, Path]]:
    """Where each is until it has arrived; gone afterwards."""
    partial = {name: target / f".{name}.part" for name in names}
    for path in partial.values():
        _delete(path)
    try:
        yield partial
    finally:
        for path in partial.values():
            _delete(path)


def _make_way(path: Path, stamp: str) -> None:
    """Rename a file that is there, or delete what would lie of the new.

    Its checksums are those of another file from now on.
    """
    checksums = [path.with_name(path.name + kind) for kind in CHECKSUMS]
    if stamp and path.exists():
        old = path.with_name(f"{path.stem}-{stamp}{path.suffix}")
        path.rename(old)
        for kind, checksum in zip(CHECKSUMS, checksums, strict=True):
            if checksum.exists():
                checksum.rename(old.with_name(old.name + kind))
    else:
        for checksum in checksums:
            checksum.unlink(missing_ok=True)


def _give(path: Path, owner: tuple[int, int]) -> None:
    os.chown(path, *owner, follow_symlinks=False)
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            _give(entry, owner)


def _move(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        # Another filesystem. An image is mostly holes: they stay holes.
        process.run(["cp", "--archive", "--sparse=always", "--", path, target])
        process.run(["sync", "--file-system", target])


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
