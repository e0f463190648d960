"""The config drive: a small filesystem labelled ``config-2``."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import re
import stat
import subprocess
import tempfile

from metadata_reader import data, files

# Some tools write a FAT's label in capitals.
LABELS = ("config-2", "CONFIG-2")
TYPES = ("iso9660", "vfat", "msdos")

BLOCK = Path("/sys/class/block")
# Of these, and of device-mapper's volumes, no cloud makes a config drive: but
# a host of guests has guests' disks there, who label them as they like.
NONE = re.compile(r"(loop|nbd|rbd|zram|ram|drbd)\d")
# A disk that is reached by several ways, or a part of one.
MULTIPATH = re.compile(r"(part\d+-)?mpath-")

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

    A partition beside the root's comes first: Ironic puts it there, and
    nobody else gets at it. Then come whole disks, as clouds attach them, and
    last the partitions of other disks.
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
            if kind in TYPES and may_be(device):
                found[device] = kind
    beside = disk_of(root())

    def place(pair: tuple[str, str]) -> tuple[bool, bool, str]:
        disk = disk_of(kernel_name(pair[0]))
        return (disk is None or disk != beside, disk is not None, pair[0])

    return sorted(found.items(), key=place)


def may_be(device: str) -> bool:
    """Whether a cloud would put the config drive there."""
    name = kernel_name(device)
    if name.startswith("dm-"):
        volume = files.value(BLOCK / name / "dm/uuid")
        return bool(MULTIPATH.match(volume))
    return not NONE.match(name)


def kernel_name(device: str) -> str:
    """What the kernel calls it: volumes have other names in /dev."""
    return Path(device).resolve().name


def root() -> str:
    """The kernel's name of what / lies on; nothing where that is no device."""
    number = Path("/").stat().st_dev
    place = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return place.resolve().name if place.exists() else ""


def disk_of(name: str) -> str | None:
    """The disk that it is a part of."""
    place = BLOCK / name
    if name and (place / "partition").exists():
        return place.resolve().parent.name
    return None


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
