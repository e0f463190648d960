"""The outer process of a build: it starts the inner one and outlives it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import json
import os
from pathlib import Path
import signal
import sys
import traceback
from types import FrameType

from dib_service.engine import (
    cgroup,
    errors,
    events,
    process,
    sandbox,
    spec,
    workspace,
)
from dib_service.engine.gate.plan import Settings
from dib_service.engine.output import delivery

# How long a build that was asked to end may take to put things away.
GRACE_SECONDS = 2.5

# What a caller may act on only once the files are where they say.
HELD_BACK = frozenset({"artefact", "manifest"})

# Where a build works unless somebody says otherwise: it may be large.
DEFAULT_WORKSPACE = Path("/var/tmp")  # noqa: S108 (a directory is made there)

# Which descriptor a person's terminal is, in the inner process.
SCREEN = 3

Tell = Callable[[events.Event], None]

INNER = "from dib_service.engine import inner; inner.main()"


@dataclasses.dataclass(frozen=True)
class Job:
    """A build and the places on this machine that it may use.

    ``surroundings`` is the environment of a person who builds on a machine
    of their own: hooks have it, see this machine's files, and run in
    ``cwd``, where that person stands. ``None`` is for a request from
    elsewhere, whose hooks have and see nothing of that.
    ``owner`` (user, group) gets what was made, if not root; ``keep_old``
    renames what is in its place. ``memory`` has the build take place there
    if twice that many bytes are free. ``boot_test`` is what this host
    gives to the machines that the image is started in.
    """

    spec: spec.BuildSpec
    output_dir: Path
    workspace: Path
    element_path: Sequence[Path]
    cache_dir: Path | None = None
    hidden: Sequence[Path] = ()
    surroundings: Mapping[str, str] | None = None
    cwd: Path = Path("/")
    owner: tuple[int, int] | None = None
    keep_old: bool = False
    memory: int = 0
    boot_test: Settings = dataclasses.field(default_factory=Settings)

    @property
    def at_terminal(self) -> bool:
        """Whether a person's terminal is our input, for break points."""
        return self.surroundings is not None and os.isatty(0)

    @property
    def merges(self) -> bool:
        """Whether hooks saw what is in the directories that they wrote to."""
        return self.surroundings is not None

    def to_json(self, inside: Path) -> bytes:
        """The job in one line, with the directory that is now its own."""
        cache = self.cache_dir or inside / "cache"
        return json.dumps(
            {
                "spec": self.spec.to_dict(),
                "output_dir": str(self.output_dir),
                "workspace": str(inside),
                "element_path": [str(path) for path in self.element_path],
                "cache_dir": str(cache),
                "hidden": [str(path) for path in self.hidden],
                "memory": self.memory,
                "boot_test": self.boot_test.to_dict(),
                "cwd": str(self.cwd),
                "surroundings": self.surroundings and dict(self.surroundings),
                "at_terminal": self.at_terminal,
            }
        ).encode()


def run(job: Job, tell: Tell) -> int:
    """Build in a sandbox, telling each event; the exit code."""
    relay = _Relay(tell)
    try:
        return _run(job, relay)
    except errors.EngineError as exc:
        relay.fault(exc)
    except OSError as exc:
        relay.fault(errors.of_os(exc))
    except Exception as exc:
        traceback.print_exc()
        relay.fault(errors.Internal(f"{type(exc).__name__}: {exc}"))
    return 1


def _run(job: Job, relay: "_Relay") -> int:
    job.output_dir.mkdir(parents=True, exist_ok=True)
    if job.cache_dir:
        job.cache_dir.mkdir(parents=True, exist_ok=True)
    arriving = delivery.place_in(job.output_dir)
    with cgroup.group() as group, contextlib.ExitStack() as stack:

        def end() -> None:
            group.end()
            delivery.finish(
                job.output_dir,
                place=arriving,
                keep_old=job.keep_old,
                merge=job.merges,
            )

        space = stack.enter_context(
            workspace.workspace(job.workspace, also=end)
        )
        _populate(space.path)
        inner = _Inner(job.to_json(space.path), group, job.at_terminal)
        space.depends_on(inner.pid)
        with inner.ended_by_signals():
            relay.copy(inner.output)
            code = inner.wait()
        if code == 0:
            delivery.deliver(
                space.path / "out",
                job.output_dir,
                place=arriving,
                owner=job.owner,
                keep_old=job.keep_old,
                merge=job.merges,
            )
            relay.release()
    if code not in (0, 1) or (code == 1 and not relay.faulted):
        raise errors.Stopped if inner.stopped else errors.Died(code)
    return code


class _Inner:
    """Process 1 of the build's PID namespace."""

    def __init__(
        self, job: bytes, group: cgroup.Group, at_terminal: bool
    ) -> None:
        self.stopped = False
        sandbox.unshare_pids()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become_inner(theirs_in, theirs_out, at_terminal, group)
        sandbox.share_pids()
        os.close(theirs_in)
        os.close(theirs_out)
        # A number could be somebody else's by the time that we use it.
        self._pidfd = os.pidfd_open(self.pid)
        self.output = ours_out
        # Stays open: that it closes is how the inner one learns that we
        # ended before it could ask the kernel to tell it.
        self._input = ours_in
        with contextlib.suppress(BrokenPipeError):
            _write_all(ours_in, job + b"\n")

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        for descriptor in (self._input, self.output, self._pidfd):
            os.close(descriptor)
        return os.waitstatus_to_exitcode(status)

    @contextlib.contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """Pass SIGTERM and SIGINT on, and after a while insist."""
        before = {
            number: signal.signal(number, self._stop)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._kill)
        try:
            yield
        except BaseException:
            self._kill()
            self.wait()
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        self._signal(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    def _kill(self, number: int = 0, frame: FrameType | None = None) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # It may have ended, or be buried already.
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, number)


class _Relay:
    """Passes events on, and sees to it that there is one fault at most."""

    def __init__(self, tell: Tell) -> None:
        self.faulted = False
        self._tell = tell
        self._held: list[events.Event] = []

    def copy(self, source: int) -> None:
        """Until the other side ends. Half a line, by one that is killed
        while it writes, is not passed on."""
        rest = b""
        while data := os.read(source, 65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._pass_on(_event(line.decode(errors="backslashreplace")))

    def release(self) -> None:
        """Let go of what was held back."""
        for event in self._held:
            self._tell(event)

    def fault(self, error: errors.EngineError) -> None:
        """Say what went wrong, unless that has been said."""
        # Whoever listened may be what went away.
        with contextlib.suppress(OSError):
            self._pass_on(events.Event.now("fault", **error.to_dict()))

    def _pass_on(self, event: events.Event) -> None:
        if event.kind in HELD_BACK:
            self._held.append(event)
        elif event.kind != "fault" or not self.faulted:
            self.faulted = self.faulted or event.kind == "fault"
            self._tell(event)


def _event(line: str) -> events.Event:
    try:
        return events.Event.from_json(line)
    except ValueError:
        # Some library of the inner one's had something to say.
        return events.Event.now("line", text=line)


def _become_inner(
    standard_in: int,
    standard_out: int,
    at_terminal: bool,
    group: cgroup.Group,
) -> None:
    """Replace this process by a fresh interpreter that knows nothing."""
    try:
        sandbox.end_with_parent()
        group.join()
        os.setsid()
        os.chdir("/")
        screen = os.dup(0) if at_terminal else None
        os.dup2(standard_in, 0)
        os.dup2(standard_out, 1)
        first = SCREEN
        if screen is not None:
            os.dup2(screen, SCREEN)
            # It is already there, and none to keep, if it was the first.
            os.set_inheritable(SCREEN, True)
            first = SCREEN + 1
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))
        package = Path(__file__).resolve().parents[2]
        start = f"import sys; sys.path.insert(0, {str(package)!r}); {INNER}"
        os.execve(  # noqa: S606 (process 1 is not a child to wait for)
            sys.executable,
            [sys.executable, "-I", "-c", start],
            dict(process.BASE_ENV),
        )
    finally:
        os._exit(127)


def _populate(path: Path) -> None:
    workspace.build_place(path).mkdir()
    for name in ("home", "image", "out"):
        (path / name).mkdir()
    temporary = path / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
