"""What a build has said: phases, hooks, faults, in order."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import sqlalchemy as sa

from dib_service.db import api as db
from dib_service.db import models

EVENTS = models.EVENTS


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
    query = (
        sa.select(EVENTS)
        .where(EVENTS.c.build_uuid == build_id)
        .order_by(EVENTS.c.id)
        .limit(limit)
    )
    if marker is not None:
        query = query.where(EVENTS.c.id > marker)
    with db.reader() as connection:
        return [
            Event(
                id=row.id,
                epoch=row.epoch,
                kind=row.kind,
                time=row.time,
                facts=row.facts,
            )
            for row in connection.execute(query)
        ]


def last(build_id: str, epoch: int, kind: str) -> Mapping[str, Any] | None:
    """The facts of the attempt's last event of that kind."""
    query = (
        sa.select(EVENTS.c.facts)
        .where(EVENTS.c.build_uuid == build_id)
        .where(EVENTS.c.epoch == epoch)
        .where(EVENTS.c.kind == kind)
        .order_by(EVENTS.c.sequence.desc())
        .limit(1)
    )
    with db.reader() as connection:
        row = connection.execute(query).first()
    return row.facts if row else None


def append(
    connection: sa.Connection,
    build_id: str,
    epoch: int,
    first_sequence: int,
    events: Sequence[Mapping[str, Any]],
) -> None:
    """Store those events that are not stored yet; their order is theirs.

    The caller's transaction holds the build's row.
    """
    numbered = {first_sequence + n: event for n, event in enumerate(events)}
    known = connection.scalars(
        sa.select(EVENTS.c.sequence)
        .where(EVENTS.c.build_uuid == build_id)
        .where(EVENTS.c.epoch == epoch)
        .where(EVENTS.c.sequence.in_(numbered))
    ).all()
    rows = [
        {
            "build_uuid": build_id,
            "epoch": epoch,
            "sequence": sequence,
            "kind": event["kind"],
            "time": event["time"],
            "facts": {
                name: fact
                for name, fact in event.items()
                if name not in ("kind", "time")
            },
        }
        for sequence, event in numbered.items()
        if sequence not in known
    ]
    if rows:
        connection.execute(sa.insert(EVENTS), rows)
