"""Find the partition with the state, or make it where there never was one.

Whatever might be somebody's data is left as it is: nothing is formatted but
room in which nothing at all can be recognised.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re

from persistent_state import devices, locator, superblock, table
from persistent_state.devices import Device
from persistent_state.faults import Fault, exit_code, run
from persistent_state.locator import Locator

MiB = 1 << 20
# Kept free at the end of the root disk: Ironic's agent makes the config drive
# there, from 64 MiB before the end, rounded down to a whole MiB, and behind
# it is the GPT's second copy.
RESERVED = 72 * MiB
# Between the end of the filesystem and that of its partition: the locator.
TAIL = 1 * MiB
# A filesystem of less has no room for anything but itself.
LEAST = 32 * MiB
IRONICS = "ephemeral0"
EXT = ("ext2", "ext3", "ext4")
# A disk is there early, or is not there.
DISK_SECONDS = 30.0
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What /etc/persistent-state.conf says.

    ``place`` is ``root-disk``, ``ephemeral``, or the path or the serial
    number of a disk; ``size`` is of the partition on the root disk.
    ``disks``, kernel names, are all that is looked at, if there are any.
    """

    label: str = "persistent-state"
    place: str = "root-disk"
    size: str = "10%"
    disks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Found:
    """A filesystem that can be mounted; ``made`` just now."""

    device: Device
    kind: str
    made: bool = False


def find_or_make(wanted: Wanted, root_disk: Device | None = None) -> Found:
    """The state's filesystem.

    :raises Fault: there is none that may be used.
    """
    target = None
    if wanted.place not in ("root-disk", "ephemeral"):
        target = devices.named_disk(wanted.place, seconds=DISK_SECONDS)
    elif wanted.place == "root-disk":
        # Whatever comes of it: what no entry stands around, root grows over.
        # What fails here does so again where it matters.
        with contextlib.suppress(Fault, OSError):
            entered_anew(wanted, root_disk or devices.root_disk())
    several = labelled(wanted)
    if len(several) > 1:
        names = " and ".join(each.path for each, _ in several)
        raise Fault(
            "two-candidates",
            f"{names} are both labelled {wanted.label}; take the label from "
            "the wrong one, or the disk out",
        )
    if several:
        return checked(wanted, *several[0])
    if wanted.place == "ephemeral":
        raise Fault(
            "absent",
            f"no partition is labelled {wanted.label} or {IRONICS}: does the "
            "flavor ask for an ephemeral disk?",
        )
    if target:
        return on_disk(wanted, target)
    return at_the_end(wanted, root_disk or devices.root_disk())


def entered_anew(wanted: Wanted, disk: Device) -> None:
    """Have an entry in the table around what was the state at the end.

    :raises Fault: the table cannot be read or written.
    """
    end = _end(disk)
    note = locator.read(disk.path, end)
    if note is None:
        return
    layout = table.read(disk)
    size = end - note.start
    if not table.overlapping(layout, note.start, size):
        table.add(disk, layout, note.start, size, wanted.label)


def exposed(wanted: Wanted, root_disk: Device | None = None) -> bool:
    """Whether there is state at the end of the root disk, and no entry.

    The root would grow over it.
    """
    if wanted.place != "root-disk":
        return False
    try:
        disk = root_disk or devices.root_disk()
        end = _end(disk)
        note = locator.read(disk.path, end)
    except (Fault, OSError):
        return False
    if note is None:
        return False
    try:
        layout = table.read(disk)
    except Fault:
        return True
    return not table.overlapping(layout, note.start, end - note.start)


def labelled(wanted: Wanted) -> list[tuple[Device, dict[str, str]]]:
    """All that has the label, as a filesystem or as a partition."""
    found = []
    labels = {wanted.label}
    if wanted.place == "ephemeral":
        labels.add(IRONICS)
    for each in devices.all_devices(wanted.disks):
        try:
            tags = devices.recognised(each.path)
        except Fault:
            # A disk that cannot be read is not the one.
            continue
        if {tags.get("LABEL"), tags.get("PART_ENTRY_NAME")} & labels:
            found.append((each, tags))
    return found


def checked(wanted: Wanted, device: Device, tags: dict[str, str]) -> Found:
    """The filesystem of a labelled device.

    :raises Fault: it is none of ours, or damaged.
    """
    kind = devices.signature(tags)
    if kind in EXT:
        code = exit_code("e2fsck", "-p", device.path)
        # Less than nothing: a signal has ended it.
        if not 0 <= code < 4:
            raise Fault(
                "damaged",
                f"fsck cannot repair {device.path} by itself (it exited "
                f"{code}); repair it by hand with e2fsck and reboot",
            )
        _noted(device)
    elif kind == "":
        note = locator.read(device.path, device.size)
        # Whoever else made a filesystem left no note. On a disk without a
        # table it may be a former tenant's, which cleaning leaves in part.
        lost = device.is_partition and superblock.copied(device.path)
        if note is not None or lost:
            raise Fault(
                "damaged",
                f"the filesystem on {device.path} is gone, and there has "
                "been one; try e2fsck -b 32768, or wipe it with wipefs and "
                "blkdiscard if its state may be forgotten",
            )
        # Somebody made it for the purpose, and nothing else.
        return formatted(wanted, device)
    elif kind != "xfs":
        raise Fault(
            "foreign",
            f"{device.path} is labelled {wanted.label} and holds {kind}, "
            "which is not ext4 or xfs",
        )
    return Found(device, kind)


def on_disk(wanted: Wanted, disk: Device) -> Found:
    """The state on a disk of its own, which nobody has used yet.

    :raises Fault: somebody has.
    """
    tags = devices.recognised(disk.path)
    kind = devices.signature(tags)
    parts = [
        each for each in devices.all_devices((disk.name,)) if each.is_partition
    ]
    if kind or parts:
        raise Fault(
            "foreign",
            f"{disk.path} is to hold the state and holds "
            f"{kind or 'partitions'}; clear it with wipefs if nobody needs "
            "that",
        )
    return checked(wanted, disk, tags)


def at_the_end(wanted: Wanted, disk: Device) -> Found:
    """The state at the end of the root disk.

    :raises Fault: something else is there.
    """
    end = _end(disk)
    note = locator.read(disk.path, end)
    place = note or Locator(end - in_bytes(wanted.size, disk), 0)
    start, size = place.start, end - place.start
    if size < LEAST or start < 0:
        raise Fault(
            "no-room",
            f"a state of {size} bytes is "
            f"{'too small' if size < LEAST else f'more than {disk.path} has'}",
        )
    layout = table.read(disk)
    taken = table.overlapping(layout, start, size)
    tags = devices.recognised(disk.path, start=start, size=size)
    kind = devices.signature(tags)
    known = bool(note) or (kind in EXT and tags.get("LABEL") == wanted.label)
    if [layout.entries[number] for number in taken] == [(start, size)] and (
        known or not kind
    ):
        # An MBR has no names to find it by.
        device = devices.device(table.partition_name(disk, taken[0]))
        return checked(wanted, device, devices.recognised(device.path))
    if taken:
        what = "that the state was on" if note else "for the state"
        raise Fault(
            "overwritten" if note else "no-room",
            f"partition {taken[0]} of {disk.path} reaches into the last "
            f"{(disk.size - start) // MiB} MiB {what}",
        )
    if kind and not known:
        raise Fault(
            "foreign",
            f"{disk.path} holds {kind} where the state is to be, at byte "
            f"{start}; clear it with wipefs -o {start} if nobody needs that",
        )
    name = table.add(disk, layout, start, size, wanted.label)
    device = devices.device(name)
    if known:
        return checked(wanted, device, devices.recognised(device.path))
    return formatted(wanted, device)


def formatted(wanted: Wanted, device: Device) -> Found:
    """An ext4 filesystem where nothing has been, and the note behind it.

    :raises Fault: there is not enough room, or it cannot be written.
    """
    size = _room(device)
    if size < LEAST:
        raise Fault("no-room", f"{device.path} is too small for any state")
    run(
        *("mkfs.ext4", "-q", "-L", wanted.label, device.path),
        f"{size // 1024}k",
    )
    locator.write(device.path, device.size, Locator(device.start, size))
    return Found(device, "ext4", made=True)


def _noted(device: Device) -> None:
    """Have the note behind a filesystem that we made, if power was lost."""
    found = superblock.read(device.path)
    if found is None or found.size != _room(device):
        return
    if locator.read(device.path, device.size) is None:
        note = Locator(device.start, found.size)
        locator.write(device.path, device.size, note)


def _room(device: Device) -> int:
    """What our filesystem has of its partition, in bytes."""
    return (device.size - TAIL) // MiB * MiB


def _end(disk: Device) -> int:
    """Where a state on the root disk ends, in bytes.

    :raises Fault: there is no room for any.
    """
    end = disk.size // MiB * MiB - RESERVED
    if end <= 0:
        raise Fault("no-room", f"{disk.path} is too small for any state")
    return end


def in_bytes(text: str, disk: Device) -> int:
    """A size as it is written, ``10%`` being of the disk.

    :raises Fault: it is none.
    """
    percent = re.fullmatch(r"(\d+) *%", text)
    if percent:
        return disk.size * int(percent[1]) // 100 // MiB * MiB
    plain = re.fullmatch(r"(\d+) *([KMGT]?)(iB|B)?", text)
    if not plain:
        raise Fault("configuration", f"size = {text} is no size")
    return int(plain[1]) * UNITS[plain[2]] // MiB * MiB
