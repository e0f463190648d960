"""Makes of one raw image a file in another disk format."""

import json
from pathlib import Path
from typing import Any

from dib_service.engine import process
from dib_service.engine.output.options import DRIVERS, Options

# Threads beside each other, but writing in order (no -W): equal bytes from
# equal input.
THREADS = "16"


def write(wanted: str, image: Path, path: Path, options: Options) -> None:
    """Make path of the image, which for raw is moved.

    :raises errors.CommandError: a conversion failed.
    """
    if wanted == "raw":
        _move(image, path)
        return
    compressed = wanted == "qcow2" and options.compressed
    process.run(
        [
            *("qemu-img", "convert", "-m", THREADS),
            *("-f", "raw", "-O", DRIVERS.get(wanted, wanted)),
            *(["-c"] if compressed else []),
            *options.words(wanted),
            *(image, path),
        ]
    )


def described(path: Path, driver: str | None = None) -> dict[str, Any]:
    """What ``qemu-img info`` says of a file.

    :raises errors.CommandError: it cannot be read as ``driver`` has it.
    """
    options = ["-f", driver] if driver else []
    text = process.run(["qemu-img", "info", "--output=json", *options, path])
    found: dict[str, Any] = json.loads(text)
    return found


def _move(image: Path, path: Path) -> None:
    try:
        image.rename(path)
    except OSError:
        # Another filesystem: copy, and keep the holes.
        process.run(["cp", "--sparse=always", "--reflink=auto", image, path])
        image.unlink()
