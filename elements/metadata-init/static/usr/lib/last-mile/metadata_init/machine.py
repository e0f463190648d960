"""Whether the disk is still in the machine that it was in before.

A copy of a disk, as a server's snapshot is, is another machine's: that one
shall have host keys of its own, and not the addresses of the first.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from metadata_reader import files

# What the firmware calls the machine.
DMI = Path("/sys/class/dmi/id/product_uuid")
KNOWN = Path("/var/lib/metadata-init/machine")
SSH = Path("/etc/ssh")


def changed() -> bool:
    """Whether it is in another; no where either is not known."""
    before = files.value(KNOWN)
    return bool(before and _here() and before != _here())


def forget(renderer: ModuleType) -> None:
    """Take away what made this disk the other machine's."""
    for path in [
        *SSH.glob("ssh_host_*_key*"),
        *renderer.FOLDER.glob(f"{renderer.PREFIX}*"),
    ]:
        path.unlink()


def remember() -> None:
    """Know this machine the next time."""
    if _here():
        KNOWN.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(KNOWN, f"{_here()}\n", mode=0o600)


def _here() -> str:
    return files.value(DMI).lower()
