"""Syncs are answered, not done; as root, since the filter needs that."""

import sys
import unittest

from dib_service.engine import errors, nosync, process

# No such descriptor: only a kernel that is asked can say so.
SYNC = """
import os
for call in (os.fsync, os.fdatasync):
    call(999)
os.sync()
print("answered")
"""


class NoSync(unittest.TestCase):
    def run_python(self, text, **options):
        lines = []
        process.stream([sys.executable, "-c", text], lines.append, **options)
        return lines

    def test_syncs_are_answered_with_success(self):
        self.assertEqual(
            ["answered"], self.run_python(SYNC, prepare=nosync.prepare)
        )

    def test_without_it_they_reach_the_kernel(self):
        with self.assertRaises(errors.CommandError):
            self.run_python(SYNC)

    def test_other_calls_are_left_alone(self):
        with self.assertRaises(errors.CommandError) as caught:
            self.run_python(
                "import os; os.fchmod(999, 0)", prepare=nosync.prepare
            )
        self.assertIn("Bad file descriptor", str(caught.exception))

    def test_programs_that_it_starts_have_it_too(self):
        text = f"import subprocess, sys; subprocess.run({[sys.executable]!r}"
        text += f" + ['-c', {SYNC!r}], check=True)"
        self.assertEqual(
            ["answered"], self.run_python(text, prepare=nosync.prepare)
        )
