"""What of the caller's directory hooks have made, and what they have not."""

import os
from pathlib import Path
import tempfile
import unittest

from dib_service.engine import layer


class Settle(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.lower = Path(holder.name, "lower")
        self.upper = Path(holder.name, "upper")
        for place in (self.lower, self.upper):
            (place / "both").mkdir(parents=True)

    def settled(self):
        layer.Layer(Path("/"), self.lower, self.upper).settle("image")
        return sorted(
            str(path.relative_to(self.upper)) for path in self.upper.rglob("*")
        )

    def write(self, name, before, now, *, same_time):
        for place, text in ((self.lower, before), (self.upper, now)):
            (place / name).write_text(text)
        time = (self.lower / name).stat().st_mtime_ns
        if not same_time:
            time += 1
        os.utime(self.upper / name, ns=(time, time))

    def test_new_files_stay(self):
        (self.upper / "both/new").touch()
        (self.upper / "empty").mkdir()
        (self.upper / "link").symlink_to("nowhere")
        self.assertEqual(["both", "both/new", "empty", "link"], self.settled())

    def test_what_was_only_opened_is_not_made(self):
        self.write("both/locked", "text", "text", same_time=True)
        (self.upper / "both/locked").chmod(0o600)
        self.assertEqual([], self.settled())

    def test_what_was_written_is(self):
        self.write("longer", "text", "text and more", same_time=True)
        self.write("anew", "text", "text", same_time=False)
        (self.lower / "replaced").mkdir()
        (self.upper / "replaced").touch()
        self.assertEqual(["anew", "longer", "replaced"], self.settled())

    def test_the_kernel_of_the_last_build_may_be_this_ones(self):
        self.write("image.vmlinuz", "kernel", "kernel", same_time=True)
        self.write("both/image.txt", "text", "text", same_time=True)
        self.assertEqual(
            ["both", "both/image.txt", "image.vmlinuz"], self.settled()
        )

    def test_what_hides_a_deleted_file_is_no_file(self):
        # The overlay's sign for it, which everybody may make.
        for name in ("gone", "both/gone"):
            (self.lower / name).touch()
            os.mknod(self.upper / name, 0o020000, os.makedev(0, 0))
        self.assertEqual([], self.settled())
