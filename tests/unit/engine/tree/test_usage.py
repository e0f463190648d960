"""What takes the room in a tree."""

import os
from pathlib import Path
import tempfile
import unittest

from dib_service.engine.tree import usage

MiB = 1024**2


class Usage(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name)
        (self.root / "usr/lib").mkdir(parents=True)
        (self.root / "usr/lib/large").write_bytes(b"x" * 11 * MiB)
        (self.root / "usr/small").write_bytes(b"x" * MiB)
        (self.root / "sparse").touch()
        os.truncate(self.root / "sparse", 100 * MiB)

    def said(self, **environment):
        lines = []
        usage.report(self.root, environment, lines.append)
        return lines

    def test_nobody_is_told_who_did_not_ask(self):
        self.assertEqual([], self.said())
        self.assertEqual([], self.said(DIB_SHOW_IMAGE_USAGE="0"))

    def test_what_is_large_comes_first_and_with_its_directories(self):
        _, *lines = self.said(DIB_SHOW_IMAGE_USAGE="1")
        self.assertEqual(
            [
                ["12", "MiB", "/"],
                ["12", "MiB", "/usr"],
                ["11", "MiB", "/usr/lib"],
                ["11", "MiB", "/usr/lib/large"],
            ],
            [line.split() for line in lines],
        )

    def test_everything_is_said_to_who_wants_it(self):
        lines = self.said(
            DIB_SHOW_IMAGE_USAGE="1", DIB_SHOW_IMAGE_USAGE_FULL="1"
        )
        self.assertIn("/usr/small", "".join(lines))
        self.assertEqual(["0", "KiB", "/sparse"], lines[-1].split())

    def test_a_file_of_several_names_counts_once(self):
        before = usage.sizes(self.root)["/"]
        (self.root / "again").hardlink_to(self.root / "usr/lib/large")
        self.assertLess(usage.sizes(self.root)["/"] - before, MiB)
