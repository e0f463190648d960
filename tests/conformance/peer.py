"""Where diskimage-builder is, which this project is compared with."""

import os
from pathlib import Path
import subprocess

VERSION = "3.43.0"


def venv() -> Path:
    """The environment that it is installed in.

    :raises AssertionError: there is none.
    """
    named = os.environ.get("DIB_PEER_VENV")
    if not named or not Path(named, "bin/disk-image-create").exists():
        raise AssertionError(
            "DIB_PEER_VENV does not name a venv with diskimage-builder; "
            "tools/run-tests makes one and sets it"
        )
    return Path(named)


def package() -> Path:
    """Its Python package; ``elements`` and ``lib`` are in it."""
    return Path(
        subprocess.run(
            [
                venv() / "bin/python",
                "-c",
                "import diskimage_builder as d; print(d.__path__[0])",
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )


def elements() -> Path:
    """The elements that it brings."""
    return package() / "elements"
