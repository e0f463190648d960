"""The transport between the processes: clients, servers and a doorbell."""

from collections.abc import Callable, Sequence
import contextlib
import os
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_log import log
import oslo_messaging

LOG = log.getLogger(__name__)

# Only these come back as what they were raised as on the other side.
REMOTE_ERRORS = ["dib_service.exception"]

RESTART_SECONDS = 5.0


class _Shared:
    """The process's transport; a forked child makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transport: oslo_messaging.Transport | None = None
        self._made_in = 0

    def get(self) -> oslo_messaging.Transport:
        with self._lock:
            if self._transport is None or self._made_in != os.getpid():
                self._transport = new_transport()
                self._made_in = os.getpid()
            return self._transport

    def forget(self) -> None:
        with self._lock:
            if self._transport is not None:
                self._transport.cleanup()
            self._transport = None


_SHARED = _Shared()
transport = _SHARED.get
forget_transport = _SHARED.forget


def new_transport() -> oslo_messaging.Transport:
    """A transport with connections of its own."""
    return oslo_messaging.get_rpc_transport(
        cfg.CONF, allowed_remote_exmods=REMOTE_ERRORS
    )


def server(
    topic: str, host: str, endpoints: Sequence[Any]
) -> oslo_messaging.MessageHandlingServer:
    """A server of that topic, not yet started."""
    return oslo_messaging.get_rpc_server(
        transport(),
        oslo_messaging.Target(topic=topic, server=host),
        endpoints,
        executor="threading",
        access_policy=oslo_messaging.DefaultRPCAccessPolicy,
    )


class Listener:
    """Servers on a thread of their own: they wait for a broker that is down.

    Whoever starts them goes on without, and can still be told to end.
    """

    def __init__(
        self,
        name: str,
        *servers: Callable[[], oslo_messaging.MessageHandlingServer],
    ) -> None:
        self._name = name
        self._servers = servers
        self._listening = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._listen, name=name, daemon=True
        )

    def start(self, *, patience: float = 0.0) -> bool:
        """Whether the servers listened within so many seconds."""
        self._thread.start()
        return self._listening.wait(patience)

    def stop(self) -> None:
        """Take no new calls; wait() until the last one is answered."""
        self._stopping.set()

    def wait(self) -> None:
        """Return when nothing is answered any more."""
        if self._listening.is_set():
            self._thread.join()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except Exception:
                LOG.exception("%s: not listening", self._name)
                self._stopping.wait(RESTART_SECONDS)

    def _serve(self) -> None:
        with contextlib.ExitStack() as started:
            for make in self._servers:
                server = make()
                server.start()
                started.callback(server.wait)
                started.callback(server.stop)
            self._listening.set()
            self._stopping.wait()


class Doorbell:
    """Casts for people who cannot wait: ``ring`` returns at once.

    All rings of a short while are one cast; so what waits for a broker that
    is down is one thread and one flag, however many ring.
    """

    def __init__(self, cast: Callable[[], None], *, delay: float) -> None:
        self._cast = cast
        self._delay = delay
        self._rung = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._started_in = 0

    def ring(self) -> None:
        """Something is new."""
        self._rung.set()
        with self._lock:
            # A WSGI server may have forked since the last ring, and threads
            # stay behind.
            if self._thread is None or self._started_in != os.getpid():
                self._thread = threading.Thread(
                    target=self._answer, name="doorbell", daemon=True
                )
                self._started_in = os.getpid()
                self._thread.start()

    def _answer(self) -> None:
        while True:
            self._rung.wait()
            time.sleep(self._delay)
            self._rung.clear()
            try:
                self._cast()
            except Exception as error:
                # Nothing is lost: who was not woken looks by itself soon.
                LOG.info("the doorbell was not heard: %s", error)
