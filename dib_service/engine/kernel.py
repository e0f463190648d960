"""Calls of the kernel's for which Python has no name."""

import ctypes
import os
from pathlib import Path
import platform

from dib_service.engine import errors

# From <sched.h>, <sys/mount.h>, <sys/prctl.h>.
CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID = 0x08000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC = 4096, 16384
MS_UNBINDABLE, MS_PRIVATE = 1 << 17, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

# From <asm/unistd.h>; the C library has no function for it.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name."""
    _call("unshare", flags)


def end_with_parent(number: int) -> None:
    """Be sent a signal when the parent ends, however it ends."""
    _call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)


def set_host_name(name: bytes) -> None:
    """Be called so, in this namespace."""
    _call("sethostname", name, len(name))


def mount(
    source: str,
    target: Path,
    *,
    kind: str | None = None,
    flags: int = 0,
    data: str = "",
) -> None:
    """Mount source on target; of ``kind`` only where it is a new mount."""
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() or None,
        about=str(target),
    )


def replace_root(new: Path) -> None:
    """Make a mount point the root, with no way back to what was it."""
    os.chdir(new)
    number = PIVOT_ROOT[platform.machine()]
    _call("syscall", number, b".", b".", about="pivot_root")
    # The old root now lies on the new one. Lazily, for once: nothing in it
    # was ours to write back.
    _call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def _call(name: str, *arguments: object, about: str = "") -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise errors.SandboxError(name, about, os.strerror(number))
