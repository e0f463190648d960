"""The config drive: a small filesystem labelled ``config-2``."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import stat
import subprocess
import tempfile

from metadata_reader import data

# Some tools write a FAT's label in capitals.
LABELS = ("config-2", "CONFIG-2")
TYPES = ("iso9660", "vfat", "msdos")

SOURCE = "config-drive"
SECONDS = 30.0


def read() -> data.Metadata | None:
    """What the drive says; nothing if there is none.

    :raises data.Unreadable: there are some, and none of use.
    """
    problems = []
    for device, kind in devices():
        try:
            with mounted(device, kind) as place:
                return below(place)
        except data.Unreadable as exc:
            problems.append(f"{device}: {exc}")
        except (OSError, subprocess.SubprocessError) as exc:
            problems.append(f"{device}: {data.shown(exc)}")
    if problems:
        raise data.Unreadable("; ".join(problems))
    return None


def devices() -> list[tuple[str, str]]:
    """The devices with such a filesystem, each with its type.

    Whole disks, as clouds attach them, come before partitions: what a user
    labelled so inside a volume is not taken for the cloud's drive.
    """
    # Its symlinks and labels are not needed, only that the disks are there.
    ran("udevadm", "settle", "--timeout=30")
    found = {}
    for label in LABELS:
        said = ran(
            *("blkid", "--cache-file", os.devnull, "--output", "device"),
            *("--match-token", f"LABEL={label}"),
        )
        for device in said.split():
            kind = ran(
                *("blkid", "--cache-file", os.devnull, "--output", "value"),
                *("--match-tag", "TYPE", device),
            ).strip()
            if kind in TYPES:
                found[device] = kind
    return sorted(
        found.items(), key=lambda pair: (is_partition(pair[0]), pair[0])
    )


def is_partition(device: str) -> bool:
    """Whether it is a part of a disk."""
    return Path("/sys/class/block", Path(device).name, "partition").exists()


@contextlib.contextmanager
def mounted(device: str, kind: str) -> Iterator[Path]:
    """The drive's files, for as long as the block runs."""
    with tempfile.TemporaryDirectory(dir="/run") as place:
        options = "ro,nosuid,nodev,noexec"
        done = subprocess.run(
            ["mount", "-t", kind, "-o", options, device, place],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if done.returncode:
            said = done.stderr.strip().partition("\n")[0]
            raise OSError(f"cannot be mounted: {said}")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True, timeout=SECONDS)


def below(place: Path) -> data.Metadata:
    """What the files of a mounted drive say.

    :raises data.Unreadable: they are no use.
    """
    folder = newest(place / "openstack")
    return data.gather(SOURCE, lambda name: content(folder / name))


def newest(folder: Path) -> Path:
    """``latest``, or the last of the versions where that is not there."""
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError:
        raise data.Unreadable("there is no directory openstack") from None
    for name in ["latest", *reversed(names)]:
        found = folder / name
        if (found / "meta_data.json").is_file():
            return found
    raise data.Unreadable("there is no openstack/latest/meta_data.json")


def content(path: Path) -> bytes | None:
    """A file's content; nothing if there is no such file.

    A symlink is none: who made the drive would have it point to a file of
    this machine.
    """
    for each in (path.parent.parent, path.parent, path):
        if each.is_symlink():
            return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        found = file.read(data.LONGEST + 1)
    if len(found) > data.LONGEST:
        raise data.Unreadable(f"{path.name} is longer than anybody's")
    return found


def ran(*words: str) -> str:
    """What the program says; nothing if it cannot be asked."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS + 10,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
