"""Who runs a command of ours, and how their build gets root.

diskimage-builder is started by ordinary users and calls sudo for every
mount. We call it once. The caller's environment may hold secrets and names
that sudo does not let through, so it goes neither on the command line nor
into a file: the process of root's reads it from ours, which waits.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os
from pathlib import Path
import pwd
import select
import signal
import sys
from typing import Never, Self

from dib_service.engine import errors, process

OF_ROOT = (
    "import sys; sys.path.insert(0, {package!r}); "
    "from dib_service.engine.commands import image_create; "
    "sys.exit(image_create.of_root(sys.argv[1:]))"
)


@dataclasses.dataclass(frozen=True)
class Caller:
    """The environment of whoever called, and who is to own what is made.

    ``owner`` is a user and a group, or ``None``: root called, and does.
    """

    environment: Mapping[str, str]
    owner: tuple[int, int] | None = None

    @classmethod
    def present(cls) -> Self:
        """Whoever runs this process."""
        return cls({"HOME": _home(), **os.environ})

    @classmethod
    def behind(cls, pid: int, descriptor: int, owner: tuple[int, int]) -> Self:
        """Who waits in another process; when that ends, we are to end."""
        _end_with(pid)
        held = Path(f"/proc/{pid}/fd/{descriptor}").read_bytes()
        pairs = (entry.partition(b"=") for entry in held.split(b"\0") if entry)
        environment = {
            os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs
        }
        # By these git knows whose repositories root may touch, as it would
        # under a sudo of the caller's own.
        return cls(
            {
                **environment,
                "SUDO_UID": str(owner[0]),
                "SUDO_GID": str(owner[1]),
            },
            owner,
        )

    def as_root(self, words: Sequence[str]) -> int:
        """Have root do it, through sudo; the exit code.

        :raises errors.NeedsRoot: sudo is not there, or does not let us.
        """
        # Only with a terminal may it ask for a password.
        quietly = () if sys.stdin and sys.stdin.isatty() else ("-n",)
        held = _remembered(self.environment)
        try:
            if process.foreground(("sudo", *quietly, "true")) != 0:
                raise errors.NeedsRoot
            return process.foreground(
                (
                    *("sudo", *quietly, sys.executable, "-I", "-c"),
                    OF_ROOT.format(package=str(_package())),
                    *(str(os.getpid()), str(held)),
                    *(str(os.getuid()), str(os.getgid())),
                    *words,
                )
            )
        except FileNotFoundError as exc:
            raise errors.NeedsRoot from exc
        finally:
            os.close(held)


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        # A container may run somebody that it does not know.
        return "/"


def _remembered(environment: Mapping[str, str]) -> int:
    """A descriptor of a file in memory that holds the environment."""
    held = os.memfd_create("environment")
    for name, value in environment.items():
        entry = os.fsencode(name) + b"=" + os.fsencode(value) + b"\0"
        while entry:
            entry = entry[os.write(held, entry) :]
    return held


def _end_with(pid: int) -> None:
    """Be asked to end when another process has ended."""
    # An ordinary user's process may not signal one of root's: it is for
    # root's to notice.
    ourselves, theirs = os.pidfd_open(os.getpid()), os.pidfd_open(pid)
    if os.fork() == 0:
        _watch(ourselves, theirs)
    os.close(ourselves)
    os.close(theirs)


def _watch(ourselves: int, theirs: int) -> Never:
    try:
        # What a person types to end a build is not for this process.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 3)
        poll = select.poll()
        poll.register(ourselves, select.POLLIN)
        poll.register(theirs, select.POLLIN)
        if any(descriptor == theirs for descriptor, _ in poll.poll()):
            signal.pidfd_send_signal(ourselves, signal.SIGTERM)
    finally:
        os._exit(0)


def _package() -> Path:
    return Path(__file__).resolve().parents[3]
