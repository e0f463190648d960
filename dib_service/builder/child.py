"""The engine as a child process: strangers' shell on that side."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
import contextlib
import os
import pathlib
import selectors
import signal
import subprocess
import threading
import time

from oslo_log import log

from dib_service.engine.events import Event

LOG = log.getLogger(__name__)

# One event; what is longer is cut and shown as output.
LINE_BYTES = 1024 * 1024
READ_BYTES = 64 * 1024
LAST_LINES = 20

TICK_SECONDS = 0.5
GRACE_SECONDS = 3.0
KILLED_SECONDS = 30.0
POLL_SECONDS = 0.02

# All that a child knows of its builder.
BASE_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


class TooSlow(Exception):
    """The child was still at work when its time was over."""


class Failed(Exception):
    """A child that was asked something exited non-zero."""


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    directory: pathlib.Path,
    environment: Mapping[str, str],
) -> Iterator["Child"]:
    """A child that does not outlive the block, nor this process."""
    # The kernel ends the child when the *thread* that made it is gone: so
    # this thread has to stay until the block is left, and does. A function
    # to run between fork and exec would be the other way; it can deadlock
    # in a program with threads.
    process = subprocess.Popen(  # noqa: S603 - the operator's own command
        ["setpriv", "--pdeathsig", "KILL", "--", *command],  # noqa: S607
        cwd=directory,
        env=_environment(directory, environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A session of its own is what lets kill() find all of them.
        start_new_session=True,
    )
    child = Child(process)
    try:
        yield child
    finally:
        child.kill()
        child.close()


def output_of(
    command: Sequence[str],
    *,
    directory: pathlib.Path,
    environment: Mapping[str, str],
    seconds: float,
) -> str:
    """What a child that only answers a question wrote to stdout.

    :raises Failed: it did not answer, or not in time.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - the operator's own command
            command,
            cwd=directory,
            env=_environment(directory, environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Failed(str(exc)) from exc
    if answer.returncode:
        said = answer.stderr.decode(errors="backslashreplace")
        raise Failed(f"{command} exited {answer.returncode}: {said[-2000:]}")
    return answer.stdout.decode()


class Child:
    """One engine at work: what it says, and how it ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        # What the engine itself wrote to stderr, for one that dies silently.
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def pid(self) -> int:
        """The process id, which is the session's too."""
        return self._process.pid

    def events(
        self, *, seconds: float, stop: threading.Event
    ) -> Iterator[Event]:
        """What the child says, until it ends or ``stop`` is set.

        :raises TooSlow: it did not end within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector, self._ending() as end:
            selector.register(end, selectors.EVENT_READ)
            for stream in (self._process.stdout, self._process.stderr):
                selector.register(
                    stream,  # type: ignore[arg-type]
                    selectors.EVENT_READ,
                    _Lines(),
                )
            while not stop.is_set():
                # Asked each time round: a chatty child has a deadline too.
                if time.monotonic() > deadline:
                    raise TooSlow
                # Asked before we look: what it said until then is there.
                gone = self.exited()
                ready = selector.select(0 if gone else TICK_SECONDS)
                streams = [key for key, _ in ready if key.data is not None]
                # Not "when the pipes are closed": something that escaped
                # the child may hold them open.
                if gone and not streams:
                    return
                for key in streams:
                    yield from self._read(selector, key)

    def exited(self) -> bool:
        """Whether the child itself has ended (others of it may live)."""
        return self._status() is not None

    def wait(self) -> int:
        """The exit code, negative for a signal, of a child that has ended."""
        while (status := self._status()) is None:
            time.sleep(POLL_SECONDS)
        if status.si_code == os.CLD_EXITED:
            return status.si_status
        return -status.si_status

    def kill(self, *, grace: float | None = None) -> None:
        """End every process of the child.

        None is left on return, except what the kernel itself does not let
        go. May be called from any thread, and again.
        """
        deadline = time.monotonic() + (
            GRACE_SECONDS if grace is None else grace
        )
        self._signal(signal.SIGTERM)
        while self._members() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        deadline = time.monotonic() + KILLED_SECONDS
        while members := self._members():
            if time.monotonic() > deadline:
                # In state D, behind a disk or a server that does not answer:
                # no signal helps, and who waits for it is stuck as well.
                LOG.error("killed, and still there: %s", members)
                return
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Forget the child, which has been killed."""
        # What could not be killed is reaped when it ends, by subprocess.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_SECONDS)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _status(self) -> os.waitid_result | None:
        # Not reaped before close(): as long as the dead child keeps its
        # number, no stranger can get the session's, and kill() hits nobody
        # else.
        return os.waitid(
            os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG
        )

    @contextlib.contextmanager
    def _ending(self) -> Iterator[int]:
        """A descriptor that is readable when the child has ended."""
        descriptor = os.pidfd_open(self._process.pid)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(
        self, selector: selectors.BaseSelector, key: selectors.SelectorKey
    ) -> Iterator[Event]:
        data = os.read(key.fd, READ_BYTES)
        if not data:
            selector.unregister(key.fileobj)
        lines: _Lines = key.data
        for line in lines.feed(data):
            yield (
                _event(line)
                if key.fileobj is self._process.stdout
                else self._complaint(line)
            )

    def _complaint(self, line: bytes) -> Event:
        text = line.decode(errors="backslashreplace")
        self.last_lines.append(text)
        return Event.now("line", text=text)

    def _signal(self, number: signal.Signals) -> None:
        if self._members():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _members(self) -> list[int]:
        """The living processes of the child's session."""
        if self._process.returncode is not None:
            return []
        return [
            pid
            for pid, state, session in _processes()
            if session == self._process.pid and state not in "ZX"
        ]


class _Lines:
    """Lines out of pieces, none longer than ``LINE_BYTES``."""

    def __init__(self) -> None:
        self._part = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that data completes; no data ends the last one."""
        if not data:
            if self._part:
                yield self._take()
            return
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._add(end)
            yield self._take()
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        room = LINE_BYTES - len(self._part)
        self._part += piece[:room]

    def _take(self) -> bytes:
        line = bytes(self._part)
        self._part.clear()
        return line


def _environment(
    directory: pathlib.Path, environment: Mapping[str, str]
) -> dict[str, str]:
    return {**BASE_ENVIRONMENT, "HOME": str(directory), **environment}


def _event(line: bytes) -> Event:
    """The event in a line; a line that is none is shown as output."""
    text = line.decode(errors="backslashreplace")
    try:
        return Event.from_json(text)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Event.now("line", text=text)


def _processes() -> Iterator[tuple[int, str, int]]:
    """Every process of the host: its number, state and session."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_bytes()
            # The name stands in brackets and may hold anything.
            fields = stat.rpartition(b")")[2].split()
            yield int(entry.name), fields[0].decode(), int(fields[3])
