"""What a person sees on stderr while a build runs, and when it failed."""

from collections.abc import Mapping, Sequence
import shutil
import time
from typing import Any, TextIO

from dib_service.client import sdk

# Without a terminal there is no line to draw again; this often, a line says
# that the build is still where it was.
STILL_SECONDS = 60.0


class Progress:
    """Tells a stream how a build gets on.

    A terminal has one line that is drawn again and again, with what runs
    now; anything else gets a line for each thing that happened.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._began = time.monotonic()
        self._said_at = self._began
        self._state = ""
        self._epoch = 0
        self._now = ""

    def tell(self, build: sdk.Build, events: Sequence[sdk.Event]) -> None:
        """Say what happened since the last time."""
        if not self._state:
            self._tell_state(build)
        for event in events:
            self._tell_event(event)
        # What is told last is what came last: a build that is verified has
        # all of its phases behind it.
        if not events:
            self._tell_state(build)
        self._draw()

    def trouble(self, error: Exception) -> None:
        """Say that the API does not answer, and that we go on asking."""
        what = str(error).splitlines()[0] if str(error) else repr(error)
        self._say(f"no answer from the API, asking again: {what}")

    def close(self) -> None:
        """Leave the terminal's line."""
        self._wipe()

    def _tell_state(self, build: sdk.Build) -> None:
        if build.state != self._state:
            self._state = build.state
            if build.state != "building":
                self._now = ""
            self._say(build.state)

    def _tell_event(self, event: sdk.Event) -> None:
        if event.epoch and event.epoch != self._epoch:
            if self._epoch:
                self._say(f"attempt {event.epoch}")
            self._epoch = event.epoch
        if event.kind == "phase":
            self._tell_phase(event)
        elif event.kind == "hook" and event.state == "start":
            self._now = f"{event.phase}: {event.element}/{event.hook}"
        elif event.kind == "artefact":
            self._say(f"made {event.facts.get('format', 'an artefact')}")

    def _tell_phase(self, event: sdk.Event) -> None:
        if event.state == "start":
            self._now = str(event.phase)
            if not self._terminal:
                self._say(f"{event.phase} …")
        else:
            self._now = ""
            self._say(f"{event.phase} done in {_seconds(event.seconds)}")

    def _say(self, text: str) -> None:
        self._wipe()
        self._stream.write(f"[{self._elapsed()}] {printable(text)}\n")
        self._stream.flush()
        self._said_at = time.monotonic()

    def _draw(self) -> None:
        text = self._now or self._state
        if self._terminal:
            line = f"[{self._elapsed()}] {printable(text)}"
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{line[:width]}")
            self._stream.flush()
        elif time.monotonic() - self._said_at >= STILL_SECONDS:
            self._say(f"{text} (still)")

    def _wipe(self) -> None:
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes:02d}:{seconds:02d}"


def epitaph(build: sdk.Build) -> str:
    """Why a build did not end well, for a person to read."""
    if build.state == "cancelled":
        return f"Build {build.id} was cancelled."
    fault: Mapping[str, Any] = build.fault or {}
    why = fault.get("message", "no reason is known")
    lines = [f"Build {build.id} failed: {why}"]
    for fact in ("element", "phase", "hook", "exit_code"):
        if fault.get(fact) is not None:
            title = fact.replace("_", " ")
            lines.append(f"  {title + ':':<11}{fault[fact]}")
    last = fault.get("last_lines") or ()
    if isinstance(last, str):
        last = last.splitlines()
    if last:
        lines.append("  last lines:")
        lines.extend(f"    | {line}" for line in last)
    lines.append(f"The whole log: openstack image build log {build.id}")
    return "\n".join(printable(line) for line in lines)


def printable(text: str) -> str:
    """The text without what would steer a terminal: hooks are strangers."""
    return "".join(
        c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def _seconds(value: Any) -> str:
    return f"{float(value):.1f} s" if value is not None else "some time"
