"""A conductor at work: it answers builders and makes its own rounds."""

from collections.abc import Callable
import functools
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log

from dib_service import rpc
from dib_service.builder import rpcapi as builder_rpcapi
from dib_service.conductor import (
    cloud,
    endpoint,
    publisher,
    reaper,
    rpcapi,
    sweeper,
)

LOG = log.getLogger(__name__)

# What is published does not wait for a broker any longer than that.
PATIENCE_SECONDS = 5.0


class ConductorService:
    """One conductor: ``start``, ``stop``, ``wait``.

    All conductors are equal, and none keeps what another would need.
    """

    def __init__(self, host: str) -> None:
        # Everything else comes with start(): a service may be pickled.
        self.host = host

    def start(self) -> None:
        """Answer builders, and begin the rounds.

        :raises Unknown: the options of a target lead nowhere.
        """
        settings = cfg.CONF.conductor
        self._stopping = threading.Event()
        self._cloud = cloud.Cloud(cfg.CONF)
        # Each target has threads of its own: none waits for another one. It
        # is made, and not asked anything: what is down may come up, and what
        # is not configured would fail in each round.
        self._publishing = {
            self._cloud.target(name).name: threading.Event()
            for name in self._cloud.names()
        }
        self._client = rpcapi.ConductorAPI()
        builders = endpoint.Endpoint(
            cloud=self._cloud,
            bell=endpoint.Bell(builder_rpcapi.BuilderAPI(rpc.transport())),
            publish_soon=self._publish_soon,
        )
        logs = endpoint.LogEndpoint()
        self._listener = rpc.Listener(
            "conductor",
            lambda: rpc.server(rpcapi.TOPIC, self.host, [builders]),
            lambda: rpc.server(rpcapi.LOG_TOPIC, self.host, [logs]),
        )
        if not self._listener.start(patience=PATIENCE_SECONDS):
            LOG.warning("conductor %s: waiting for the broker", self.host)
        watch = reaper.Reaper(lambda: self._client.ping(self.host))
        self._threads = [
            self._round("reaper", settings.reap_interval, watch.look),
        ]
        for name, wake in self._publishing.items():
            self._threads += [
                self._round(
                    f"publisher-{name}",
                    settings.publish_interval,
                    functools.partial(self._publish, name),
                    wake=wake,
                ),
                self._round(
                    f"sweeper-{name}",
                    settings.sweep_interval,
                    functools.partial(self._sweep, name),
                ),
            ]
        LOG.info("conductor %s: started", self.host)

    def stop(self) -> None:
        """Take no new calls; wait() until the last one is answered."""
        self._stopping.set()
        for wake in self._publishing.values():
            wake.set()
        self._listener.stop()

    def wait(self) -> None:
        """Return when nothing of this conductor runs any more."""
        self._listener.wait()
        for thread in self._threads:
            # A round that hangs in Glance dies with the process: each of
            # its steps may be repeated.
            thread.join(timeout=5.0)

    def _publish_soon(self, target: str) -> None:
        if target in self._publishing:
            self._publishing[target].set()

    def _publish(self, target: str) -> None:
        publisher.publish_due(self._cloud.target(target))

    def _sweep(self, target: str) -> None:
        sweeper.sweep(self._cloud.target(target))

    def _round(
        self,
        name: str,
        interval: float,
        work: Callable[[], Any],
        *,
        wake: threading.Event | None = None,
    ) -> threading.Thread:
        """A thread that works, waits, and works again."""
        pause = wake or self._stopping

        def go_round() -> None:
            while not self._stopping.is_set():
                try:
                    work()
                except Exception:
                    LOG.exception("%s: this round failed", name)
                pause.wait(interval)
                if wake is not None:
                    wake.clear()

        thread = threading.Thread(target=go_round, name=name, daemon=True)
        thread.start()
        return thread
