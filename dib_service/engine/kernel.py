"""Calls of the kernel's for which Python has no name."""

from collections.abc import Iterable, Iterator
import contextlib
import ctypes
import fcntl
import os
from pathlib import Path
import platform
import socket
import struct

from dib_service.engine import errors

# From <sched.h>, <sys/mount.h>, <sys/prctl.h>.
CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID = 0x08000000, 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 32, 4096, 16384
MS_UNBINDABLE, MS_PRIVATE = 1 << 17, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 1, 24
PR_SET_NO_NEW_PRIVS = 38

# From <linux/sockios.h> and <linux/if.h>.
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

# From <linux/fs.h>: of ext4, XFS and btrfs, by chattr(1)'s name i.
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_IMMUTABLE_FL = 0x10

# From <asm/unistd.h>; the C library has no function for it.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

# How far below the root of everything a chroot may be.
DEEPEST = 256

_libc = ctypes.CDLL(None, use_errno=True)


def to_disk(path: Path) -> None:
    """Return when a file, or the names in a directory, are on the disk."""
    # A name may reach the disk before what it names does.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name."""
    _call("unshare", flags)


def enter_namespace(path: Path, flags: int) -> None:
    """Enter the namespace that a file below /proc stands for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("setns", descriptor, flags)
    finally:
        os.close(descriptor)


def end_with_parent(number: int) -> None:
    """Be sent a signal when the parent ends, however it ends."""
    _call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)


def forgo(capabilities: Iterable[int]) -> None:
    """Let no program that is started from now on have these."""
    last = last_capability()
    for number in capabilities:
        # What an older kernel does not know by name nobody can forgo.
        if number <= last:
            _call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)


def last_capability() -> int:
    """The highest number of a capability that this kernel has."""
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def gain_nothing() -> None:
    """Let no program that is started from now on have more than we have."""
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def loopback_up() -> None:
    """Let this network namespace speak to itself.

    :raises OSError: it may not.
    """
    request = struct.pack("16sH14x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


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


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Show a file or directory at another place as well."""
    mount(str(source), target, flags=MS_BIND | MS_REC)
    if read_only:
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID
        mount("none", target, flags=flags)


def mount_points() -> Iterator[tuple[int, Path]]:
    """The kernel's number for each mount that we see, and where it is."""
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        number, _, _, _, point, *_ = line.split(b" ")
        # Blanks and the like are written as \040, other bytes as they are.
        plain = point.decode("unicode_escape").encode("latin-1")
        yield int(number), Path(os.fsdecode(plain))


def root_is_mount() -> bool:
    """Whether / is a mount point, which it is not in a plain chroot."""
    return any(point == Path("/") for _, point in mount_points())


def make_root_a_mount() -> None:
    """Stay in a plain chroot, with / a mount of its own.

    Only what is the root of a mount can be made private, or be replaced; so
    we step out of the chroot, in a mount namespace that is ours alone, and
    into it again.
    """
    inside = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir("/")
    try:
        # Whose root is below where they are is held by nothing in going up.
        os.chroot("proc")
        for _ in range(DEEPEST):
            os.chdir("..")
        os.chroot(".")
        mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)
        os.fchdir(inside)
        place = Path.cwd()
    finally:
        os.close(inside)
    mount(str(place), place, flags=MS_BIND | MS_REC)
    os.chdir(place)
    os.chroot(".")


def is_immutable(path: Path) -> bool:
    """Whether a file has chattr's i; many filesystems have no such thing."""
    try:
        return bool(_flags(path) & FS_IMMUTABLE_FL)
    except OSError:
        return False


def make_mutable(path: Path) -> None:
    """Take chattr's i off a file.

    :raises OSError: it cannot be taken off.
    """
    flags = _flags(path) & ~FS_IMMUTABLE_FL
    with _opened(path) as file:
        fcntl.ioctl(file, FS_IOC_SETFLAGS, struct.pack("l", flags))


def _flags(path: Path) -> int:
    with _opened(path) as file:
        answer = fcntl.ioctl(file, FS_IOC_GETFLAGS, bytes(8))
    return int(struct.unpack("l", answer)[0])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a file or directory, without waiting for a FIFO."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


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
