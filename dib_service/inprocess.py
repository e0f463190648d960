"""Messaging inside one process, for people who have no broker.

kombu's memory transport with two things mended. Who waits for a message
there asks for it again and again, and oslo.messaging makes it do so without a
pause: four idle listeners keep a processor busy. And two threads that make
one queue at the same time may make two.
"""

from queue import Empty, Queue
import threading
import time
from typing import Any

from kombu import transport
from kombu.transport import memory

# oslo.messaging looks for "kombu", kombu for the rest. A name of our own, and
# not "memory", which oslo.messaging treats specially.
NAME = "dibinprocess"
URL = f"kombu+{NAME}://localhost/"


class _Arrivals:
    """How many messages there have been, and a way to wait for more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def add(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float | None) -> bool:
        """Whether there is one more than those seen, in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count != seen, seconds)


_ARRIVALS = _Arrivals()


class Channel(memory.Channel):
    """Queues in memory that say when something is put into them."""

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        self._queue_for(queue)

    def _queue_for(self, queue: str) -> "Queue[Any]":
        found: Queue[Any] = self.queues.setdefault(queue, Queue())
        return found

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        self._queue_for(queue).put(message)
        _ARRIVALS.add()

    def _put_fanout(
        self, exchange: str, message: Any, routing_key: Any = None, **kw: Any
    ) -> None:
        super()._put_fanout(exchange, message, routing_key, **kw)  # type: ignore[no-untyped-call]
        _ARRIVALS.add()


class Transport(memory.Transport):
    """A transport whose listeners sleep until there is something to hear."""

    Channel = Channel

    def drain_events(
        self, connection: Any, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Deliver one message.

        :raises TimeoutError: none came in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._deliver_one():
            left = deadline and max(0.0, deadline - time.monotonic())
            if not _ARRIVALS.wait(self._seen, left):
                raise TimeoutError

    def _deliver_one(self) -> bool:
        # Read first: what arrives while we look is not slept over.
        self._seen = _ARRIVALS.count
        try:
            if self.cycle is not None:
                self.cycle.get(self._deliver)  # type: ignore[no-untyped-call]
                return True
        except Empty:
            pass
        return False


def register() -> None:
    """Make ``URL`` a transport that kombu knows."""
    transport.TRANSPORT_ALIASES[NAME] = f"{__name__}:Transport"
