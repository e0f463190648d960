"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
import subprocess
import tempfile

# Whose a file is: the numbers of its user and of its group.
Owner = tuple[int, int]
ROOT: Owner = (0, 0)

# It is there where SELinux is.
SELINUX = Path("/sys/fs/selinux/enforce")


def write(
    path: Path, content: str | bytes, *, mode: int, owner: Owner = ROOT
) -> bool:
    """Make the file so; whether it was not.

    Nobody sees the content who may not see the file.
    """
    if isinstance(content, str):
        content = content.encode()
    if is_so(path, content, mode, owner):
        return False
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            # Only who is root, or it already, can give it to somebody.
            if owner != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        new.replace(path)
        label(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    return True


def label(path: Path) -> None:
    """Have SELinux call it what the policy calls a file of this name."""
    if SELINUX.exists():
        with contextlib.suppress(OSError):
            subprocess.run(["restorecon", path], timeout=30)


def is_so(path: Path, content: bytes, mode: int, owner: Owner) -> bool:
    """Whether it is a plain file with this content, mode and owner."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        return (
            about.st_mode == 0o100000 | mode
            and (about.st_uid, about.st_gid) == owner
            and file.read(len(content) + 1) == content
        )


def value(path: Path) -> str:
    """A short text, as the kernel has them; nothing where there is none."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeError):
        return ""


def remove(path: Path) -> bool:
    """Take the file away; whether there was one."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
