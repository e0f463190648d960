"""A FAT filesystem at its place in the tree, with or without a driver.

Many builders have no vfat driver, and an EFI system partition is FAT. What
hooks write there is then kept in memory and copied into the partition by
mtools when they are done.
"""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import shutil
import stat

from dib_service.engine import errors, mounts, process
from dib_service.engine.disk import loop

# What a directory of the host's cannot be named in FAT.
FORBIDDEN = frozenset('"*/:<>?\\|')


@contextlib.contextmanager
def mounted(
    device: loop.LoopDevice, place: Path, point: str
) -> Iterator[None]:
    """The FAT filesystem of a device, writable at ``place``.

    ``point`` is what the image calls that place.

    :raises errors.FatContent: something there cannot be kept in FAT.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(
                mounts.mounted(device.path, place, "-t", "vfat")
            )
            driver = True
        except errors.CommandError:
            # Whether there is a driver is found out only by asking: it may
            # be a module that nobody has loaded yet.
            driver = False
            # A boot loader asks of which device this is the mount, and looks
            # into that with a FAT driver of its own. A tmpfs takes the
            # device's name for its own.
            in_memory = ("-t", "tmpfs", "-o", f"size={device.size},mode=755")
            stack.enter_context(mounts.mounted(device.path, place, *in_memory))
        yield
        if not driver:
            check(place, point)
            _copy_in(place, device.path, point)


def check(directory: Path, point: str) -> None:
    """Refuse what FAT cannot hold.

    Owners, modes and attributes are left out without a word: in FAT nobody
    has them, and the machine decides when it mounts it.

    :raises errors.FatContent: naming the first such file.
    """
    for folder, names in _folders(directory):
        where = f"{point}/{folder.relative_to(directory)}".rstrip("/.")
        seen: dict[str, str] = {}
        for name in names:
            status = (folder / name).lstat()
            if not (
                stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
            ):
                raise errors.FatContent(
                    f"{where}/{name}", "is neither a file nor a directory"
                )
            if not _nameable(name):
                raise errors.FatContent(
                    f"{where}/{name}", "has a name that vfat does not take"
                )
            other = seen.setdefault(name.casefold(), name)
            if other != name:
                raise errors.FatContent(
                    f"{where}/{name}",
                    f"is the same name as {other} to a vfat filesystem",
                )


def fill(source: Path, target: Path, point: str) -> None:
    """Copy a directory to where a FAT filesystem is mounted.

    :raises errors.FatContent: something in it cannot be kept there.
    """
    check(source, point)
    for folder, names in _folders(source):
        for name in names:
            path = folder / name
            copy = target / path.relative_to(source)
            if path.is_dir():
                copy.mkdir(exist_ok=True)
                continue
            shutil.copyfile(path, copy)
            status = path.stat()
            os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _folders(directory: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each directory with the names in it, parents first, in one order."""
    for folder, below, files in os.walk(directory):
        below.sort()
        yield Path(folder), sorted([*below, *files])


def _nameable(name: str) -> bool:
    return (
        name.isprintable()
        and not FORBIDDEN.intersection(name)
        and not name.endswith((" ", "."))
        and len(name) <= 255
    )


def _copy_in(directory: Path, device: Path, point: str) -> None:
    entries = sorted(directory.iterdir())
    if not entries:
        return
    try:
        process.run(
            [
                # With their times, and never a question; not with -b, which
                # mcopy 4.0.32 can no longer do.
                *("mcopy", "-s", "-m", "-Q", "-i", device),
                *entries,
                "::",
            ],
            env={"LC_ALL": "C.UTF-8", "MTOOLSRC": "/dev/null"},
        )
    except errors.CommandError as exc:
        if "full" in exc.stderr.lower():
            raise errors.FatContent(
                point, "does not fit into its partition"
            ) from exc
        raise
