"""Where a build runs: namespaces of its own, in which it sees only itself.

Two processes share the work. The outer one, which somebody started and may
kill, makes a workspace, lends the inner one its ears, and cleans up when
that has ended. The inner one is process 1 of a PID namespace: when it ends,
everything that the build ever started ends with it, and its mounts too.
"""

from collections.abc import Iterable, Mapping
import os
from pathlib import Path
import signal
import stat

from dib_service.engine import kernel, private_root

# What a build has no business to read, or to speak to, on the machine that
# runs it: its bus and its init do what root asks of them, outside of here.
ALWAYS_HIDDEN = (
    "/etc/dib-service",
    "/etc/openstack",
    "/root/.config/openstack",
    "/root/.ssh",
    "/run/dbus",
    "/run/dib-service",
    "/run/systemd/private",
    "/var/lib/dib-service",
)

# From <linux/capability.h>: what reaches the machine beyond its files, and no
# element has a use for. Mounts, nodes, owners and networks they do need.
FORGONE: Mapping[str, int] = {
    "CAP_SYS_MODULE": 16,
    "CAP_SYS_RAWIO": 17,
    "CAP_SYS_BOOT": 22,
    "CAP_SYS_TIME": 25,
    "CAP_SYSLOG": 34,
    "CAP_WAKE_ALARM": 35,
    "CAP_BLOCK_SUSPEND": 36,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}

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


def unshare_pids() -> None:
    """Let the next child be process 1 of a PID namespace."""
    kernel.unshare(kernel.CLONE_NEWPID)


def share_pids() -> None:
    """Let further children be in our own PID namespace again.

    Nobody can be born into one whose process 1 has ended.
    """
    kernel.enter_namespace(Path("/proc/self/ns/pid"), kernel.CLONE_NEWPID)


def end_with_parent() -> None:
    """Be killed when the parent ends, however it ends."""
    kernel.end_with_parent(signal.SIGKILL)


def enclose(
    *, hidden: Iterable[Path], shown: Iterable[Path], temporary: Path
) -> None:
    """Leave the host's namespaces, with what is hidden out of sight.

    ``shown`` stays where it is even if it lies in something hidden.
    ``temporary`` becomes /tmp and /var/tmp. This keeps a build from what it
    has no business with; it is no wall against a root that means harm,
    who may make a node for the host's disk.
    """
    _unshare()
    kernel.set_host_name(b"localhost")
    private_root.enter(
        hidden=[*hidden, *map(Path, ALWAYS_HIDDEN)],
        shown=shown,
        temporary=temporary,
    )
    _own_kernel_mounts()
    kernel.forgo(FORGONE.values())


def stay() -> None:
    """Leave the host's namespaces, with its files all in sight.

    For a person's build on a machine of their own: elements may read what
    that person has. What a build mounts and starts still ends with it.
    """
    _unshare()
    _own_kernel_mounts()


def _unshare() -> None:
    kernel.unshare(
        kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
    )
    if not kernel.root_is_mount():
        kernel.make_root_a_mount()
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)


def _own_kernel_mounts() -> None:
    kernel.mount(
        "proc",
        Path("/proc"),
        kind="proc",
        flags=kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC,
    )
    _private_devices(Path("/dev"))


def _private_devices(place: Path) -> None:
    """A /dev without the host's disks."""
    kernel.mount(
        "tmpfs",
        place,
        kind="tmpfs",
        flags=kernel.MS_NOSUID,
        data="mode=755,size=64m",
    )
    for name, (major, minor, mode) in NODES.items():
        _node(place / name, stat.S_IFCHR, (major, minor), mode)
    # More than there are: the kernel makes the device when it is asked for,
    # and nobody here would make its node then.
    for minor in range(LOOP_NODES):
        _node(place / f"loop{minor}", stat.S_IFBLK, (LOOP_MAJOR, minor), 0o660)
    for name, target in LINKS.items():
        (place / name).symlink_to(target)
    for name in ("pts", "shm"):
        (place / name).mkdir()
    kernel.mount(
        "tmpfs",
        place / "shm",
        kind="tmpfs",
        flags=kernel.MS_NOSUID | kernel.MS_NODEV,
    )
    kernel.mount(
        "devpts",
        place / "pts",
        kind="devpts",
        flags=kernel.MS_NOSUID | kernel.MS_NOEXEC,
        data="newinstance,gid=5,mode=620,ptmxmode=666",
    )


def _node(path: Path, kind: int, number: tuple[int, int], mode: int) -> None:
    os.mknod(path, kind | mode, os.makedev(*number))
    path.chmod(mode)
