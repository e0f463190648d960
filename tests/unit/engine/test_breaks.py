"""Break points, without and with a terminal."""

import contextlib
import os
from pathlib import Path
import signal
import termios
import threading
import unittest

from dib_service.engine import breaks, errors

HERE = Path("/")


class Reaching(unittest.TestCase):
    def reach(self, point, screen=None, entering=("env",), **variables):
        said = []
        breaks.Breaks.of(variables, screen).reach(
            point,
            entering,
            environment={"NAME": "value"},
            cwd=HERE,
            tell=said.append,
        )
        return said


class Break(Reaching):
    def test_a_point_that_is_not_named(self):
        asked = {"break": "before-install,after-root", "break_cmd": "echo hi"}
        for point in ("after-install", "before-pre-install", "root"):
            self.assertEqual([], self.reach(point, **asked))
        self.assertIn("hi", self.reach("before-install", **asked))

    def test_no_point_at_all(self):
        self.assertEqual([], self.reach("before-install", break_cmd="echo"))

    def test_a_command_needs_no_terminal(self):
        said = self.reach(
            "after-root",
            **{"break": "after-root", "break_cmd": "echo $NAME; cat; pwd"},
        )
        self.assertEqual(["value", "/"], said[1:-1])

    def test_a_shell_does(self):
        [said] = self.reach("after-root", **{"break": "after-root"})
        self.assertIn("no terminal", said)

    def test_a_command_that_fails(self):
        with self.assertRaises(errors.BreakFailed) as caught:
            self.reach(
                "after-root", **{"break": "after-root", "break_cmd": "exit 3"}
            )
        self.assertEqual(3, caught.exception.facts["exit_code"])
        self.assertEqual("caller", caught.exception.turn)

    def test_the_way_to_its_place(self):
        said = self.reach(
            "after-root",
            entering=("env", "NAME=there"),
            **{"break": "after-root", "break_cmd": "echo $NAME"},
        )
        self.assertIn("there", said)

    def test_outside(self):
        made = breaks.Breaks.of({"break_outside_target": "1"}, None)
        self.assertTrue(made.outside)
        self.assertFalse(breaks.Breaks.of({}, None).outside)


class AtTerminal(Reaching):
    def setUp(self):
        self.person, self.screen = os.openpty()
        self.addCleanup(os.close, self.person)
        self.addCleanup(os.close, self.screen)

    def seen(self):
        os.set_blocking(self.person, False)
        seen = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.person, 65536):
                seen += piece
        return seen.decode()

    def test_a_person_talks_to_a_shell(self):
        os.write(
            self.person,
            b"echo $NAME-$((1 + 1)); test -t 0 && echo at a term''inal\n"
            b"false\nexit\n",
        )
        before = termios.tcgetattr(self.screen)
        said = self.reach("after-root", self.screen, **{"break": "after-root"})
        self.assertEqual("at break point after-root: bash", said[0])
        self.assertEqual("going on after break point after-root", said[1])
        seen = self.seen()
        self.assertIn("value-2", seen)
        self.assertIn("at a terminal", seen)
        self.assertEqual(before, termios.tcgetattr(self.screen))

    def test_a_command_has_the_terminal_too(self):
        os.write(self.person, b"typed\n")
        self.reach(
            "after-root",
            self.screen,
            **{
                "break": "after-root",
                "break_cmd": "read -r word; echo I heard $word; exit 0",
            },
        )
        self.assertIn("I heard typed", self.seen())

    def test_an_interrupt_is_the_programs(self):
        # In the background of a script it is ignored, and stays so in every
        # shell that is started from there.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

        def interrupt():
            seen = b""
            while b"ready" not in seen:
                seen += os.read(self.person, 65536)
            os.write(self.person, b"\x03")

        person = threading.Thread(target=interrupt)
        person.start()
        command = "trap 'echo interrupted; exit 0' INT; echo ready; read -r x"
        self.reach(
            "after-root",
            self.screen,
            **{"break": "after-root", "break_cmd": command},
        )
        person.join()
        self.assertIn("interrupted", self.seen())
