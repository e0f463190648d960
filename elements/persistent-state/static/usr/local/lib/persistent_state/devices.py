"""The block devices of the machine, and what can be recognised on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os
import pathlib
import re
import subprocess
import time

from persistent_state.faults import Fault, run

SYS = pathlib.Path("/sys/class/block")
# Not places that outlive a boot, or not ours to look into.
NEVER = re.compile(r"(loop|ram|zram|sr|fd|nbd|mtdblock)\d+")
SECTOR = 512  # The unit of sysfs, whatever the disk's own sectors are.


@dataclasses.dataclass(frozen=True)
class Device:
    """A disk or a partition; sizes and places in bytes.

    ``disk`` is the name of the disk that it lies on, ``start`` where.
    """

    name: str
    disk: str
    start: int
    size: int

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"

    @property
    def is_partition(self) -> bool:
        return self.name != self.disk


def device(name: str) -> Device:
    """The device of that kernel name.

    :raises Fault: there is none.
    """
    place = SYS / name
    try:
        size = int((place / "size").read_text()) * SECTOR
        partition = (place / "partition").exists()
        start = int((place / "start").read_text()) if partition else 0
    except OSError as exc:
        raise Fault("absent", f"there is no /dev/{name}") from exc
    disk = place.resolve().parent.name if partition else name
    return Device(name, disk, start * SECTOR, size)


def all_devices(only: Sequence[str] = ()) -> list[Device]:
    """Disks and partitions; ``only`` on the disks of these names, if any."""
    found = []
    for place in sorted(SYS.iterdir()):
        try:
            each = device(place.name)
        except Fault:
            continue
        wanted = each.disk in only if only else not NEVER.match(each.disk)
        if wanted and each.size:
            found.append(each)
    return found


def root_disk() -> Device:
    """The disk that the root filesystem lies on.

    :raises Fault: it lies on none that is known.
    """
    source = run("findmnt", "-nrvo", "SOURCE", "--target", "/").strip()
    name = pathlib.Path(os.path.realpath(source)).name
    return device(device(name).disk)


def named_disk(name: str, *, seconds: float) -> Device:
    """The disk of that path below /dev, or of that serial number.

    It is waited for: disks come one after the other.

    :raises Fault: it is not there.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = _path(name) if name.startswith("/") else _serial(name)
        if found:
            return found
        if time.monotonic() > deadline:
            raise Fault("absent", f"the disk {name} is not there")
        time.sleep(0.5)


def recognised(path: str, *, start: int = 0, size: int = 0) -> dict[str, str]:
    """What blkid says of a device, or of a part of it.

    ``TYPE`` is a filesystem or the like, ``PTTYPE`` a partition table. Where
    it finds several, ``TYPE`` is ``ambivalent``.

    :raises Fault: the device cannot be read.
    """
    words = ["blkid", "-p", "-o", "export"]
    if size:
        words += ["-O", str(start), "-S", str(size)]
    done = subprocess.run(
        [*words, path], capture_output=True, text=True, errors="replace"
    )
    if done.returncode == 8:
        return {"TYPE": "ambivalent"}
    if done.returncode not in (0, 2):
        raise Fault("unreadable", f"blkid {path}: {done.stderr.strip()}")
    return dict(
        line.split("=", 1) for line in done.stdout.splitlines() if "=" in line
    )


def signature(tags: Mapping[str, str]) -> str:
    """The kind of what is there, in a word; empty if nothing is."""
    return tags.get("TYPE") or tags.get("PTTYPE") or ""


def _path(name: str) -> Device | None:
    real = os.path.realpath(name)
    try:
        return device(pathlib.Path(real).name) if _exists(real) else None
    except Fault:
        return None


def _exists(path: str) -> bool:
    return pathlib.Path(path).is_block_device()


def _serial(serial: str) -> Device | None:
    for each in all_devices():
        place = SYS / each.name
        for file in ("serial", "device/serial", "device/wwid"):
            try:
                said = (place / file).read_text().strip()
            except OSError:
                continue
            if said == serial and not each.is_partition:
                return each
    # What only udev asks the disk for.
    for link in pathlib.Path("/dev/disk/by-id").glob(f"*{serial}"):
        return _path(str(link))
    return None
