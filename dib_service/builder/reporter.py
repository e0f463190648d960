"""What a build says on its way to the conductor: all of it, in order, once.

The job never waits for the conductor; a thread sends. What cannot be sent
is kept and sent again under the same sequence number, which the conductor
stores once. When more is kept than memory should hold, whoever adds to it
waits: the engine is then held up by its full pipe, and nothing is lost.
"""

from collections import deque
from collections.abc import Callable
import json
import threading
import time
from types import TracebackType
from typing import Any, Self

from oslo_log import log
import oslo_messaging

from dib_service import exception
from dib_service.builder import transcript
from dib_service.conductor import rpcapi
from dib_service.engine import events

LOG = log.getLogger(__name__)

CHUNK_BYTES = 64 * 1024
SPACING_SECONDS = 1.0
# With more than this waiting, chunks follow each other without a pause.
HURRY_BYTES = 1024 * 1024
KEPT_BYTES = 8 * 1024 * 1024

BATCH_EVENTS = 100
BATCH_BYTES = 256 * 1024
KEPT_EVENTS = 2000

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0

# An event, and its size.
Row = tuple[dict[str, Any], int]

# The conductor, its database or what lies between is away: ask again.
AWAY = (
    oslo_messaging.MessagingException,
    exception.DibServiceError,
    OSError,
)


class Reporter:
    """The voice of one build; a ``with`` block is how long it speaks."""

    def __init__(
        self,
        conductor: rpcapi.ConductorAPI,
        lease: rpcapi.Lease,
        *,
        on_stale: Callable[[], None],
    ) -> None:
        self._conductor = conductor
        self._lease = lease
        self._on_stale = on_stale
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._state = "building"
        self._told_state: str | None = None
        self._events: deque[Row] = deque()
        self._event_bytes = 0
        self._event_sequence = 0
        self._text = bytearray()
        self._text_sequence = 0
        self._flushing = False
        self._hurried = False
        self._thread = threading.Thread(
            target=self._speak, name=f"report-{lease.build_id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self._thread.join(SPACING_SECONDS)

    def state(self, name: str) -> None:
        """The build stands there now."""
        with self._changed:
            self._state = name
            self._changed.notify_all()

    def event(self, event: events.Event) -> None:
        """This has happened."""
        self.text(transcript.text(event))
        if event.kind == "line":
            return
        row = _as_dict(event)
        size = len(json.dumps(row))
        with self._changed:
            self._changed.wait_for(
                lambda: self._room_for_events() or self._unhindered()
            )
            self._events.append((row, size))
            self._event_bytes += size

    def text(self, text: str) -> None:
        """This belongs in the log."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._text) < KEPT_BYTES or self._unhindered()
            )
            self._text += text.encode(errors="backslashreplace")

    def hurry(self) -> None:
        """Nobody waits for room from now on: the build is being ended."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait so many seconds, at most; False if more time could help."""
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._empty() or self._closed.is_set(), seconds
            )
            self._flushing = False
            return self._empty() or self._closed.is_set()

    def close(self) -> None:
        """Say no more, whatever is still kept."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def _room_for_events(self) -> bool:
        return (
            len(self._events) < KEPT_EVENTS and self._event_bytes < KEPT_BYTES
        )

    def _unhindered(self) -> bool:
        return self._hurried or self._closed.is_set()

    def _empty(self) -> bool:
        return (
            not self._events
            and not self._text
            and self._state == self._told_state
        )

    def _speak(self) -> None:
        try:
            while not self._closed.is_set():
                self._report()
                self._append_log()
                with self._changed:
                    self._changed.wait_for(self._urgent, SPACING_SECONDS)
        except exception.StaleClaim:
            LOG.info("build %s: no longer ours", self._lease.build_id)
            self.close()
            self._on_stale()
        except Exception:
            LOG.exception("build %s: reporting ends", self._lease.build_id)
            self.close()

    def _urgent(self) -> bool:
        return (
            self._closed.is_set()
            or (self._flushing and not self._empty())
            or self._state != self._told_state
            or len(self._text) > HURRY_BYTES
        )

    def _report(self) -> None:
        with self._changed:
            state = self._state
            batch = _batch(self._events)
        if not batch and state == self._told_state:
            return
        first = self._event_sequence
        if not self._insist(
            lambda: self._conductor.report(
                self._lease,
                state=state,
                events=batch,
                first_sequence=first,
            )
        ):
            return
        with self._changed:
            self._told_state = state
            self._event_sequence += len(batch)
            for _ in batch:
                self._event_bytes -= self._events.popleft()[1]
            self._changed.notify_all()

    def _append_log(self) -> None:
        with self._changed:
            chunk = bytes(self._text[:CHUNK_BYTES])
        sequence = self._text_sequence
        if not chunk or not self._insist(
            lambda: self._conductor.append_log(self._lease, sequence, chunk)
        ):
            return
        with self._changed:
            self._text_sequence += 1
            del self._text[: len(chunk)]
            self._changed.notify_all()

    def _insist(self, call: Callable[[], None]) -> bool:
        return insist(
            call, stop=self._closed, about=f"build {self._lease.build_id}"
        )


def insist(
    call: Callable[[], object], *, stop: threading.Event, about: str
) -> bool:
    """Whether the conductor answered before ``stop`` was set.

    What it calls malformed is not said again: that would be for ever.

    :raises StaleClaim: it answered that the lease is not ours.
    """
    pause = FIRST_PAUSE_SECONDS
    since = time.monotonic()
    while not stop.is_set():
        try:
            call()
            return True
        except exception.StaleClaim:
            raise
        except exception.BadRequest as exc:
            LOG.error("%s: not taken: %s", about, exc)
            return True
        except AWAY as exc:
            LOG.warning(
                "%s: no conductor for %.0f s: %s",
                about,
                time.monotonic() - since,
                exc,
            )
        stop.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
    return False


def _batch(waiting: deque[Row]) -> list[dict[str, Any]]:
    """The next events: at least one where there is one, and not too many."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row, row_size in waiting:
        size += row_size
        if batch and (size > BATCH_BYTES or len(batch) == BATCH_EVENTS):
            break
        batch.append(row)
    return batch


def _as_dict(event: events.Event) -> dict[str, Any]:
    facts = dict(event.facts)
    # Where it lies on this host is nobody's business.
    facts.pop("path", None)
    return {"kind": event.kind, "time": event.time, **facts}
