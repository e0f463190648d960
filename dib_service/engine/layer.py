"""Where hooks outside run when a person builds: where that person stands.

diskimage-builder starts them there: they find files that variables name by
a relative path, and leave files beside the image. Here they see that
directory through an overlay, so that what they write is apart from it until
the build has succeeded.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import os
from pathlib import Path
import stat
from typing import Self

from dib_service.engine import errors, kernel, mounts

# Plain ones: what lies in the upper directory is to be files as others
# know them, and a kernel may have been built with other defaults.
OPTIONS = "redirect_dir=off,metacopy=off,index=off"

# The kernel's own notes on what it put into the upper directory.
NOTES = "trusted.overlay."


@dataclasses.dataclass(frozen=True)
class Layer:
    """A directory as hooks see it, and what they have changed in it.

    ``cwd`` is where hooks run; what they write there is in ``upper``,
    ``lower`` stays as it is.
    """

    cwd: Path
    lower: Path
    upper: Path

    @classmethod
    def over(cls, lower: Path, *, upper: Path, place: Path) -> Self:
        """Mount one for as long as this mount namespace lasts.

        ``place`` is a new directory, on the filesystem of ``upper``.

        :raises errors.SandboxError: overlayfs cannot be had of these.
        """
        work, root = place / "work", place / "root"
        # Whoever stands in / says where things are; and to look at all that
        # is mounted would wake each automounter.
        elsewhere = () if lower == Path("/") else mounts.below(lower).values()
        for directory in (place, work, root):
            directory.mkdir()
        with contextlib.ExitStack() as held:
            # Options are separated by what may be in a name, so the names
            # are numbers.
            below, above, beside = (
                held.enter_context(_held(path))
                for path in (lower, upper, work)
            )
            # Around it there is what is around the caller: "../file".
            kernel.mount("/", root, flags=kernel.MS_BIND | kernel.MS_REC)
            cwd = root / lower.relative_to("/")
            kernel.mount(
                "overlay",
                cwd,
                kind="overlay",
                data=f"lowerdir={below},upperdir={above},workdir={beside},"
                f"{OPTIONS}",
            )
        for path in elsewhere:
            # An overlay shows nothing of other filesystems. One that another
            # one covers is not there to be shown.
            with contextlib.suppress(errors.SandboxError):
                kernel.mount(
                    str(path),
                    cwd / path.relative_to(lower),
                    flags=kernel.MS_BIND,
                )
        return cls(cwd, lower, upper)

    def settle(self, name: str) -> None:
        """Leave in ``upper`` what hooks made, as plain files.

        Not what they deleted, nor files that they only opened, locked or
        gave other rights. What is called ``name.something`` was made in any
        case: a kernel may be the one that the last build left there.
        """
        for directory, names, files in os.walk(self.upper, topdown=False):
            for each in (*files, *names):
                self._settle(Path(directory, each), name)

    def _settle(self, path: Path, name: str) -> None:
        status = path.lstat()
        before = _status(self.lower / path.relative_to(self.upper))
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            # What stands there for a file that is no more.
            path.unlink()
        elif stat.S_ISDIR(status.st_mode):
            known = before and stat.S_ISDIR(before.st_mode)
            if known and not any(path.iterdir()):
                path.rmdir()
            else:
                _forget_notes(path)
        elif not path.name.startswith(f"{name}.") and _same(status, before):
            path.unlink()
        else:
            _forget_notes(path)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[str]:
    """A name of a directory that has nothing of its own in it."""
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _status(path: Path) -> os.stat_result | None:
    with contextlib.suppress(OSError):
        return path.lstat()
    return None


def _same(now: os.stat_result, before: os.stat_result | None) -> bool:
    """Whether a file is still what it was; its rights may have changed."""
    # The overlay's copy has the time of what it is a copy of.
    return before is not None and (
        (stat.S_IFMT(now.st_mode), now.st_size, now.st_mtime_ns)
        == (stat.S_IFMT(before.st_mode), before.st_size, before.st_mtime_ns)
    )


def _forget_notes(path: Path) -> None:
    for note in os.listxattr(path, follow_symlinks=False):
        if note.startswith(NOTES):
            os.removexattr(path, note, follow_symlinks=False)
