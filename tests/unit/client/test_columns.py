"""How a value looks in a table, and in JSON."""

import unittest

from dib_service.client import columns


class TestFacts(unittest.TestCase):
    def test_lists_stand_below_their_name(self):
        facts = columns.Facts({"tags": ["a", "b"], "members": [], "name": "x"})
        self.assertEqual(
            "tags:\n  a\n  b\nmembers: -\nname: x", facts.human_readable()
        )
        self.assertEqual([], facts.machine_readable()["members"])


class TestProse(unittest.TestCase):
    def test_lines_are_narrow_and_commands_whole(self):
        command = f"openstack image add project {'1' * 36} {'b' * 32}"
        prose = columns.Prose(f"shared, but not with it: {command}")
        lines = prose.human_readable().splitlines()
        self.assertLessEqual(max(map(len, lines)), columns.PROSE_WIDTH)
        self.assertIn("1" * 36, prose.human_readable())
        self.assertEqual(
            f"shared, but not with it: {command}", prose.machine_readable()
        )

    def test_what_strangers_wrote_commands_no_terminal(self):
        self.assertNotIn(
            "\x1b", columns.Prose("made by \x1b[2J").human_readable()
        )
