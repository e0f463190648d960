"""What a person sees of a build."""

import contextlib
import io
from pathlib import Path
import tempfile
import unittest

from dib_service.engine import errors, events
from dib_service.engine.commands import console

STORY = (
    ("phase", {"phase": "install.d", "state": "start"}),
    (
        "hook",
        {
            "phase": "install.d",
            "element": "web",
            "hook": "10-a",
            "state": "start",
        },
    ),
    ("line", {"text": "hello"}),
    (
        "hook",
        {
            "phase": "install.d",
            "element": "web",
            "hook": "10-a",
            "state": "end",
            "seconds": 1.5,
            "exit_code": 3,
        },
    ),
    ("fault", {"message": "10-a exited 3", "exit_code": 3}),
)

SHOWN = """\
== install.d
-- web: install.d/10-a
hello
-- web: install.d/10-a: 1.5 s, exit code 3
ERROR: 10-a exited 3
"""

# In the first second of 1970.
STAMPED = "".join(
    f"1970-01-01 00:00:00.250 | {line}\n" for line in SHOWN.splitlines()
)


def tell(told, story=STORY):
    for kind, facts in story:
        told.tell(events.Event(kind, facts, 0.25))


class Console(unittest.TestCase):
    def shown(self, story=STORY, **settings):
        log, paths, complaints = io.StringIO(), io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stderr(complaints),
            console.opened(settings, log=log, paths=paths) as told,
        ):
            tell(told, story)
        self.complaints = complaints.getvalue()
        self.paths = paths.getvalue()
        self.exit_code = told.exit_code
        return log.getvalue()

    def test_packages_are_no_elements(self):
        facts = {
            "phase": "packages",
            "element": "",
            "hook": "install-packages",
        }
        failed = errors.HookFailed(
            **facts, cause=errors.CommandError(["install-packages"], 100)
        )
        self.assertEqual(
            "-- packages/install-packages\n"
            "ERROR: packages/install-packages exited 100\n",
            self.shown(
                [
                    ("hook", {**facts, "state": "start"}),
                    ("fault", failed.to_dict()),
                ],
                DIB_NO_TIMESTAMP="1",
            ),
        )

    def test_what_a_terminal_has_no_characters_for_is_shown(self):
        log, paths = (
            io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            for encoding in ("latin-1", "utf-8")
        )
        with console.opened({}, log=log, paths=paths) as told:
            tell(
                told,
                [
                    ("line", {"text": "\u2713 caf\xe9"}),
                    ("artefact", {"path": "/caf\udce9", "size": 1}),
                ],
            )
        self.assertIn(b"| \\u2713 caf\xe9\n", log.buffer.getvalue())
        self.assertEqual(b"/caf\xe9\n", paths.buffer.getvalue())

    def test_each_line_has_its_time(self):
        self.assertEqual(STAMPED, self.shown())
        self.assertEqual("", self.complaints)

    def test_a_time_is_not_for_everybody(self):
        self.assertEqual(SHOWN, self.shown(DIB_NO_TIMESTAMP="1"))

    def test_who_wants_no_log_still_hears_of_a_fault(self):
        self.assertEqual("", self.shown(DIB_QUIET="1"))
        self.assertEqual("ERROR: 10-a exited 3\n", self.complaints)

    def test_a_log_file_takes_the_log_from_the_terminal(self):
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "log"
            file.write_text("before\n")
            said = self.shown(LOGFILE=str(file), DIB_NO_TIMESTAMP="1")
            self.assertEqual(f"the log goes to {file}\n", said)
            self.assertEqual("before\n" + STAMPED, file.read_text())
            said = self.shown(LOGFILE=str(file), DIB_QUIET="0")
            self.assertTrue(said.endswith(STAMPED))

    def test_a_program_reads_what_was_made(self):
        made = {"path": "/x/my.raw", "size": 5}
        said = self.shown((("artefact", made),), DIB_NO_TIMESTAMP="1")
        self.assertEqual("made /x/my.raw (5 bytes)\n", said)
        self.assertEqual("/x/my.raw\n", self.paths)

    def test_the_exit_code_is_the_hooks(self):
        for given, expected in (
            ({}, 1),
            ({"exit_code": None}, 1),
            ({"exit_code": 42}, 42),
            ({"exit_code": -9}, 137),
        ):
            with self.subTest(given):
                self.shown((("fault", {"message": "m", **given}),))
                self.assertEqual(expected, self.exit_code)
