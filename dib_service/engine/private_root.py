"""A root that shows the host's files, except for what is hidden.

What is hidden is not covered but absent: no mount lies on top of it that a
hook could take away. Where something is hidden, its directory is one of our
own, and everything beside it is bound there, one by one.
"""

from collections.abc import Iterable, Iterator
import contextlib
import os
from pathlib import Path
import stat

from dib_service.engine import errors, kernel

# Not the host's in any case: what a build has instead is mounted there.
INSTEAD = (Path("/proc"), Path("/dev"))
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 (a place to mount)

# Ours hold names only, and what hooks write where no build should.
SIZE = "size=64m,mode=755"


def enter(
    *, hidden: Iterable[Path], shown: Iterable[Path], temporary: Path
) -> None:
    """Make / such a root, for this mount namespace.

    ``shown`` stays where it is even if it lies in something hidden;
    ``temporary`` is both /tmp and /var/tmp.
    """
    left_out = _outermost([*hidden, *INSTEAD, *TEMPORARY])
    with _held(shown) as held, _held([temporary]) as [(_, ours)]:
        # Any place will do, it goes with the old root; unbindable, so that
        # it does not become part of itself.
        kernel.mount("tmpfs", temporary, kind="tmpfs", data=SIZE)
        kernel.mount("none", temporary, flags=kernel.MS_UNBINDABLE)
        _bind_around(Path("/"), temporary, set(left_out), _above(left_out))
        for path in TEMPORARY:
            place = _below(temporary, path.resolve())
            place.mkdir(parents=True, exist_ok=True)
            _bind_held(ours, place)
        for path, descriptor in held:
            place = _below(temporary, path)
            if not _same(place, descriptor):
                place.mkdir(parents=True, exist_ok=True)
                _bind_held(descriptor, place)
    kernel.replace_root(temporary)
    kernel.mount("none", Path("/"), flags=kernel.MS_PRIVATE)


def _bind_around(
    source: Path, target: Path, hidden: set[Path], above: set[Path]
) -> None:
    """Show in target what is in source, but for what is hidden."""
    _like(source, target)
    # Only what the directory says of its entries: some, as another user's
    # FUSE, answer no question about themselves.
    with os.scandir(source) as entries:
        for entry in entries:
            path, place = Path(entry), target / entry.name
            # What vanishes while we look, as in /run, need not be shown.
            with contextlib.suppress(FileNotFoundError):
                if entry.is_symlink():
                    place.symlink_to(path.readlink())
                elif path in hidden:
                    _placeholder(entry, place)
                elif path in above and entry.is_dir():
                    place.mkdir()
                    _bind_around(path, place, hidden, above)
                else:
                    _placeholder(entry, place)
                    _bind(path, place)


def _bind(path: Path, place: Path) -> None:
    try:
        kernel.mount(str(path), place, flags=kernel.MS_BIND | kernel.MS_REC)
    except errors.SandboxError:
        if path.exists():
            raise


def _bind_held(descriptor: int, place: Path) -> None:
    kernel.mount(f"/proc/self/fd/{descriptor}", place, flags=kernel.MS_BIND)


def _placeholder(entry: os.DirEntry[str], place: Path) -> None:
    if entry.is_dir(follow_symlinks=False):
        place.mkdir()
    else:
        place.touch()


def _like(source: Path, target: Path) -> None:
    """Give a directory the owner and mode of another."""
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Each path once, with its symlinks resolved, none inside another."""
    found: list[Path] = []
    for path in sorted({path.resolve() for path in paths}):
        if not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found


def _above(paths: Iterable[Path]) -> set[Path]:
    return {parent for path in paths for parent in path.parents}


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


@contextlib.contextmanager
def _held(paths: Iterable[Path]) -> Iterator[list[tuple[Path, int]]]:
    """Keep hold of directories whose names are about to be left."""
    held = []
    try:
        for path in _outermost(paths):
            held.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC)))
        yield held
    finally:
        for _, descriptor in held:
            os.close(descriptor)


def _same(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
