"""What ironic-python-agent does to a disk, done by its own code.

``write`` is the deploy of a whole-disk image, ``clean`` what a node's
automated cleaning does to a disk's metadata. Only the wait for whoever may
have the disk open is left out: fuser looks at all processes of this host,
and is refused some. There is no udev to settle.
"""

import base64
from collections.abc import Iterator
import contextlib
import gzip
from pathlib import Path
import subprocess
import sys
import tempfile

CONFIG_DRIVE = b"what is on the config drive\n" * 4096


def write(disk: str, image: Path, drive: bytes = CONFIG_DRIVE) -> None:
    """Have the raw image on the disk, and the drive at its end."""
    packed = base64.b64encode(gzip.compress(drive)).decode()
    _agent("write", disk, str(image), stdin=packed)


def clean(disk: str) -> None:
    """Have the metadata of the disk and its partitions erased."""
    _agent("clean", disk)


@contextlib.contextmanager
def loop_disk(file: Path, *, sector: int = 512) -> Iterator[str]:
    """The file as a disk with partitions."""
    said = subprocess.run(
        [
            *("losetup", "--find", "--show", "--partscan"),
            *("--sector-size", str(sector), file),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    device = said.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def _agent(*words: str, stdin: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        settled = Path(folder, "udevadm")
        settled.write_text("#!/bin/sh\n")
        settled.chmod(0o755)
        # Not known to the other Python, which reads this file as well.
        from tests import lab

        python = lab.services_venv() / "bin/python"
        done = subprocess.run(
            [
                *("env", f"PATH={folder}:/usr/sbin:/usr/bin:/sbin:/bin"),
                *(python, __file__, *words),
            ],
            input=stdin,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)


def _write(disk: str, image: str) -> None:
    """In the environment of the agent."""
    from ironic_python_agent import disk_utils, partition_utils

    disk_utils.destroy_disk_metadata(disk, "node")
    disk_utils.dd(image, disk, conv_flags="sparse,fsync")
    disk_utils.fix_gpt_partition(disk, "node")
    partition_utils.create_config_drive_partition(
        "node", disk, sys.stdin.read()
    )


def _clean(disk: str) -> None:
    from ironic_python_agent import disk_utils

    listed = disk_utils.list_partitions(disk)
    for part in reversed(listed):
        path = disk_utils.partition_index_to_path(disk, part["number"])
        disk_utils.destroy_disk_metadata(path, "node")
    disk_utils.destroy_disk_metadata(disk, "node")


def _main() -> None:
    # The first one has the options that the others ask for.
    from ironic_python_agent import config, disk_utils  # noqa: F401
    from oslo_config import cfg

    cfg.CONF([], project="agent")
    disk_utils.wait_for_disk_to_become_available = lambda _: None
    {"write": _write, "clean": _clean}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    _main()
