"""The interfaces that this machine has, by their own MAC addresses."""

from __future__ import annotations

from pathlib import Path
import re

from metadata_reader import files

CLASS = Path("/sys/class/net")

# What the kernel's names may be, and what may stand in a file of ours.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
WIRELESS = ("wlan", "wwan")


def by_mac(folder: Path = CLASS) -> dict[str, str]:
    """The names of real interfaces; a bond's ports by what they had before.

    A bond, a VLAN or a switch in software has the address of what it lies
    on: what has no device is none.
    """
    found: dict[str, str] = {}
    for place in sorted(folder.iterdir()):
        if place.name == "lo" or not NAME.fullmatch(place.name):
            continue
        if not (place / "device").exists() or kind(place) in WIRELESS:
            continue
        own = files.value(place / "bonding_slave/perm_hwaddr")
        mac = ethernet((own or files.value(place / "address")).lower())
        # Some cards show one address on several interfaces: the first has it.
        if mac and mac != "00:00:00:00:00:00":
            found.setdefault(mac, place.name)
    return found


def ethernet(address: str) -> str:
    """Its six bytes, as Ironic names also an InfiniBand port by."""
    parts = address.split(":")
    if len(parts) == 20:
        return ":".join(parts[12:15] + parts[17:])
    return address if len(parts) == 6 else ""


def kind(place: Path) -> str:
    """What the kernel calls it; nothing for an ordinary port."""
    for line in files.value(place / "uevent").splitlines():
        if line.startswith("DEVTYPE="):
            return line[len("DEVTYPE=") :]
    return ""
