"""What a build has said: phases, hooks, faults, in order."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Event:
    """One event; ``id`` grows with every event of the service."""

    id: int
    epoch: int
    kind: str
    time: float
    facts: Mapping[str, Any]


def of_build(
    build_id: str, *, limit: int, marker: int | None = None
) -> Sequence[Event]:
    """Events, oldest first, at most ``limit``, with ids above ``marker``."""
    raise NotImplementedError
