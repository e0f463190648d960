"""Asking an API again that cannot be reached just now."""

from collections.abc import Callable, Collection
import dataclasses
import time
from typing import TypeVar

from keystoneauth1 import exceptions as ksa_exceptions
from openstack import exceptions

Answer = TypeVar("Answer")

# What stands between us and the service says these, or the service itself
# while something that it needs, such as its database, is away.
OUTAGES = (500, 502, 503, 504)

LONGEST_PAUSE = 10.0


@dataclasses.dataclass
class Patience:
    """Waits up to ``seconds`` for an answer; each answer starts it anew.

    ``tell`` hears of each failure before the pause that follows it;
    ``tried`` says whether the last question was asked more than once.
    """

    seconds: float = 300.0
    outages: Collection[int] = OUTAGES
    tell: Callable[[Exception], None] = lambda error: None
    sleep: Callable[[float], None] = dataclasses.field(
        default_factory=lambda: time.sleep
    )
    clock: Callable[[], float] = dataclasses.field(
        default_factory=lambda: time.monotonic
    )
    tried: bool = dataclasses.field(default=False, init=False)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """What ``question`` returns, as soon as the API can be reached.

        Only a question that may be repeated may be asked so.

        :raises Exception: what the question raised, when it was no outage or
            the time is up.
        """
        self.tried = False
        give_up = self.clock() + self.seconds
        pause = 0.5
        while True:
            try:
                return question()
            except (
                ksa_exceptions.ConnectFailure,
                ksa_exceptions.ConnectTimeout,
                ksa_exceptions.UnknownConnectionError,
                exceptions.HttpException,
            ) as exc:
                if not self._outage(exc) or self.clock() >= give_up:
                    raise
                self.tell(exc)
            self.tried = True
            self.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _outage(self, exc: Exception) -> bool:
        if isinstance(exc, exceptions.HttpException):
            return exc.status_code in self.outages
        return True
