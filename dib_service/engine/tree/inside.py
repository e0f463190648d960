"""Reads a tree as whoever is in it would: no symlink of it leads out."""

from collections.abc import Iterator
import contextlib
import errno
import os
from pathlib import Path
import stat

LONGEST_TEXT = 256 * 1024
MOST_LINKS = 40


def text(root: Path, path: str) -> str | None:
    """What a regular file holds; ``None`` if it is not there, or longer."""
    with contextlib.suppress(OSError), _opened(root, path) as held:
        status = os.fstat(held)
        if stat.S_ISREG(status.st_mode) and status.st_size <= LONGEST_TEXT:
            # What was opened, and nothing that has its name by now.
            file = Path(f"/proc/self/fd/{held}")
            return file.read_text(encoding="utf-8", errors="replace")
    return None


def is_longer(root: Path, path: str) -> bool:
    """Whether it is a regular file of which ``text`` says nothing."""
    with contextlib.suppress(OSError), _opened(root, path) as held:
        status = os.fstat(held)
        return stat.S_ISREG(status.st_mode) and status.st_size > LONGEST_TEXT
    return False


def names(root: Path, path: str) -> list[str]:
    """What is in a directory, sorted; nothing if it is not there."""
    with contextlib.suppress(OSError), _opened(root, path) as held:
        found = Path(f"/proc/self/fd/{held}").iterdir()
        return sorted(entry.name for entry in found)
    return []


def is_program(root: Path, path: str) -> bool:
    """Whether it is a file that can be executed, or a link to one."""
    with contextlib.suppress(OSError), _opened(root, path) as held:
        mode = os.fstat(held).st_mode
        return stat.S_ISREG(mode) and bool(mode & 0o111)
    return False


@contextlib.contextmanager
def _opened(root: Path, path: str) -> Iterator[int]:
    """What ``path`` is when ``root`` is the root, opened for no more.

    :raises OSError: it is not there, or its links have no end.
    """
    steps = path.split("/")[::-1]
    links = 0
    with contextlib.ExitStack() as stack:
        held = [_open(stack, str(root))]
        while steps:
            step = steps.pop()
            if step in ("", "."):
                continue
            if step == "..":
                # As in a chroot: above its root there is its root.
                held[1:] = held[1:-1]
                continue
            found = _open(stack, step, dir_fd=held[-1])
            if not stat.S_ISLNK(os.fstat(found).st_mode):
                held.append(found)
                continue
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink("", dir_fd=found)
            if target.startswith("/"):
                del held[1:]
            steps += target.split("/")[::-1]
        yield held[-1]


def _open(
    stack: contextlib.ExitStack, name: str, *, dir_fd: int | None = None
) -> int:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    found = os.open(name, flags, dir_fd=dir_fd)
    stack.callback(os.close, found)
    return found
