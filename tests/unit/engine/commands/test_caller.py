"""Who calls, and what of theirs goes through sudo."""

import os
import unittest
from unittest import mock

from dib_service.engine import errors, process
from dib_service.engine.commands import caller

AWKWARD = {
    "A": "two\nlines = 'one'",
    "BASH_FUNC_f%%": "() {  true; }",
    "EMPTY": "",
    # What is no UTF-8 either, as the environment of Python has it.
    "LATIN": "caf\udce9",
}


class Caller(unittest.TestCase):
    def behind(self, environment):
        held = caller._remembered(environment)
        self.addCleanup(os.close, held)
        with mock.patch.object(caller, "_end_with") as watched:
            found = caller.Caller.behind(os.getpid(), held, (7, 8))
        watched.assert_called_once_with(os.getpid())
        return found

    def test_the_whole_environment_goes_through(self):
        found = self.behind(AWKWARD)
        self.assertEqual(
            {**AWKWARD, "SUDO_UID": "7", "SUDO_GID": "8"}, found.environment
        )
        self.assertEqual((7, 8), found.owner)

    def test_whoever_has_no_home_has_one(self):
        with mock.patch.dict(os.environ, clear=True):
            home = caller.Caller.present().environment["HOME"]
        self.assertTrue(home.startswith("/"))
        with mock.patch.dict(os.environ, {"HOME": "/mine"}, clear=True):
            here = caller.Caller.present()
        self.assertEqual({"HOME": "/mine"}, here.environment)
        self.assertIsNone(here.owner)


class AsRoot(unittest.TestCase):
    def calls(self, *codes):
        """What is started, each ending with one of the codes."""
        left = iter(codes)
        started = []

        def foreground(words):
            started.append(words)
            code = next(left)
            if isinstance(code, Exception):
                raise code
            return code

        patched = mock.patch.object(process, "foreground", foreground)
        patched.start()
        self.addCleanup(patched.stop)
        return started

    def test_the_exit_code_comes_back(self):
        started = self.calls(0, 42)
        asked = caller.Caller({"SECRET": "hush"}).as_root(["name", "-n"])
        self.assertEqual(42, asked)
        self.assertEqual(("name", "-n"), tuple(started[-1][-2:]))
        self.assertNotIn("hush", str(started))

    def test_who_may_not_is_told(self):
        for code in (1, FileNotFoundError()):
            self.calls(code)
            with self.assertRaises(errors.NeedsRoot):
                caller.Caller({}).as_root(["name"])
