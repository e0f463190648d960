"""What a person sees of a build: lines on a terminal and in a log file."""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
from datetime import UTC, datetime
import io
from pathlib import Path
import signal
import sys
from typing import TextIO

from dib_service.engine import events

# A shell's word for the exit status of what a signal ended.
SIGNALLED = 128
INTERRUPTED = SIGNALLED + signal.SIGINT


@dataclasses.dataclass
class Console:
    """Tells the events of one build; ``exit_code`` is what came of it.

    ``log`` is where the lines go, if anywhere, ``copy`` a file that has them
    too, ``paths`` where a program finds the names of what was made.
    """

    log: TextIO | None
    copy: TextIO | None = None
    paths: TextIO | None = None
    timestamps: bool = True
    exit_code: int = 0

    def tell(self, event: events.Event) -> None:
        """Show what an event means to a person."""
        for text in _lines(event):
            self._write(event.time, text)
        if event.kind == "artefact" and self.paths:
            print(event.facts["path"], file=self.paths, flush=True)
        if event.kind == "fault":
            self.exit_code = _exit_code(event.facts)
            if not self.log:
                # Whoever wants no log still wants to know.
                print(*_lines(event), sep="\n", file=sys.stderr, flush=True)

    def _write(self, when: float, text: str) -> None:
        moment = datetime.fromtimestamp(when, UTC)
        stamp = moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        if self.log:
            start = f"{stamp} | " if self.timestamps else ""
            print(f"{start}{text}", file=self.log, flush=True)
        if self.copy:
            print(f"{stamp} | {text}", file=self.copy, flush=True)


@contextlib.contextmanager
def opened(
    settings: Mapping[str, str], *, log: TextIO, paths: TextIO | None
) -> Iterator[Console]:
    """A console as DIB_QUIET, DIB_NO_TIMESTAMP and LOGFILE want it."""
    # No hook's words are too strange to be shown, and names stay what they
    # are, whatever language the terminal is set to.
    _accept(log, "backslashreplace")
    _accept(paths, "surrogateescape")
    name = settings.get("LOGFILE")
    quiet = settings.get("DIB_QUIET") or ("1" if name else "0")
    with contextlib.ExitStack() as stack:
        copy = None
        if name:
            copy = stack.enter_context(
                Path(name).open(
                    "a", encoding="utf-8", errors="backslashreplace"
                )
            )
            print(f"the log goes to {name}", file=log, flush=True)
        yield Console(
            log=None if quiet == "1" else log,
            copy=copy,
            paths=paths,
            timestamps=settings.get("DIB_NO_TIMESTAMP", "0") != "1",
        )


def _accept(stream: TextIO | None, errors: str) -> None:
    """Let a stream take what its encoding has no characters for."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=errors)


def _lines(event: events.Event) -> list[str]:
    facts = event.facts
    if event.kind == "line":
        return [facts["text"]]
    if event.kind == "phase":
        return [_phase(facts)]
    if event.kind == "hook":
        return [_hook(facts)]
    if event.kind == "artefact":
        return [f"made {facts['path']} ({facts['size']} bytes)"]
    if event.kind == "fault":
        return [f"ERROR: {facts['message']}"]
    return []


def _phase(facts: Mapping[str, object]) -> str:
    if facts["state"] == "start":
        return f"== {facts['phase']}"
    return f"== {facts['phase']}: {facts['seconds']} s"


def _hook(facts: Mapping[str, object]) -> str:
    whose = f"{facts['element']}: " if facts["element"] else ""
    words = f"-- {whose}{facts['phase']}/{facts['hook']}"
    if facts["state"] == "start":
        return words
    return f"{words}: {facts['seconds']} s, exit code {facts['exit_code']}"


def _exit_code(facts: Mapping[str, object]) -> int:
    """The hook's own, where one failed, as a shell would say it."""
    code = facts.get("exit_code")
    if not isinstance(code, int) or code == 0:
        return 1
    return code if code > 0 else SIGNALLED - code
