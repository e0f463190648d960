"""The way of a build's images from staging to whom they are for."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any
import uuid

from oslo_config import cfg
import sqlalchemy as sa

from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build as builds
from dib_service.objects import history, lease

BUILDS = models.BUILDS
ARTEFACTS = models.ARTEFACTS
PUBLICATIONS = models.PUBLICATIONS

# Image ids are made of what they are for, so that an attempt cannot have two.
NAMESPACE = uuid.UUID("6f2c7a3e-5f0b-5c1e-9d35-0d1b5a1e5e8f")

# States of a publication: staged (granted, bytes may be there), uploaded,
# published, deleted.
STAGING = ("staged", "uploaded")


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


@dataclasses.dataclass(frozen=True)
class Abandoned:
    """An image in staging that no build will publish."""

    image_id: str
    build_id: str
    age_seconds: float


def image_id(attempt_nonce: str, role: str, format_: str, target: str) -> str:
    """The id of the image that this attempt's artefact becomes there."""
    # Not of the build's id, which its client chose: whoever asks for a build
    # of the same id, once the first one is forgotten, must not get its image.
    return str(
        uuid.uuid5(NAMESPACE, f"{attempt_nonce}/{role}/{format_}/{target}")
    )


def grant(
    proof: lease.Proof,
    artefacts: Sequence[history.Artefact],
    *,
    target: str,
) -> builds.Build:
    """The build, its artefacts and image ids stored: bytes may be sent.

    :raises StaleClaim: the proof is not that of who holds the build.
    :raises Conflict: the build is to be cancelled.
    """

    def work(connection: sa.Connection) -> builds.Build:
        row = lease.held(connection, proof)
        if row.cancel_requested:
            raise exception.Conflict(f"build {row.uuid} is to be cancelled")
        if row.state != "publishing":
            builds.move(
                connection, row.uuid, row.epoch, row.state, "publishing"
            )
        _store_artefacts(connection, row, artefacts)
        _stage(connection, row, artefacts, target)
        return builds.Build.of(builds.select_row(connection, row.uuid))

    return db.write(work)


def uploaded(proof: lease.Proof) -> None:
    """All bytes are in staging: the build is the publisher's from now on.

    Repeating it is harmless.

    :raises StaleClaim: the proof is not that of who held the build last.
    :raises BadRequest: there is nothing that could be published.
    """

    def work(connection: sa.Connection) -> None:
        row = lease.proven(connection, proof)
        if row.lease_expires_at is None and row.state in (
            "publishing",
            "complete",
        ):
            return
        lease.held(connection, proof)
        if row.cancel_requested:
            builds.end(connection, row, "cancelled")
            return
        moved = connection.execute(
            sa.update(PUBLICATIONS)
            .where(PUBLICATIONS.c.build_uuid == row.uuid)
            .where(PUBLICATIONS.c.epoch == row.epoch)
            .where(PUBLICATIONS.c.state == "staged")
            .values(state="uploaded", updated_at=db.now())
        )
        if not moved.rowcount:
            raise exception.BadRequest(
                f"build {row.uuid}: no upload was granted"
            )
        builds.move(
            connection,
            row.uuid,
            row.epoch,
            row.state,
            "publishing",
            lease_expires_at=None,
            not_before=db.now(),
        )

    db.write(work)


def due(limit: int) -> Sequence[str]:
    """Builds whose images are all uploaded and that nobody publishes now."""
    query = (
        sa.select(BUILDS.c.uuid)
        .where(BUILDS.c.state == "publishing")
        .where(BUILDS.c.lease_expires_at.is_(None))
        .where(BUILDS.c.not_before <= db.now())
        .order_by(BUILDS.c.id)
        .limit(limit)
    )
    with db.reader() as connection:
        return connection.scalars(query).all()


def lock(build_id: str) -> builds.Build | None:
    """The build, if it is due; others then leave it alone for a while.

    This spares work, no more: two that publish one build do no harm.
    """
    locked = db.execute(
        sa.update(BUILDS)
        .where(BUILDS.c.uuid == build_id)
        .where(BUILDS.c.state == "publishing")
        .where(BUILDS.c.lease_expires_at.is_(None))
        .where(BUILDS.c.not_before <= db.now())
        .values(not_before=db.now() + cfg.CONF.conductor.publish_lock_seconds)
    )
    return builds.Build.get(build_id) if locked else None


def images(build: builds.Build) -> Sequence[Staged]:
    """The build's images with what their bytes should be."""
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
        .where(PUBLICATIONS.c.build_uuid == build.id)
        .where(PUBLICATIONS.c.epoch == build.epoch)
        .order_by(
            PUBLICATIONS.c.target,
            history.in_order(PUBLICATIONS.c.role),
            PUBLICATIONS.c.format,
        )
    )
    with db.reader() as connection:
        return [Staged(**row._mapping) for row in connection.execute(query)]


def decide(build: builds.Build) -> None:
    """The point of no return: from here on the build becomes complete.

    :raises StateConflict: a cancel, or another attempt, was faster.
    """
    decided = db.execute(
        sa.update(BUILDS)
        .where(BUILDS.c.uuid == build.id)
        .where(BUILDS.c.epoch == build.epoch)
        .where(BUILDS.c.state == "publishing")
        .where(BUILDS.c.lease_expires_at.is_(None))
        .where(sa.not_(BUILDS.c.cancel_requested))
        .values(release_decided=True, updated_at=db.now())
    )
    if not decided:
        raise exception.StateConflict(build.id, expected="publishing")


def mark(image: str, state: str) -> None:
    """Say where the image is: ``published`` or ``deleted``."""
    db.execute(
        sa.update(PUBLICATIONS)
        .where(PUBLICATIONS.c.image_id == image)
        .values(state=state, updated_at=db.now())
    )


def finish(build: builds.Build) -> None:
    """The build is complete; repeating it is harmless."""

    def work(connection: sa.Connection) -> None:
        row = builds.select_row(connection, build.id, lock=True)
        if row.state == "publishing" and row.release_decided:
            builds.end(connection, row, "complete")

    db.write(work)


def refuse(build: builds.Build, fault: Mapping[str, Any]) -> None:
    """The images are not what was built: the build has failed.

    :raises StateConflict: the release is decided, or the build has ended.
    """

    def work(connection: sa.Connection) -> None:
        row = builds.select_row(connection, build.id, lock=True)
        if row.epoch != build.epoch or row.state != "publishing":
            raise exception.StateConflict(build.id, expected="publishing")
        builds.end(connection, row, "failed", fault)

    db.write(work)


def postpone(build: builds.Build) -> float:
    """Have the build published later; says after how many seconds."""

    def work(connection: sa.Connection) -> float:
        mine = sa.and_(
            PUBLICATIONS.c.build_uuid == build.id,
            PUBLICATIONS.c.epoch == build.epoch,
        )
        failures = connection.execute(
            sa.select(sa.func.max(PUBLICATIONS.c.failures)).where(mine)
        ).scalar_one()
        delay = min(
            float(2 ** min(failures, 30)),
            float(cfg.CONF.conductor.publish_retry_max),
        )
        connection.execute(
            sa.update(PUBLICATIONS)
            .where(mine)
            .values(failures=PUBLICATIONS.c.failures + 1)
        )
        # One that was cancelled meanwhile is not published at all.
        connection.execute(
            sa.update(BUILDS)
            .where(BUILDS.c.uuid == build.id)
            .where(BUILDS.c.epoch == build.epoch)
            .where(BUILDS.c.state == "publishing")
            .values(
                not_before=db.now() + delay,
                updated_at=db.now(),
            )
        )
        return delay

    return db.write(work)


def abandoned(limit: int) -> Sequence[Abandoned]:
    """Images that may be in staging and that no build will publish."""
    query = (
        sa.select(
            PUBLICATIONS.c.image_id,
            PUBLICATIONS.c.build_uuid.label("build_id"),
            (db.now() - PUBLICATIONS.c.updated_at).label("age_seconds"),
        )
        .outerjoin(BUILDS, BUILDS.c.uuid == PUBLICATIONS.c.build_uuid)
        .where(PUBLICATIONS.c.state.in_(STAGING))
        .where(sa.not_(_alive()))
        .order_by(PUBLICATIONS.c.updated_at)
        .limit(limit)
    )
    with db.reader() as connection:
        return [Abandoned(**row._mapping) for row in connection.execute(query)]


def discarded(image: Abandoned) -> None:
    """The image is gone from Glance, for good."""

    def work(connection: sa.Connection) -> None:
        row = PUBLICATIONS.c.image_id == image.image_id
        connection.execute(
            sa.update(PUBLICATIONS)
            .where(row)
            .values(state="deleted", updated_at=db.now())
        )
        known = sa.select(BUILDS.c.id).where(BUILDS.c.uuid == image.build_id)
        if connection.execute(known).first() is None:
            connection.execute(sa.delete(PUBLICATIONS).where(row))

    db.write(work)


def live(image_ids: Sequence[str]) -> set[str]:
    """Those images that a build will publish, or has published."""
    query = (
        sa.select(PUBLICATIONS.c.image_id)
        .join(BUILDS, BUILDS.c.uuid == PUBLICATIONS.c.build_uuid)
        .where(PUBLICATIONS.c.image_id.in_(image_ids))
        .where(_alive())
    )
    with db.reader() as connection:
        return set(connection.scalars(query))


def _alive() -> sa.ColumnElement[bool]:
    # Of a build that is gone, all columns are NULL: that is not alive.
    return sa.func.coalesce(
        sa.and_(
            BUILDS.c.epoch == PUBLICATIONS.c.epoch,
            BUILDS.c.state.in_((*builds.HELD, "complete")),
        ),
        sa.false(),
    )


def _store_artefacts(
    connection: sa.Connection,
    row: sa.Row[Any],
    artefacts: Sequence[history.Artefact],
) -> None:
    connection.execute(
        sa.delete(ARTEFACTS)
        .where(ARTEFACTS.c.build_uuid == row.uuid)
        .where(ARTEFACTS.c.epoch == row.epoch)
    )
    connection.execute(
        sa.insert(ARTEFACTS),
        [
            {
                "build_uuid": row.uuid,
                "epoch": row.epoch,
                "role": artefact.role,
                "format": artefact.format,
                "size": artefact.size,
                "virtual_size": artefact.virtual_size,
                "sha512": artefact.sha512,
            }
            for artefact in artefacts
        ],
    )


def _stage(
    connection: sa.Connection,
    row: sa.Row[Any],
    artefacts: Sequence[history.Artefact],
    target: str,
) -> None:
    wanted = {
        image_id(
            row.lease_nonce, artefact.role, artefact.format, target
        ): artefact
        for artefact in artefacts
    }
    known = connection.scalars(
        sa.select(PUBLICATIONS.c.image_id).where(
            PUBLICATIONS.c.image_id.in_(wanted)
        )
    ).all()
    for image, artefact in wanted.items():
        if image not in known:
            connection.execute(
                sa.insert(PUBLICATIONS).values(
                    image_id=image,
                    build_uuid=row.uuid,
                    epoch=row.epoch,
                    role=artefact.role,
                    format=artefact.format,
                    target=target,
                    state="staged",
                    updated_at=db.now(),
                )
            )
