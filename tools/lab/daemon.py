"""Programs that stay: started once, known by a pid file, ended by pid."""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
from typing import IO

from tools.lab import errors

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PATIENCE_SECONDS = 300.0


@dataclasses.dataclass(frozen=True)
class Daemon:
    """One program in the background; ``state`` holds its pid and its log.

    It gets the environment in ``env`` and nothing else, and a session of its
    own, so that a Ctrl-C meant for us does not end it.
    """

    name: str
    argv: Sequence[str]
    state: pathlib.Path
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    user: str | None = None

    @property
    def log(self) -> pathlib.Path:
        """Everything it printed, over all its starts."""
        return self.state / f"{self.name}.log"

    @property
    def pid_file(self) -> pathlib.Path:
        """Its pid, and the moment at which that pid began."""
        return self.state / f"{self.name}.pid"

    def start(self) -> None:
        """Run it, unless it runs already."""
        if self.alive():
            return
        self.state.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                list(self.argv),
                env={"PATH": PATH, "LC_ALL": "C.UTF-8", **self.env},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
            )
        self.pid_file.write_text(f"{child.pid} {_birth(child.pid)}\n")
        # Whether it lives is read from /proc, also by later processes; this
        # only keeps Popen from complaining that nobody waited.
        child.returncode = 0

    def pid(self) -> int | None:
        """Its pid while it runs."""
        try:
            pid, birth = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        # A pid that was given to another program has another birth.
        return int(pid) if _birth(int(pid)) == birth else None

    def alive(self) -> bool:
        """It runs."""
        return self.pid() is not None

    def stop(self, *, seconds: float = 15.0) -> None:
        """End it and what it started; politely for so many seconds."""
        pid = self.pid()
        if pid is None:
            self.pid_file.unlink(missing_ok=True)
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill(pid)
        self.pid_file.unlink(missing_ok=True)

    def kill(self, session: int | None = None) -> None:
        """SIGKILL its whole session, as a machine that fails would."""
        leader = session or self.pid()
        if leader is None:
            return
        for pid in _session(leader):
            _signal(pid, signal.SIGKILL)
        while _session(leader):
            time.sleep(0.02)

    def wait_until(
        self, ready: Callable[[], bool], *, seconds: float = 90.0
    ) -> None:
        """Return once ``ready`` says so.

        :raises LabError: when it died, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive():
                raise errors.LabError(
                    f"{self.name} ended while it started", log=self.log
                )
            if time.monotonic() > deadline:
                raise errors.LabError(
                    f"{self.name} was not ready after {seconds:.0f} s",
                    log=self.log,
                )
            time.sleep(0.1)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def listens(port: int) -> bool:
    """Somebody answers on that port of 127.0.0.1."""
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def run(
    argv: Sequence[str],
    *,
    log: pathlib.Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> None:
    """Run a program to its end, its output going to ``log``.

    :raises LabError: it failed, or took too long.
    """
    with log.open("ab") as out:
        _run(argv, out, log, env=env, user=user)


def output_of(argv: Sequence[str], *, log: pathlib.Path) -> str:
    """What a program prints, its complaints going to ``log``.

    :raises LabError: it failed, or took too long.
    """
    with tempfile.TemporaryFile("w+b") as out:
        _run(argv, out, log)
        out.seek(0)
        return out.read().decode()


def _run(
    argv: Sequence[str],
    out: IO[bytes],
    log: pathlib.Path,
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> None:
    with log.open("ab") as complaints:
        try:
            code = subprocess.run(
                list(argv),
                env={"PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=complaints,
                timeout=PATIENCE_SECONDS,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as exc:
            raise errors.LabError(
                f"{argv[0]} did not end in {PATIENCE_SECONDS:.0f} s", log=log
            ) from exc
    if code != 0:
        raise errors.LabError(f"{' '.join(argv)} exited {code}", log=log)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name; None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    if fields[0] != "Z":
        return fields
    # A zombie of ours would otherwise stay until we end.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return None


def _birth(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[19] if fields else None


def _session(leader: int) -> list[int]:
    """Every living process of the session that ``leader`` opened."""
    pids = [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*")]
    return [
        pid
        for pid in pids
        if (fields := _stat(pid)) is not None and fields[3] == str(leader)
    ]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
