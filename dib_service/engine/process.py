"""The one door to other programs: no shell, no inheritance, an end."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
import contextlib
import fcntl
import os
from pathlib import Path
import selectors
import signal
import subprocess
import termios
import time

from dib_service.engine import errors, kernel

Word = str | os.PathLike[str]
Prepare = Callable[[], None]

# All that a program gets unless its caller adds to it: nothing of ours.
BASE_ENV: Mapping[str, str] = {
    "HOME": "/",
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}

# A program that never ends its line is shown in pieces of this many bytes.
LONGEST_LINE = 16 * 1024

# How long we listen to what a program left behind when it ended.
LAST_WORDS_SECONDS = 0.5


def run(
    words: Sequence[Word],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline: float | None = None,
    on_stderr: Callable[[str], object] | None = None,
) -> str:
    """What the program wrote to stdout; ``deadline`` is in seconds.

    ``on_stderr`` is called with each line of stderr as it comes.

    :raises errors.CommandError: it exited non-zero or could not start.
    :raises errors.DeadlineExceeded: it ran for longer than it may.
    """
    stdout, stderr = bytearray(), bytearray()
    lines = _Lines(on_stderr)

    def hear(data: bytes) -> None:
        stderr.extend(data)
        lines.feed(data)

    try:
        code = _attend(
            _popen(words, env, cwd, stderr=subprocess.PIPE),
            stdout.extend,
            hear,
            deadline,
        )
        lines.end()
    except TimeoutError as exc:
        raise errors.DeadlineExceeded(
            _texts(words),
            None,
            stdout=_text(stdout),
            stderr=_text(stderr),
            problem=str(exc),
        ) from None
    if code:
        raise errors.CommandError(
            _texts(words), code, stdout=_text(stdout), stderr=_text(stderr)
        )
    return _text(stdout)


def stream(
    words: Sequence[Word],
    on_line: Callable[[str], object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline: float | None = None,
    prepare: Prepare | None = None,
) -> None:
    """Call ``on_line`` with each line, stdout and stderr as they come.

    ``prepare`` is called in the child just before the program takes its
    place.

    It ends when the program ends, even if something that it left behind
    still holds its output open.

    :raises errors.CommandError: it exited non-zero or could not start.
    :raises errors.DeadlineExceeded: it ran for longer than it may.
    """
    lines = _Lines(on_line)
    try:
        code = _attend(
            _popen(words, env, cwd, stderr=subprocess.STDOUT, prepare=prepare),
            lines.feed,
            lines.feed,
            deadline,
        )
        lines.end()
    except TimeoutError as exc:
        lines.end()
        raise errors.DeadlineExceeded(
            _texts(words), None, last_lines=lines.last, problem=str(exc)
        ) from None
    if code:
        raise errors.CommandError(_texts(words), code, last_lines=lines.last)


def foreground(
    words: Sequence[Word], *, env: Mapping[str, str] | None = None
) -> int:
    """The exit code of a program that has our terminal.

    For what speaks to the person who started us, as sudo does; it has our
    environment, too, unless there is another for it. It is asked to end when
    we are killed.

    :raises OSError: it could not start.
    :raises KeyboardInterrupt: the person wanted an end, and it has failed.
    """
    interrupted = False
    with subprocess.Popen(
        words,
        env=env,
        preexec_fn=lambda: kernel.end_with_parent(signal.SIGTERM),
    ) as child:
        while True:
            try:
                code = child.wait()
            except KeyboardInterrupt:
                # What the person types at the terminal is for the program:
                # it has got it, and puts things away.
                interrupted = True
            else:
                break
    if interrupted and code:
        raise KeyboardInterrupt
    return code


def start(
    words: Sequence[Word],
    *,
    env: Mapping[str, str],
    cwd: Path,
    terminal: int,
) -> subprocess.Popen[bytes]:
    """A program that has just begun, with a terminal as its own.

    :raises errors.CommandError: it could not start.
    """

    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    try:
        return subprocess.Popen(
            words,
            env={**BASE_ENV, **env},
            cwd=cwd,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=own_terminal,
        )
    except OSError as exc:
        raise _not_started(words, exc) from exc


def begin(words: Sequence[Word], *, cwd: Path) -> subprocess.Popen[bytes]:
    """A program that has just begun, whose stdout and stderr are pipes.

    Whoever began it reads them and, with ``end``, ends it.

    :raises errors.CommandError: it could not start.
    """
    return _popen(words, None, cwd, stderr=subprocess.PIPE)


def end(child: subprocess.Popen[bytes]) -> None:
    """End what ``start`` or ``begin`` began, and what is left of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    _reap_orphans()


def end_rooted(root: Path) -> None:
    """End every process whose root directory lies in ``root``.

    Package scripts leave daemons behind in a chroot; what they hold open
    cannot be unmounted.
    """
    for _ in range(50):
        left = _rooted(root)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def end_all() -> None:
    """As process 1, end every other process: what hooks left running."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)


def _popen(
    words: Sequence[Word],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    *,
    stderr: int,
    prepare: Prepare | None = None,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            env={**BASE_ENV, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            # What times out leaves children behind; a session of its own
            # is what lets us end all of them and not only the first.
            start_new_session=True,
            preexec_fn=prepare,
        )
    except OSError as exc:
        raise _not_started(words, exc) from exc


def _not_started(words: Sequence[Word], cause: OSError) -> errors.CommandError:
    return errors.CommandError(
        _texts(words), None, problem=f"did not start: {cause.strerror}"
    )


def _attend(
    child: subprocess.Popen[bytes],
    on_stdout: Callable[[bytes], object],
    on_stderr: Callable[[bytes], object],
    deadline: float | None,
) -> int:
    """Read until the child has ended; its exit code.

    :raises TimeoutError: the deadline passed.
    """
    started = time.monotonic()
    pidfd = os.pidfd_open(child.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pidfd, selectors.EVENT_READ)
            for pipe, sink in (
                (child.stdout, on_stdout),
                (child.stderr, on_stderr),
            ):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, sink)
            _pump(selector, pidfd, started, deadline)
        # Only now is the pid given back, so that the group which is ended
        # below cannot be somebody else's.
        code = child.wait()
        _reap_orphans()
        return code
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    finally:
        os.close(pidfd)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def _pump(
    selector: selectors.BaseSelector,
    pidfd: int,
    started: float,
    deadline: float | None,
) -> None:
    ended = False
    last_words = 0.0
    while True:
        left = None
        if deadline is not None:
            left = started + deadline - time.monotonic()
            if left <= 0 and not ended:
                raise TimeoutError(f"still ran after {deadline:g} seconds")
        ready = selector.select(0 if ended else left)
        # Once the child is gone, take what is there and do not wait for
        # more: a daemon that it left may hold the pipe for ever.
        if ended and (not ready or time.monotonic() > last_words):
            return
        for key, _ in ready:
            if key.fd == pidfd:
                ended = True
                last_words = time.monotonic() + LAST_WORDS_SECONDS
                selector.unregister(pidfd)
                continue
            data = os.read(key.fd, 65536)
            if data:
                key.data(data)
            else:
                selector.unregister(key.fileobj)


class _Lines:
    """Cuts bytes into lines and remembers the last of them."""

    def __init__(self, on_line: Callable[[str], object] | None) -> None:
        self.last: deque[str] = deque(maxlen=errors.LAST_LINES)
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._say(line)
        while len(self._rest) > LONGEST_LINE:
            self._say(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        text = _text(line.rstrip(b"\r"))
        self.last.append(text)
        if self._on_line:
            self._on_line(text)


def _reap_orphans() -> None:
    """As process 1, bury those whose parents have gone."""
    if os.getpid() != 1:
        return
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _rooted(root: Path) -> list[int]:
    inside = str(root.resolve())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            where = str((entry / "root").readlink())
        except OSError:
            continue
        if where == inside or where.startswith(inside + "/"):
            found.append(int(entry.name))
    return found


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="backslashreplace")


def _texts(words: Sequence[Word]) -> list[str]:
    return [os.fspath(word) for word in words]
