"""What a build says while it runs: one JSON object on each line."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import json
import time
from typing import Any, Self

# The kinds, and the facts that each carries beside kind and time:
#   phase      phase, state=start|end, seconds (at the end); one that fails
#              has no end
#   hook       phase, element, hook, state=start|end, seconds, exit_code
#   line       text: one line of output, without its newline; phase,
#              element, hook where one said it
#   artefact   role=image|kernel|ramdisk, format, name, path, size,
#              virtual_size, sha256, sha512 and perhaps md5
#   manifest   manifest: see engine.manifest
#   fault      code, turn, message and the facts of engine.errors; for a hook:
#              element, phase, hook, exit_code, last_lines
KINDS = ("phase", "hook", "line", "artefact", "manifest", "fault")

# How the engine's rooms say it: a kind, and its facts by name.
Say = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened, at ``time`` (seconds since the epoch)."""

    kind: str
    facts: Mapping[str, Any]
    time: float

    @classmethod
    def now(cls, kind: str, **facts: Any) -> Self:
        """An event that happens now."""
        return cls(kind=kind, facts=facts, time=time.time())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The event in one line of JSON.

        :raises ValueError: when the line is not an event.
        """
        try:
            data = json.loads(text)
            kind, when = data.pop("kind"), float(data.pop("time"))
        except (AttributeError, KeyError, RecursionError, TypeError):
            kind = None
        if kind not in KINDS:
            raise ValueError(f"not an event: {text[:80]!r}")
        return cls(kind=kind, facts=data, time=when)

    def to_json(self) -> str:
        """One line, without its newline."""
        return json.dumps({"kind": self.kind, "time": self.time, **self.facts})


@contextlib.contextmanager
def phase(say: Say, name: str) -> Iterator[None]:
    """Say when a phase starts and, if it gets there, when it ends."""
    say("phase", phase=name, state="start")
    started = time.monotonic()
    yield
    seconds = round(time.monotonic() - started, 3)
    say("phase", phase=name, state="end", seconds=seconds)
