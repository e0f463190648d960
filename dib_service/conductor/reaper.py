"""Leases that ran out, ended only by a conductor that could have renewed."""

from collections.abc import Callable
import time

from oslo_config import cfg
from oslo_log import log

from dib_service.objects import lease

LOG = log.getLogger(__name__)


class Reaper:
    """Ends leases after one full lease of uninterrupted service.

    After an outage of the database, the broker or this very process, each
    builder that lives gets the time to say so.
    """

    def __init__(
        self,
        reachable: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reachable = reachable
        self._clock = clock
        self._serving_since: float | None = None
        self._last_look: float | None = None

    def look(self) -> int:
        """End what has run out, if we may; says how many."""
        settings = cfg.CONF.conductor
        if not self._serving():
            self._serving_since = None
            return 0
        # Looked at afterwards: to find out may itself have taken long.
        now = self._clock()
        if self._last_look is not None and now - self._last_look > max(
            settings.lease_seconds / 2, 2 * settings.reap_interval
        ):
            LOG.info("this conductor has slept: no lease is ended yet")
            self._serving_since = None
        self._last_look = now
        if self._serving_since is None:
            self._serving_since = now
        if now - self._serving_since < settings.lease_seconds:
            return 0
        ended = lease.end_expired()
        if ended:
            LOG.warning("%d leases ran out", ended)
        return ended

    def _serving(self) -> bool:
        try:
            lease.clock()
            self._reachable()
        except Exception as error:
            LOG.warning("no lease is ended now: %s", error)
            return False
        return True
