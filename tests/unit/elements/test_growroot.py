"""The root's partition and filesystem are found, and grown."""

import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = (
    pathlib.Path(__file__).parents[3]
    / "elements/growroot/static/usr/local/sbin/growroot"
)
# As it says it of btrfs, whose root is a subvolume.
FINDMNT = """
case $* in
    *FSTYPE*) echo btrfs ;;
    *--nofsroot*) echo /dev/none1 ;;
    *) echo "/dev/none1[/@/.snapshots/1/snapshot]" ;;
esac
"""


class TestGrowroot(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = pathlib.Path(holder.name)

    def program(self, name: str, text: str) -> None:
        file = self.path / name
        file.write_text(f"#!/bin/sh\n{text}")
        file.chmod(0o755)

    def test_a_root_that_is_a_subvolume(self) -> None:
        self.program("findmnt", FINDMNT)
        self.program("btrfs", 'echo "btrfs $*"\n')
        done = subprocess.run(
            [str(PROGRAM)],
            env={"PATH": f"{self.path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("btrfs filesystem resize max /\n", done.stdout)
