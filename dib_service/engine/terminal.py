"""Lets a person talk to a program of the build's, at their own terminal."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import fcntl
import os
from pathlib import Path
import select
import termios
import tty

from dib_service.engine import errors, process

PIECE = 4096
END_OF_INPUT = b"\x04"


def run(
    words: Sequence[str],
    screen: int,
    *,
    env: Mapping[str, str],
    cwd: Path,
) -> None:
    """Run a program on a terminal of its own, shown on the person's.

    The person's is that of another session, outside of our namespaces: a
    shell could neither own it nor be interrupted at it. ``screen`` is a
    descriptor of it.

    :raises errors.CommandError: it exited non-zero or could not start.
    """
    ours, theirs = os.openpty()
    with contextlib.ExitStack() as held:
        held.callback(os.close, ours)
        _same_size(screen, theirs)
        try:
            child = process.start(words, env=env, cwd=cwd, terminal=theirs)
        finally:
            os.close(theirs)
        held.callback(process.end, child)
        with _raw(screen):
            _relay(screen, ours)
        code = child.wait()
    if code:
        raise errors.CommandError(words, code)


def _relay(screen: int, ours: int) -> None:
    """Until nobody has the program's terminal open."""
    listening = [screen, ours]
    while True:
        ready, _, _ = select.select(listening, [], [])
        if ours in ready:
            try:
                os.write(screen, os.read(ours, PIECE))
            except OSError:
                return
        if screen in ready:
            typed = os.read(screen, PIECE)
            if not typed:
                listening.remove(screen)
            os.write(ours, typed or END_OF_INPUT)


def _same_size(screen: int, theirs: int) -> None:
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(screen, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)


@contextlib.contextmanager
def _raw(screen: int) -> Iterator[None]:
    """What is typed goes on as it is: the program's terminal minds it."""
    before = termios.tcgetattr(screen)
    # What has been typed ahead is meant for the program.
    tty.setraw(screen, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(screen, termios.TCSADRAIN, before)
