"""What is mounted while a tree is worked on, and gone afterwards."""

from collections.abc import Collection, Iterator
import contextlib
import os
from pathlib import Path
import time

from dib_service.engine import errors, kernel, process

# An external interface: elements edit the image's own resolv.conf under
# this name while ours stands in its place.
ORIGINAL = "resolv.conf.ORIG"

# How long something may go on holding a mount before that is an error.
BUSY_SECONDS = 10.0


@contextlib.contextmanager
def prepared(root: Path) -> Iterator[Path]:
    """A tree in which programs can run: /proc, /sys, /dev and names."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_resolving(root))
        stack.enter_context(mounted("proc", place(root, "proc"), "-t", "proc"))
        stack.enter_context(
            mounted("sysfs", place(root, "sys"), "-t", "sysfs", "-o", "ro")
        )
        stack.enter_context(mounted("/dev", place(root, "dev"), "--bind"))
        stack.enter_context(
            mounted(
                "devpts",
                place(root, "dev/pts"),
                *("-t", "devpts"),
                *("-o", "newinstance,gid=5,mode=620,ptmxmode=666"),
            )
        )
        # The last to be entered is the first to end: before the umounts.
        stack.callback(unmount_below, root, but=below(root))
        stack.callback(process.end_rooted, root)
        yield root


@contextlib.contextmanager
def mounted(
    source: str | os.PathLike[str], target: Path, *options: str
) -> Iterator[Path]:
    """Mount source on target for as long as the block runs.

    :raises errors.CommandError: it could not be mounted.
    :raises errors.MountError: it was still in use at the end.
    """
    target.mkdir(parents=True, exist_ok=True)
    process.run(["mount", *options, source, target])
    try:
        yield target
    finally:
        unmount(target)


def below(root: Path) -> dict[int, Path]:
    """What is mounted below a directory, by the kernel's number for it, the
    oldest first."""
    return {
        number: path
        for number, path in kernel.mount_points()
        if path != root and path.is_relative_to(root)
    }


def unmount_below(root: Path, but: Collection[int] = ()) -> None:
    """Unmount what hooks have mounted below a directory and left there.

    ``but`` are the numbers of those that stay.

    :raises errors.MountError: one is still in use.
    """
    for number, path in reversed(below(root).items()):
        if number not in but:
            unmount(path)


def unmount(target: Path) -> None:
    """Unmount target, waiting a little for whoever still looks at it.

    :raises errors.MountError: it is still in use.
    """
    # Never lazily: what follows reads the image file, and a lazy umount
    # returns before the last pages are on it.
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            process.run(["umount", target])
        except errors.CommandError as exc:
            if time.monotonic() > give_up:
                raise errors.MountError(
                    f"{target} does not let itself be unmounted: "
                    f"{exc.stderr.strip()}",
                    path=str(target),
                ) from exc
            # Something that a hook left running sits in it.
            process.end_all()
            time.sleep(0.1)
        else:
            return


def place(root: Path, relative: str) -> Path:
    """``relative`` below root, made if need be, never outside of it.

    An absolute symlink in the tree means something else out here than it
    does in the chroot.

    :raises errors.MountError: a symlink leads out of the tree.
    """
    path = root
    for part in Path(relative).parts:
        path = path / part
        if path.is_symlink():
            raise errors.MountError(
                f"/{relative} of the image goes through a symlink",
                path=f"/{relative}",
            )
        path.mkdir(exist_ok=True)
    return path


@contextlib.contextmanager
def _resolving(root: Path) -> Iterator[None]:
    """Lend the tree our resolv.conf, keep its own beside it."""
    etc = place(root, "etc")
    current, original = etc / "resolv.conf", etc / ORIGINAL
    if current.is_symlink() or current.exists():
        current.rename(original)
    current.write_bytes(_our_names())
    current.chmod(0o644)
    try:
        yield
    finally:
        _give_back(current, original)


def _give_back(current: Path, original: Path) -> None:
    # A symlink was made while ours was lent, as when systemd-resolved is
    # installed, or a hook has written a file that nobody shall change: the
    # image's own decision.
    if current.is_symlink() or kernel.is_immutable(current):
        original.unlink(missing_ok=True)
        return
    current.unlink(missing_ok=True)
    if original.is_symlink() or original.exists():
        original.rename(current)


def _our_names() -> bytes:
    with contextlib.suppress(OSError):
        return Path("/etc/resolv.conf").read_bytes()
    return b"nameserver 8.8.8.8\n"
