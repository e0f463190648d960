"""What waits for a builder, and what choosing among it needs to know."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import sqlalchemy as sa

from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build as builds

BUILDS = models.BUILDS


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A queued build, as far as choosing among them needs it."""

    build_id: str
    epoch: int
    project_id: str
    # Who had it last, if it is not new, and how long it has been ready.
    last_builder_id: str | None
    ready_seconds: float


def candidates(
    builder_id: str, architectures: Sequence[str], *, limit: int
) -> Sequence[Candidate]:
    """The oldest queued builds that this builder could build now.

    Where there are more than ``limit``, the oldest of other projects come
    with them: nobody is out of sight behind another's hundred.
    """
    fit = _fit(builder_id, architectures)
    oldest = _candidates().where(fit).order_by(BUILDS.c.id).limit(limit)
    with db.reader() as connection:
        found = [Candidate(**r._mapping) for r in connection.execute(oldest)]
        if len(found) < limit:
            return found
        first = sa.func.min(BUILDS.c.id)
        firsts = connection.scalars(
            sa.select(first)
            .where(fit)
            .where(BUILDS.c.project_id.not_in({c.project_id for c in found}))
            .group_by(BUILDS.c.project_id)
            .order_by(first)
            .limit(limit)
        ).all()
        others = _candidates().where(BUILDS.c.id.in_(firsts))
        return found + [
            Candidate(**row._mapping)
            for row in connection.execute(others.order_by(BUILDS.c.id))
        ]


def _candidates() -> sa.Select[Any]:
    return sa.select(
        BUILDS.c.uuid.label("build_id"),
        BUILDS.c.epoch,
        BUILDS.c.project_id,
        BUILDS.c.builder_uuid.label("last_builder_id"),
        (db.now() - BUILDS.c.not_before).label("ready_seconds"),
    )


def _fit(
    builder_id: str, architectures: Sequence[str]
) -> sa.ColumnElement[bool]:
    """The condition for what is queued and this builder could build now."""
    wanted, held = models.BUILD_ELEMENTS, models.BUILDER_ELEMENTS
    is_held = (
        sa.select(held.c.name)
        .where(held.c.builder_uuid == builder_id)
        .where(held.c.name == wanted.c.name)
        .where(held.c.digest == wanted.c.digest)
    )
    missing = (
        sa.select(wanted.c.name)
        .where(wanted.c.build_uuid == BUILDS.c.uuid)
        .where(sa.not_(is_held.exists()))
    )
    return sa.and_(
        BUILDS.c.state == "queued",
        BUILDS.c.not_before <= db.now(),
        BUILDS.c.architecture.in_(architectures),
        sa.not_(missing.exists()),
    )


def running_by_project() -> Mapping[str, int]:
    """How many builds of each project somebody holds."""
    query = (
        sa.select(BUILDS.c.project_id, sa.func.count())
        .where(BUILDS.c.state.in_(builds.HELD))
        .group_by(BUILDS.c.project_id)
    )
    with db.reader() as connection:
        return {project: count for project, count in connection.execute(query)}


def waiting() -> int:
    """How many builds are ready for a builder."""
    query = (
        sa.select(sa.func.count())
        .select_from(BUILDS)
        .where(BUILDS.c.state == "queued")
        .where(BUILDS.c.not_before <= db.now())
    )
    with db.reader() as connection:
        return connection.execute(query).scalar_one()
