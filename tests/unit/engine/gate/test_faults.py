"""What was found goes through a pipe."""

import json
import unittest

from dib_service.engine import errors, process
from dib_service.engine.gate import console
from dib_service.engine.gate.faults import Found


class Told(unittest.TestCase):
    def test_it_is_one_line_whatever_the_machine_said(self):
        # Twelve bytes each, as JSON has them.
        longest = "\N{PILE OF POO}" * console.LONGEST_LINE
        last = [*[longest] * errors.LAST_LINES, "the last"]
        found = Found("boot-loader", longest * 9, last)
        line = json.dumps({"found": {"firmware": "bios", **found.to_dict()}})
        self.assertLess(len(line), process.LONGEST_LINE)
        self.assertEqual("the last", found.to_dict()["last_lines"][-1])
