"""Other programs: what comes back, and that they end."""

import os
from pathlib import Path
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from dib_service.engine import errors, process


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


class Run(unittest.TestCase):
    def test_stdout_comes_back_and_stderr_does_not(self):
        self.assertEqual("out\n", process.run(sh("echo out; echo err >&2")))

    def test_a_failure_carries_what_it_was_about(self):
        with self.assertRaises(errors.CommandError) as caught:
            process.run(sh("echo out; echo why >&2; exit 7"))
        error = caught.exception
        self.assertEqual(7, error.exit_code)
        self.assertEqual("out\n", error.stdout)
        self.assertEqual("why\n", error.stderr)
        self.assertEqual(["why"], error.last_lines)
        self.assertEqual(7, error.to_dict()["exit_code"])
        self.assertIn("exited 7: why", str(error))

    def test_a_program_that_is_not_there(self):
        with self.assertRaises(errors.CommandError) as caught:
            process.run(["/no/such/program"])
        self.assertIsNone(caught.exception.exit_code)
        self.assertIn("did not start", str(caught.exception))

    def test_a_signal_is_told(self):
        with self.assertRaises(errors.CommandError) as caught:
            process.run(sh("kill -9 $$"))
        self.assertEqual(-9, caught.exception.exit_code)

    def test_nothing_of_our_environment_is_inherited(self):
        os.environ["OS_TOKEN"] = "secret"
        self.addCleanup(os.environ.pop, "OS_TOKEN")
        seen = process.run(["/usr/bin/env"], env={"WANTED": "1"})
        names = {line.partition("=")[0] for line in seen.splitlines()}
        self.assertEqual({"HOME", "LC_ALL", "PATH", "WANTED"}, names)

    def test_stdin_is_closed(self):
        self.assertEqual("", process.run(["/bin/cat"]))

    def test_much_output_on_both_sides_does_not_block(self):
        script = "head -c 300000 /dev/zero | tee /dev/stderr"
        self.assertEqual(300000, len(process.run(sh(script))))


class Foreground(unittest.TestCase):
    def interrupted(self, code: int) -> int:
        """A person's interrupt reaches us and the program, which ends."""
        with mock.patch.object(
            subprocess.Popen,
            "wait",
            autospec=True,
            side_effect=[KeyboardInterrupt, code, code],
        ):
            return process.foreground(["true"])

    def test_the_exit_code_comes_back(self):
        self.assertEqual(7, process.foreground(sh("exit 7")))

    def test_a_program_that_is_not_there(self):
        with self.assertRaises(FileNotFoundError):
            process.foreground(["/no/such/program"])

    def test_an_interrupt_is_told_when_the_program_has_ended(self):
        with self.assertRaises(KeyboardInterrupt):
            self.interrupted(1)

    def test_what_the_program_made_of_an_interrupt_may_be_success(self):
        self.assertEqual(0, self.interrupted(0))


class Stream(unittest.TestCase):
    def lines(self, script: str, **options) -> list[str]:
        seen: list[str] = []
        process.stream(sh(script), seen.append, **options)
        return seen

    def test_lines_come_in_order_from_both_sides(self):
        self.assertEqual(
            ["one", "two", "three"],
            self.lines("echo one; echo two >&2; printf three"),
        )

    def test_a_failure_carries_its_last_lines(self):
        with self.assertRaises(errors.CommandError) as caught:
            self.lines("seq 100; exit 3")
        self.assertEqual(3, caught.exception.exit_code)
        self.assertEqual("100", caught.exception.last_lines[-1])
        self.assertEqual(errors.LAST_LINES, len(caught.exception.last_lines))

    def test_bytes_that_are_no_text_survive(self):
        self.assertEqual([r"a\xffb"], self.lines(r"printf 'a\377b\n'"))

    def test_a_line_without_end_comes_in_pieces(self):
        seen = self.lines("head -c 100000 /dev/zero | tr '\\0' x")
        self.assertEqual(100000, sum(map(len, seen)))
        self.assertGreater(len(seen), 1)

    def test_what_is_left_behind_does_not_hold_us(self):
        started = time.monotonic()
        seen = self.lines("sleep 60 & echo $!")
        self.assertLess(time.monotonic() - started, 30)
        os.kill(int(seen[0]), 9)


class Deadline(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.pids = Path(holder.name) / "pids"

    def assert_all_ended(self):
        pids = [int(word) for word in self.pids.read_text().split()]
        self.assertTrue(pids)
        for pid in pids:
            self.assertTrue(ended(pid), f"{pid} still runs")

    def assert_ends(self, script: str, processes: int = 1):
        script = f"echo $$ > {self.pids}; {script}"
        for call in (
            lambda deadline: process.run(sh(script), deadline=deadline),
            lambda deadline: process.stream(
                sh(script), str, deadline=deadline
            ),
        ):
            self.pids.write_text("")
            # On a busy machine they may not be there by the first deadline.
            for deadline in (0.3, 3.0, 30.0):
                started = time.monotonic()
                with self.assertRaises(errors.DeadlineExceeded):
                    call(deadline)
                self.assertLess(time.monotonic() - started, deadline + 30)
                if len(self.pids.read_text().split()) == processes:
                    break
            self.assert_all_ended()

    def test_a_silent_child_meets_its_deadline(self):
        self.assert_ends("sleep 60")

    def test_a_chatty_child_meets_its_deadline(self):
        self.assert_ends("while :; do echo still here; done")

    def test_its_children_end_too(self):
        self.assert_ends(f"sleep 60 & echo $! >> {self.pids}; wait", 2)

    def test_an_error_in_on_line_ends_the_child(self):
        def fail(line: str) -> None:
            raise KeyError(line)

        with self.assertRaises(KeyError):
            process.stream(
                sh(f"echo $$ > {self.pids}; echo x; sleep 60"), fail
            )
        self.assert_all_ended()


def ended(pid: int) -> bool:
    """Whether the process is gone, or dead and waiting to be reaped."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        os.sched_yield()
    return False
