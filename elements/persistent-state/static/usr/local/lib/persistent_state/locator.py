"""A note at the end of what we formatted: here is state, and of this size.

A redeploy takes the partition table's entry away and leaves the bytes. The
note stands at a place that depends on the disk alone. It is the last block of
the partition, which Ironic's cleaning wipes together with the filesystem's
superblock: the next tenant finds neither.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib

SIZE = 4096
MAGIC = b"dib-service persistent state\n"


@dataclasses.dataclass(frozen=True)
class Locator:
    """``start`` and ``size`` are the filesystem's room, in bytes."""

    start: int
    size: int


def read(path: str, end: int) -> Locator | None:
    """The note that ends at that byte of the device; None if it is none."""
    with pathlib.Path(path).open("rb") as file:
        file.seek(end - SIZE)
        block = file.read(SIZE)
    if not block.startswith(MAGIC):
        return None
    digest, _, text = block[len(MAGIC) :].rstrip(b"\0").partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        return None
    said = json.loads(text)
    return Locator(said["start"], said["size"])


def write(path: str, end: int, locator: Locator) -> None:
    """Leave the note so that it ends at that byte of the device."""
    text = json.dumps(dataclasses.asdict(locator)).encode()
    digest = hashlib.sha256(text).hexdigest().encode()
    block = MAGIC + digest + b"\n" + text
    with pathlib.Path(path).open("r+b") as file:
        file.seek(end - SIZE)
        file.write(block.ljust(SIZE, b"\0"))
        file.flush()
        os.fsync(file.fileno())
