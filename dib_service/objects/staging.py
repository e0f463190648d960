"""What builders upload into staging, and what is to be swept out of it."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from oslo_config import cfg
import sqlalchemy as sa

from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build as builds
from dib_service.objects import history, lease, publication

BUILDS = models.BUILDS
ARTEFACTS = models.ARTEFACTS
PUBLICATIONS = models.PUBLICATIONS

# Of these, something may lie in staging.
MAY_BE_THERE = ("staged", "uploaded", "failed", "lost")


@dataclasses.dataclass(frozen=True)
class Abandoned:
    """An image in staging that no build will publish."""

    image_id: str
    build_id: str
    state: str
    age_seconds: float


# A builder's uploads.


def grant(
    proof: lease.Proof,
    artefacts: Sequence[history.Artefact],
    *,
    target: str,
    lost: Sequence[str] = (),
) -> builds.Build:
    """The build, its artefacts and image ids stored: bytes may be sent.

    ``lost`` are image ids granted before that the target can no longer
    take; others come in their place. Repeating it is harmless.

    :raises StaleClaim: the proof is not that of who holds the build.
    :raises Conflict: the build is to be cancelled, or all is uploaded.
    :raises BadRequest: what was lost is none of the build's, its artefacts
        are not what they were, or nobody asked for it in that target.
    """

    def work(connection: sa.Connection) -> builds.Build:
        row = lease.held(connection, proof)
        if row.cancel_requested and not row.release_decided:
            raise exception.Conflict(f"build {row.uuid} is to be cancelled")
        if target not in builds.Wanted.from_dict(row.wanted).targets:
            raise exception.BadRequest(
                f"build {row.uuid} was not asked for in {target}"
            )
        if row.state != "publishing":
            builds.move(
                connection, row.uuid, row.epoch, row.state, "publishing"
            )
        _store_artefacts(connection, row, artefacts)
        _stage(connection, row, target, lost)
        return builds.Build.of(builds.select_row(connection, row.uuid))

    return db.write(work)


def uploaded(proof: lease.Proof, target: str) -> None:
    """All bytes are in staging there: the publisher may go on with them.

    Repeating it is harmless.

    :raises StaleClaim: the proof is not that of who held the build last.
    :raises BadRequest: there is nothing that could be published.
    """

    def work(connection: sa.Connection) -> None:
        row = lease.proven(connection, proof)
        rows = publication.of_attempt(row.uuid, row.epoch, target)
        moved = publication.change(
            connection,
            rows,
            ["staged"],
            "uploaded",
            not_before=db.now(),
            give_up_at=db.now() + cfg.CONF.conductor.publish_timeout,
            failures=0,
        )
        if moved:
            lease.held(connection, proof)
        elif _nothing(connection, rows):
            raise exception.BadRequest(
                f"build {row.uuid}: no upload to {target} was granted"
            )

    db.write(work)


def gave_up(proof: lease.Proof, target: str, fault: Mapping[str, Any]) -> None:
    """The builder could not upload it there; other targets go on.

    Nor may it ever have been granted anything there.

    :raises StaleClaim: the proof is not that of who holds the build.
    """

    def work(connection: sa.Connection) -> None:
        row = lease.proven(connection, proof)
        rows = publication.of_attempt(row.uuid, row.epoch, target)
        moved = publication.change(
            connection, rows, ["staged"], "failed", fault=dict(fault)
        )
        if moved:
            lease.held(connection, proof)
        elif _nothing(connection, rows):
            lease.held(connection, proof)
            _put_down(connection, row, target, fault)

    db.write(work)


def _put_down(
    connection: sa.Connection,
    row: sa.Row[Any],
    target: str,
    fault: Mapping[str, Any],
) -> None:
    """Keep the fault where no image id was given out that could have it."""
    wanted = builds.Wanted.from_dict(row.wanted)
    if target not in wanted.targets:
        return
    # What was made is not told before the first grant; what was asked for is
    # known.
    role, format_ = ("ramdisk", "initramfs")
    if wanted.formats:
        role, format_ = ("image", wanted.formats[0])
    # There is nothing that could be swept.
    _insert(
        *(connection, row, role, format_, target, 1),
        state="failed",
        fault=dict(fault),
        swept=True,
    )


def done(proof: lease.Proof) -> None:
    """The builder has no more to do: the build is the publisher's alone.

    Repeating it is harmless.

    :raises StaleClaim: the proof is not that of who held the build last.
    :raises BadRequest: it has uploaded nothing at all.
    """

    def work(connection: sa.Connection) -> None:
        row = lease.proven(connection, proof)
        if row.lease_expires_at is None and row.state in (
            *("publishing", "complete", "failed"),
        ):
            return
        lease.held(connection, proof)
        if row.cancel_requested and not row.release_decided:
            builds.end(connection, row, "cancelled")
            return
        if _nothing(connection, publication.of_attempt(row.uuid, row.epoch)):
            raise exception.BadRequest(
                f"build {row.uuid}: no upload was granted"
            )
        publication.let_go(connection, row, publication.NEVER_UPLOADED)

    db.write(work)


def _nothing(connection: sa.Connection, rows: sa.ColumnElement[bool]) -> bool:
    query = sa.select(PUBLICATIONS.c.image_id).where(rows).limit(1)
    return connection.execute(query).first() is None


def _store_artefacts(
    connection: sa.Connection,
    row: sa.Row[Any],
    artefacts: Sequence[history.Artefact],
) -> None:
    """Keep what the attempt has made; it says so once for each target."""
    if not artefacts:
        raise exception.BadRequest(
            f"build {row.uuid}: it has made nothing that is published"
        )
    columns = [
        ARTEFACTS.c[field.name] for field in dataclasses.fields(artefacts[0])
    ]
    known = connection.execute(
        sa.select(*columns)
        .where(ARTEFACTS.c.build_uuid == row.uuid)
        .where(ARTEFACTS.c.epoch == row.epoch)
    ).all()
    if not known:
        connection.execute(
            sa.insert(ARTEFACTS),
            [
                {**dataclasses.asdict(artefact), "build_uuid": row.uuid}
                for artefact in artefacts
            ],
        )
    elif {tuple(each) for each in known} != {
        dataclasses.astuple(artefact) for artefact in artefacts
    }:
        # What is checked in one target must be what went into another.
        raise exception.BadRequest(
            f"build {row.uuid}: its artefacts are not what they were"
        )


def _stage(
    connection: sa.Connection,
    row: sa.Row[Any],
    target: str,
    lost: Sequence[str],
) -> None:
    """Have an image id, which nothing was lost of, for each artefact."""
    here = publication.of_attempt(row.uuid, row.epoch, target)
    known = connection.execute(
        sa.select(PUBLICATIONS).where(here).order_by(PUBLICATIONS.c.number)
    ).all()
    _give_up_lost(connection, row, known, lost)
    live = {
        (each.role, each.format): each
        for each in connection.execute(
            sa.select(PUBLICATIONS)
            .where(here)
            .where(PUBLICATIONS.c.state != "lost")
        )
    }
    past = sorted({each.state for each in live.values()} - {"staged"})
    if past:
        raise exception.Conflict(
            f"build {row.uuid}: {target} is {', '.join(past)}"
        )
    numbers = {(each.role, each.format): each.number for each in known}
    made = connection.execute(
        sa.select(ARTEFACTS.c.role, ARTEFACTS.c.format)
        .where(ARTEFACTS.c.build_uuid == row.uuid)
        .where(ARTEFACTS.c.epoch == row.epoch)
    ).all()
    for role, format_ in made:
        if (role, format_) not in live:
            number = numbers.get((role, format_), 0) + 1
            _insert(
                *(connection, row, role, format_, target, number),
                state="staged",
            )


def _insert(
    connection: sa.Connection,
    row: sa.Row[Any],
    role: str,
    format_: str,
    target: str,
    number: int,
    **values: Any,
) -> None:
    connection.execute(
        sa.insert(PUBLICATIONS).values(
            image_id=publication.image_id(
                row.lease_nonce, role, format_, target, number
            ),
            build_uuid=row.uuid,
            epoch=row.epoch,
            role=role,
            format=format_,
            target=target,
            number=number,
            updated_at=db.now(),
            **values,
        )
    )


def _give_up_lost(
    connection: sa.Connection,
    row: sa.Row[Any],
    known: Sequence[sa.Row[Any]],
    lost: Sequence[str],
) -> None:
    """Those ids are the sweeper's from now on, and no build's for ever."""
    strange = set(lost) - {each.image_id for each in known}
    if strange:
        raise exception.BadRequest(
            f"build {row.uuid}: {', '.join(sorted(strange))} was not granted"
        )
    # A question that is asked again has been answered by then.
    going = [
        each
        for each in known
        if each.image_id in lost and each.state == "staged"
    ]
    # Others may have been made there already that name what was lost: what
    # comes later in the order.
    order = publication.ROLES.index
    first = min((order(each.role) for each in going), default=order("image"))
    ids = {each.image_id for each in going} | {
        each.image_id for each in known if order(each.role) > first
    }
    publication.change(
        connection, PUBLICATIONS.c.image_id.in_(ids), ["staged"], "lost"
    )


# The sweeper's.


def abandoned(target: str, limit: int) -> Sequence[Abandoned]:
    """Images that may be in staging and that no build will publish."""
    query = (
        sa.select(
            PUBLICATIONS.c.image_id,
            PUBLICATIONS.c.build_uuid.label("build_id"),
            PUBLICATIONS.c.state,
            (db.now() - PUBLICATIONS.c.updated_at).label("age_seconds"),
        )
        .outerjoin(BUILDS, BUILDS.c.uuid == PUBLICATIONS.c.build_uuid)
        .where(PUBLICATIONS.c.target == target)
        .where(PUBLICATIONS.c.state.in_(MAY_BE_THERE))
        .where(sa.not_(PUBLICATIONS.c.swept))
        .where(sa.not_(_alive()))
        .order_by(PUBLICATIONS.c.updated_at)
        .limit(limit)
    )
    with db.reader() as connection:
        return [Abandoned(**row._mapping) for row in connection.execute(query)]


def discarded(image: Abandoned) -> None:
    """The image is gone from its target, for good."""

    def work(connection: sa.Connection) -> None:
        row = PUBLICATIONS.c.image_id == image.image_id
        # The state of what failed or was lost still says what it was.
        for before, after in (
            ("staged", "deleted"),
            ("uploaded", "deleted"),
            ("failed", "failed"),
            ("lost", "lost"),
        ):
            publication.change(connection, row, [before], after, swept=True)
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
    # Of a build that is gone, all of its columns are NULL: not alive.
    return sa.or_(
        # Past the point of no return it matters no more what the build is.
        PUBLICATIONS.c.state.in_(("releasing", "published")),
        sa.and_(
            PUBLICATIONS.c.state.in_(("staged", "uploaded")),
            sa.func.coalesce(
                sa.and_(
                    BUILDS.c.epoch == PUBLICATIONS.c.epoch,
                    BUILDS.c.state.in_(builds.HELD),
                ),
                sa.false(),
            ),
        ),
    )
