"""Where a build runs: namespaces of its own, in which it sees only itself.

Two processes share the work. The outer one, which somebody started and may
kill, makes a workspace, lends the inner one its ears, and cleans up when
that has ended. The inner one is process 1 of a PID namespace: when it ends,
everything that the build ever started ends with it, and its mounts too.
"""

from collections.abc import Iterable, Iterator, Mapping
import contextlib
import ctypes
import os
from pathlib import Path
import signal
import stat

from dib_service.engine import errors

# From <sched.h>, <sys/mount.h>, <sys/prctl.h>.
CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID = 0x08000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

# What a build has no business to read on the machine that runs it.
ALWAYS_HIDDEN = (
    "/etc/dib-service",
    "/etc/openstack",
    "/root/.config/openstack",
    "/root/.ssh",
    "/run/dib-service",
    "/var/lib/dib-service",
)

# Kernel names: major, minor, and the mode it has everywhere.
NODES: Mapping[str, tuple[int, int, int]] = {
    "full": (1, 7, 0o666),
    "null": (1, 3, 0o666),
    "random": (1, 8, 0o666),
    "tty": (5, 0, 0o666),
    "urandom": (1, 9, 0o666),
    "zero": (1, 5, 0o666),
    "loop-control": (10, 237, 0o660),
    "fuse": (10, 229, 0o666),
}
LINKS = {
    "fd": "/proc/self/fd",
    "ptmx": "pts/ptmx",
    "stderr": "/proc/self/fd/2",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
}
LOOP_MAJOR, LOOP_NODES = 7, 256

_libc = ctypes.CDLL(None, use_errno=True)


def unshare_pids() -> None:
    """Let the next child be process 1 of a PID namespace."""
    _call("unshare", CLONE_NEWPID)


def end_with_parent() -> None:
    """Be killed when the parent ends, however it ends."""
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enclose(
    *, hidden: Iterable[Path], shown: Iterable[Path], temporary: Path
) -> None:
    """Leave the host's namespaces, with what is hidden out of sight.

    ``shown`` stays where it is even if it lies in something hidden.
    ``temporary`` becomes /tmp and /var/tmp. This keeps a build from what it
    has no business with; it is no wall against a root that means harm,
    who may unmount what covers a path or make a node for the host's disk.
    """
    _call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)
    _call("sethostname", b"localhost", len(b"localhost"))
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _detach("/proc")
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    with _held(shown) as held, _held([temporary]) as [(_, ours)]:
        for directory in ("/tmp", "/var/tmp"):  # noqa: S108
            _mount(f"/proc/self/fd/{ours}", directory, None, MS_BIND)
        for path in _outermost([*hidden, *map(Path, ALWAYS_HIDDEN)]):
            _hide(path)
        _show_again(held)
    _private_devices()


def _hide(path: Path) -> None:
    if path.is_dir():
        _mount("tmpfs", str(path), "tmpfs", MS_NODEV, "mode=755")
    elif path.exists():
        _mount("/dev/null", str(path), None, MS_BIND)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Each path once, with its symlinks resolved, none inside another."""
    found: list[Path] = []
    for path in sorted({path.resolve() for path in paths}):
        if not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found


@contextlib.contextmanager
def _held(paths: Iterable[Path]) -> Iterator[list[tuple[Path, int]]]:
    """Keep hold of directories whose names are about to be covered."""
    held = []
    try:
        for path in _outermost(paths):
            held.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC)))
        yield held
    finally:
        for _, descriptor in held:
            os.close(descriptor)


def _show_again(held: Iterable[tuple[Path, int]]) -> None:
    for path, descriptor in held:
        if _same(path, descriptor):
            continue
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", str(path), None, MS_BIND)


def _same(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _private_devices() -> None:
    """A /dev without the host's disks."""
    made = Path("/tmp/dev")  # noqa: S108 (ours alone by now)
    made.mkdir()
    _mount("tmpfs", str(made), "tmpfs", MS_NOSUID, "mode=755,size=64m")
    for name, (major, minor, mode) in NODES.items():
        _node(made / name, stat.S_IFCHR, (major, minor), mode)
    # More than there are: the kernel makes the device when it is asked for,
    # and nobody here would make its node then.
    for minor in range(LOOP_NODES):
        _node(made / f"loop{minor}", stat.S_IFBLK, (LOOP_MAJOR, minor), 0o660)
    for name, target in LINKS.items():
        (made / name).symlink_to(target)
    for name in ("pts", "shm"):
        (made / name).mkdir()
    _mount("tmpfs", str(made / "shm"), "tmpfs", MS_NOSUID | MS_NODEV)
    _mount(
        *("devpts", str(made / "pts"), "devpts", MS_NOSUID | MS_NOEXEC),
        "newinstance,gid=5,mode=620,ptmxmode=666",
    )
    _detach("/dev")
    _mount(str(made), "/dev", None, MS_MOVE)
    made.rmdir()


def _detach(place: str) -> None:
    """Take the host's mounts away, so that nobody finds them underneath."""
    # Lazily, for once: nothing is written back, and ours come at once.
    with contextlib.suppress(errors.SandboxError):
        _call("umount2", place.encode(), MNT_DETACH)


def _node(path: Path, kind: int, number: tuple[int, int], mode: int) -> None:
    os.mknod(path, kind | mode, os.makedev(*number))
    path.chmod(mode)


def _mount(
    source: str, target: str, kind: str | None, flags: int, data: str = ""
) -> None:
    _call(
        "mount",
        source.encode(),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() or None,
        about=target,
    )


def _call(name: str, *arguments: object, about: str = "") -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise errors.SandboxError(name, about, os.strerror(number))
