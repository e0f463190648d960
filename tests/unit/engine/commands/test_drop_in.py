"""diskimage-builder's commands, by the names of their scripts."""

import contextlib
import io
from pathlib import Path
import sys
import unittest
from unittest import mock

from dib_service.engine.commands import drop_in

SCRIPTS = Path(__file__).parents[4] / "drop-in"


class DropIn(unittest.TestCase):
    def test_each_script_has_its_command(self):
        self.assertEqual(
            sorted(drop_in.COMMANDS),
            sorted(path.name for path in SCRIPTS.iterdir()),
        )

    def test_the_scripts_are_the_same(self):
        self.assertEqual(
            1, len({path.read_text() for path in SCRIPTS.iterdir()})
        )

    def test_no_other_name_is_one(self):
        for words in ([], ["dib-lint"], ["--help"]):
            said = io.StringIO()
            with (
                mock.patch.object(sys, "argv", ["dib-drop-in", *words]),
                contextlib.redirect_stderr(said),
            ):
                self.assertEqual(1, drop_in.main())
            self.assertIn("disk-image-create", said.getvalue())
