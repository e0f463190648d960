"""The way of a build's images from staging to whom they are for."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from oslo_config import cfg
import sqlalchemy as sa

from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build as builds
from dib_service.objects import publication

BUILDS = models.BUILDS
ARTEFACTS = models.ARTEFACTS
PUBLICATIONS = models.PUBLICATIONS

# What a publisher has to do with.
DUE = ("uploaded", "releasing")


@dataclasses.dataclass(frozen=True)
class Staged:
    """One image on its way, and what the builder says of its bytes."""

    image_id: str
    role: str
    format: str
    target: str
    state: str
    size: int
    virtual_size: int
    sha512: str


def due(target: str, limit: int) -> Sequence[str]:
    """Builds whose images are all uploaded there and that nobody publishes."""
    query = (
        sa.select(BUILDS.c.uuid)
        .join(PUBLICATIONS, PUBLICATIONS.c.build_uuid == BUILDS.c.uuid)
        .where(_is_due(target))
        .where(PUBLICATIONS.c.epoch == BUILDS.c.epoch)
        .where(BUILDS.c.state == "publishing")
        # Its builder has still to hear that it is cancelled.
        .where(sa.or_(BUILDS.c.release_decided, ~BUILDS.c.cancel_requested))
        .group_by(BUILDS.c.id, BUILDS.c.uuid)
        .order_by(BUILDS.c.id)
        .limit(limit)
    )
    with db.reader() as connection:
        return connection.scalars(query).all()


def lock(build_id: str, target: str) -> builds.Build | None:
    """The build, if it is due there; others then leave it alone for a while.

    This spares work, no more: two that publish one build do no harm.
    """
    epoch = (
        sa.select(BUILDS.c.epoch)
        .where(BUILDS.c.uuid == build_id)
        .where(BUILDS.c.state == "publishing")
        .scalar_subquery()
    )
    locked = db.execute(
        sa.update(PUBLICATIONS)
        .where(PUBLICATIONS.c.build_uuid == build_id)
        .where(PUBLICATIONS.c.epoch == epoch)
        .where(_is_due(target))
        .values(not_before=db.now() + cfg.CONF.conductor.publish_lock_seconds)
    )
    return builds.Build.get(build_id) if locked else None


def keep(build: builds.Build, target: str) -> None:
    """Have the others leave it alone for as long again."""
    db.execute(
        sa.update(PUBLICATIONS)
        .where(publication.of_attempt(build.id, build.epoch, target))
        .where(PUBLICATIONS.c.state.in_(DUE))
        .values(not_before=db.now() + cfg.CONF.conductor.publish_lock_seconds)
    )


def images(build: builds.Build, target: str) -> Sequence[Staged]:
    """The build's images there, the linked ones first.

    They come with what their bytes should be, and without those that the
    target has lost.
    """
    query = (
        sa.select(
            PUBLICATIONS.c.image_id,
            PUBLICATIONS.c.role,
            PUBLICATIONS.c.format,
            PUBLICATIONS.c.target,
            PUBLICATIONS.c.state,
            ARTEFACTS.c.size,
            ARTEFACTS.c.virtual_size,
            ARTEFACTS.c.sha512,
        )
        .join(
            ARTEFACTS,
            sa.and_(
                ARTEFACTS.c.build_uuid == PUBLICATIONS.c.build_uuid,
                ARTEFACTS.c.epoch == PUBLICATIONS.c.epoch,
                ARTEFACTS.c.role == PUBLICATIONS.c.role,
                ARTEFACTS.c.format == PUBLICATIONS.c.format,
            ),
        )
        .where(publication.of_attempt(build.id, build.epoch, target))
        .where(PUBLICATIONS.c.state.in_((*publication.UNDER_WAY, "published")))
        .order_by(
            publication.in_order(PUBLICATIONS.c.role), PUBLICATIONS.c.format
        )
    )
    with db.reader() as connection:
        return [Staged(**row._mapping) for row in connection.execute(query)]


def decide(build: builds.Build, target: str) -> None:
    """The point of no return: from here on they become visible there.

    For the build, it is that of the first of its targets: it is neither
    cancelled nor built again after that.

    :raises StateConflict: a cancel, another attempt, or a refusal was
        faster.
    """

    def work(connection: sa.Connection) -> None:
        row = builds.select_row(connection, build.id, lock=True)
        if (
            row.epoch != build.epoch
            or row.state != "publishing"
            or (row.cancel_requested and not row.release_decided)
        ):
            raise exception.StateConflict(build.id, expected="publishing")
        rows = publication.of_attempt(build.id, build.epoch, target)
        if not publication.change(connection, rows, ["uploaded"], "releasing"):
            raise exception.StateConflict(build.id, expected="uploaded")
        connection.execute(
            sa.update(BUILDS)
            .where(BUILDS.c.uuid == build.id)
            .where(BUILDS.c.epoch == build.epoch)
            .values(release_decided=True, updated_at=db.now())
        )

    db.write(work)


def gone(image: str) -> None:
    """Its owner has it and has deleted it, before all were published."""
    db.write(
        lambda connection: publication.change(
            connection,
            PUBLICATIONS.c.image_id == image,
            ["releasing"],
            "deleted",
        )
    )


def finish(
    build: builds.Build,
    target: str,
    locations: Mapping[str, str | None] | None = None,
) -> None:
    """All of them are published there; repeating it is harmless.

    The build ends with the last of its targets. ``locations`` are where
    images can be had, by id, in a target that is no Glance.
    """

    def work(connection: sa.Connection) -> None:
        builds.select_row(connection, build.id, lock=True)
        for image, location in (locations or {}).items():
            connection.execute(
                sa.update(PUBLICATIONS)
                .where(PUBLICATIONS.c.image_id == image)
                .values(location=location)
            )
        publication.change(
            connection,
            publication.of_attempt(build.id, build.epoch, target),
            ["releasing"],
            "published",
        )
        publication.settle(connection, build.id)

    db.write(work)


def refuse(
    build: builds.Build,
    target: str,
    fault: Mapping[str, Any],
    *,
    before: Sequence[str] = ("uploaded",),
) -> None:
    """The images there are not what was built: none of them is released.

    :raises StateConflict: that is decided otherwise, or the build has ended.
    """

    def work(connection: sa.Connection) -> None:
        row = builds.select_row(connection, build.id, lock=True)
        if row.epoch != build.epoch or row.state != "publishing":
            raise exception.StateConflict(build.id, expected="publishing")
        rows = publication.of_attempt(build.id, build.epoch, target)
        if not publication.change(
            connection, rows, before, "failed", fault=dict(fault)
        ):
            raise exception.StateConflict(build.id, expected=" ".join(before))
        publication.settle(connection, build.id)

    db.write(work)


def postpone(build: builds.Build, target: str) -> float | None:
    """Have it published there later; says after how many seconds.

    None: this has gone on for so long that it is to be given up.
    """
    rows = sa.and_(
        publication.of_attempt(build.id, build.epoch, target),
        PUBLICATIONS.c.state.in_(DUE),
    )

    def work(connection: sa.Connection) -> float | None:
        row = connection.execute(
            sa.select(
                sa.func.max(PUBLICATIONS.c.failures),
                sa.func.min(PUBLICATIONS.c.give_up_at) <= db.now(),
            ).where(rows)
        ).one()
        failures, too_late = row
        if too_late:
            return None
        delay = min(
            float(2 ** min(failures or 0, 30)),
            float(cfg.CONF.conductor.publish_retry_max),
        )
        connection.execute(
            sa.update(PUBLICATIONS)
            .where(rows)
            .values(
                failures=PUBLICATIONS.c.failures + 1,
                not_before=db.now() + delay,
            )
        )
        return delay

    return db.write(work)


def _is_due(target: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        PUBLICATIONS.c.target == target,
        PUBLICATIONS.c.state.in_(DUE),
        PUBLICATIONS.c.not_before <= db.now(),
    )
