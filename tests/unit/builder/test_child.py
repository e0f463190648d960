"""The engine as a child: what it says, and that it ends."""

import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

from dib_service.builder import child

SCRIPT = """
import json, os, signal, subprocess, sys, time
def line(text):
    print(json.dumps({"kind": "line", "time": 1.0, "text": text}), flush=True)
"""


class ChildTest(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        )
        self.stop = threading.Event()

    def running(self, script, **environment):
        return child.running(
            [sys.executable, "-I", "-c", SCRIPT + script],
            directory=self.place,
            environment=environment,
        )

    def lines(self, engine, seconds=120.0):
        return [
            event.facts["text"]
            for event in engine.events(seconds=seconds, stop=self.stop)
        ]

    def test_it_says_what_it_says_in_order_and_ends(self):
        with self.running("for n in range(1000): line(str(n))") as engine:
            said = self.lines(engine)
            code = engine.wait()
        self.assertEqual([str(n) for n in range(1000)], said)
        self.assertEqual(0, code)

    def test_the_exit_code_is_told(self):
        with self.running("sys.exit(3)") as engine:
            self.lines(engine)
            self.assertEqual(3, engine.wait())

    def test_the_signal_is_told(self):
        with self.running("os.kill(os.getpid(), 9)") as engine:
            self.lines(engine)
            self.assertEqual(-signal.SIGKILL, engine.wait())

    def test_what_is_no_event_is_shown_as_output(self):
        script = (
            "print('plain'); print('{\"kind\": \"line\"}');"
            "print('[' * 100000); print('last', end='')"
        )
        with self.running(script) as engine:
            said = self.lines(engine)
        self.assertEqual(
            ["plain", '{"kind": "line"}', "[" * 100000, "last"], said
        )

    def test_an_endless_line_is_cut_and_the_next_one_is_whole(self):
        script = (
            f"sys.stdout.write('y' * {3 * child.LINE_BYTES} + chr(10));"
            "line('after')"
        )
        with self.running(script) as engine:
            said = self.lines(engine)
        self.assertEqual(["y" * child.LINE_BYTES, "after"], said)

    def test_complaints_are_shown_and_kept(self):
        with self.running("print('oh dear', file=sys.stderr)") as engine:
            said = self.lines(engine)
            self.assertEqual(["oh dear"], said)
            self.assertEqual(["oh dear"], list(engine.last_lines))

    def test_it_knows_nothing_of_its_builder(self):
        os.environ["OS_PASSWORD"] = "canary"
        self.addCleanup(os.environ.pop, "OS_PASSWORD")
        read, write = os.pipe()
        os.set_inheritable(write, True)
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        script = (
            "line(json.dumps(dict(os.environ)));"
            "line(repr(sys.stdin.read()));"
            "fds = [os.readlink('/proc/self/fd/' + n)"
            " for n in os.listdir('/proc/self/fd') if int(n) > 2"
            " and os.path.exists('/proc/self/fd/' + n)];"
            "line(repr(fds))"
        )
        with self.running(script, http_proxy="http://proxy") as engine:
            environment, stdin, descriptors = self.lines(engine)
        self.assertNotIn("canary", environment)
        self.assertIn("http://proxy", environment)
        self.assertEqual("''", stdin)
        self.assertEqual("[]", descriptors)

    def test_a_silent_child_meets_its_deadline(self):
        with (
            self.assertRaises(child.TooSlow),
            self.running("time.sleep(600)") as engine,
        ):
            self.lines(engine, seconds=0.2)

    def test_a_chatty_child_meets_its_deadline(self):
        with (
            self.assertRaises(child.TooSlow),
            self.running("while True: line('x')") as engine,
        ):
            self.lines(engine, seconds=0.2)

    def test_none_of_a_stubborn_family_is_left(self):
        script = (
            "signal.signal(15, signal.SIG_IGN);"
            "kid = subprocess.Popen(['sleep', '600']);"
            "line(str(kid.pid)); time.sleep(600)"
        )
        pids = []
        with self.running(script) as engine:
            for event in engine.events(seconds=120, stop=self.stop):
                pids.append(int(event.facts["text"]))
                self.stop.set()
            pids.append(engine.pid)
            started = time.monotonic()
            engine.kill(grace=0.2)
        self.assertLess(time.monotonic() - started, 120.0)
        for pid in pids:
            self.assertFalse(alive(pid), pid)

    def test_what_the_kernel_does_not_let_go_keeps_nobody_waiting(self):
        with (
            mock.patch.object(child, "GRACE_SECONDS", 0.0),
            mock.patch.object(child, "KILLED_SECONDS", 0.1),
            mock.patch.object(os, "kill", autospec=True),
            mock.patch.object(os, "killpg", autospec=True),
            self.assertLogs(child.LOG.logger, "ERROR") as said,
            self.running("time.sleep(600)") as engine,
        ):
            engine.kill()
        os.kill(engine.pid, signal.SIGKILL)
        engine.close()
        self.assertIn(f"still there: [{engine.pid}]", said.output[0])

    def test_what_escaped_and_holds_the_pipe_keeps_nobody_waiting(self):
        script = (
            "kid = subprocess.Popen(['sleep', '600'], start_new_session=True);"
            "line(str(kid.pid))"
        )
        started = time.monotonic()
        with self.running(script) as engine:
            (pid,) = self.lines(engine)
            self.assertEqual(0, engine.wait())
        os.kill(int(pid), signal.SIGKILL)
        self.assertLess(time.monotonic() - started, 120.0)

    def test_it_dies_with_its_builder(self):
        # A builder of its own, so that it can be killed.
        builder = (
            "import os, pathlib, threading;"
            "from dib_service.builder import child\n"
            "with child.running(['sleep', '600'],"
            " directory=pathlib.Path('/'), environment={}) as engine:\n"
            "    print(engine.pid, flush=True)\n"
            "    for event in engine.events(seconds=600,"
            " stop=threading.Event()): pass\n"
        )
        import subprocess

        with subprocess.Popen(
            [sys.executable, "-c", builder], stdout=subprocess.PIPE, text=True
        ) as process:
            pid = int(process.stdout.readline())
            # setpriv has asked the kernel as soon as it is a sleep.
            comm = pathlib.Path(f"/proc/{pid}/comm")
            until(lambda: comm.read_text() == "sleep\n")
            process.kill()
        until(lambda: not alive(pid))


def until(true, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("not in time")
        time.sleep(0.01)


def alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
