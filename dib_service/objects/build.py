"""A build: what was asked for, where it stands, and the moves it may make."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any, Self
import uuid

from oslo_db import exception as db_exc
import sqlalchemy as sa

from dib_service import context as context_lib
from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import local_config, log

STATES = (
    "queued",
    "building",
    "verifying",
    "publishing",
    "complete",
    "failed",
    "cancelled",
)
ENDED = ("complete", "failed", "cancelled")
HELD = ("building", "verifying", "publishing")

BUILDS = models.BUILDS


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What was asked for, checked by the API; sizes in bytes."""

    elements: tuple[str, ...]
    formats: tuple[str, ...]
    architecture: str
    environment: Mapping[str, str]
    disk_size: int | None
    skip_base: bool
    boot_test: bool
    image_name: str
    visibility: str
    properties: Mapping[str, str]
    members: tuple[str, ...]
    protected: bool
    tags: tuple[str, ...]
    traits: tuple[str, ...]
    targets: tuple[str, ...]
    proxy: local_config.Proxy = local_config.Proxy()  # noqa: RUF009
    ssh_keys: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made, now or before there were all fields."""
        return cls(
            elements=tuple(data["elements"]),
            formats=tuple(data["formats"]),
            architecture=data["architecture"],
            environment=dict(data["environment"]),
            disk_size=data["disk_size"],
            skip_base=data["skip_base"],
            boot_test=data.get("boot_test", True),
            image_name=data["image_name"],
            visibility=data["visibility"],
            properties=dict(data["properties"]),
            members=tuple(data.get("members", ())),
            protected=data.get("protected", False),
            tags=tuple(data.get("tags", ())),
            traits=tuple(data.get("traits", ())),
            targets=tuple(data.get("targets", ("glance",))),
            proxy=local_config.Proxy.from_dict(data.get("proxy", {})),
            ssh_keys=tuple(data.get("ssh_keys", ())),
        )

    def to_dict(self) -> dict[str, Any]:
        """The form that is stored."""
        return {
            "elements": list(self.elements),
            "formats": list(self.formats),
            "architecture": self.architecture,
            "environment": dict(self.environment),
            "disk_size": self.disk_size,
            "skip_base": self.skip_base,
            "boot_test": self.boot_test,
            "image_name": self.image_name,
            "visibility": self.visibility,
            "properties": dict(self.properties),
            "members": list(self.members),
            "protected": self.protected,
            "tags": list(self.tags),
            "traits": list(self.traits),
            "targets": list(self.targets),
            "proxy": self.proxy.to_dict(),
            "ssh_keys": list(self.ssh_keys),
        }


@dataclasses.dataclass(frozen=True)
class Build:
    """One row, as it was when it was read. Times: seconds since the epoch."""

    id: str
    project_id: str
    user_id: str
    request_id: str | None
    name: str
    state: str
    wanted: Wanted
    elements: Mapping[str, str]
    architecture: str
    created_at: float
    updated_at: float
    ended_at: float | None
    fault: Mapping[str, Any] | None
    cancel_requested: bool
    release_decided: bool
    epoch: int

    @classmethod
    def create(
        cls,
        context: context_lib.RequestContext,
        wanted: Wanted,
        elements: Mapping[str, str],
        *,
        name: str,
        build_id: str | None = None,
    ) -> Self:
        """A new build in state ``queued``, committed.

        :raises BuildExists: when ``build_id`` names one already.
        """
        build_id = build_id or str(uuid.uuid4())
        row = {
            "uuid": build_id,
            "project_id": context.project_id,
            "user_id": context.user_id,
            "request_id": context.request_id,
            "name": name,
            "state": "queued",
            "wanted": wanted.to_dict(),
            "elements": dict(elements),
            "architecture": wanted.architecture,
            "created_at": db.now(),
            "updated_at": db.now(),
            "epoch": _epochs_of_forgotten(build_id),
        }
        pinned = [
            {"build_uuid": build_id, "name": name, "digest": digest}
            for name, digest in elements.items()
        ]

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.insert(BUILDS).values(row))
            if pinned:
                connection.execute(sa.insert(models.BUILD_ELEMENTS), pinned)

        try:
            db.write(work)
        except db_exc.DBDuplicateEntry:
            raise exception.BuildExists(build_id) from None
        return cls.get(build_id)

    @classmethod
    def get(cls, build_id: str, *, project_id: str | None = None) -> Self:
        """The build; ``project_id`` hides those of other projects.

        :raises NotFound: no such build, or another project's.
        """
        with db.reader() as connection:
            return cls.of(
                select_row(connection, build_id, project_id=project_id)
            )

    @classmethod
    def list(
        cls,
        *,
        project_id: str | None = None,
        state: str | None = None,
        name: str | None = None,
        limit: int,
        marker: str | None = None,
    ) -> Sequence[Self]:
        """Builds, newest first, at most ``limit``, after build ``marker``.

        :raises NotFound: when the marker is not among them.
        """
        query = sa.select(BUILDS).order_by(BUILDS.c.id.desc()).limit(limit)
        for column, value in (
            (BUILDS.c.project_id, project_id),
            (BUILDS.c.state, state),
            (BUILDS.c.name, name),
        ):
            if value is not None:
                query = query.where(column == value)
        with db.reader() as connection:
            if marker is not None:
                last = select_row(connection, marker, project_id=project_id)
                query = query.where(BUILDS.c.id < last.id)
            return [cls.of(row) for row in connection.execute(query)]

    def request_cancel(self) -> Self:
        """The build, cancelled if nobody holds it, else asked to be.

        Repeating it is harmless.

        :raises Conflict: it has ended, or its release is decided.
        """

        def work(connection: sa.Connection) -> None:
            row = select_row(connection, self.id, lock=True)
            if row.state != "cancelled":
                _cancel(connection, row)

        db.write(work)
        return self.get(self.id)

    def delete(self) -> None:
        """Forget an ended build with its log and events; images stay.

        :raises Conflict: it has not ended.
        """

        def work(connection: sa.Connection) -> None:
            row = select_row(connection, self.id, lock=True)
            if row.state not in ENDED:
                raise exception.Conflict(
                    f"build {self.id} is {row.state}: cancel it first"
                )
            forget(connection, self.id)

        db.write(work)

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """The build in that row."""
        facts = row._mapping
        same = {
            field.name: facts[field.name]
            for field in dataclasses.fields(cls)
            if field.name not in ("id", "wanted")
        }
        return cls(id=row.uuid, wanted=Wanted.from_dict(row.wanted), **same)


def purge(older_than: float) -> int:
    """Forget builds that ended that many seconds ago; says how many."""
    query = (
        sa.select(BUILDS.c.uuid)
        .where(BUILDS.c.state.in_(ENDED))
        .where(BUILDS.c.ended_at < db.now() - older_than)
    )
    with db.reader() as connection:
        build_ids = connection.scalars(query).all()
    for build_id in build_ids:
        db.write(functools.partial(forget, build_id=build_id))
    return len(build_ids)


def _epochs_of_forgotten(build_id: str) -> sa.ColumnElement[int]:
    # A client may choose the id of a build that is forgotten and of which
    # the sweeper still has images to delete: those are not the new build's.
    publications = models.PUBLICATIONS.c
    last = sa.select(sa.func.max(publications.epoch)).where(
        publications.build_uuid == build_id
    )
    return sa.func.coalesce(last.scalar_subquery(), 0)


# What follows is for the other objects: it joins their transactions.


def select_row(
    connection: sa.Connection,
    build_id: str,
    *,
    project_id: str | None = None,
    lock: bool = False,
) -> sa.Row[Any]:
    """The build's row; ``lock`` keeps other writers of it out.

    :raises NotFound: no such build, or another project's.
    """
    query = sa.select(BUILDS).where(BUILDS.c.uuid == build_id)
    if project_id is not None:
        query = query.where(BUILDS.c.project_id == project_id)
    if lock:
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise exception.NotFound("build", build_id)
    return row


def move(
    connection: sa.Connection,
    build_id: str,
    epoch: int,
    before: str,
    after: str,
    /,
    **changes: Any,
) -> None:
    """Move a build from one state to the next.

    :raises StateConflict: somebody else moved it first.
    """
    moved = connection.execute(
        sa.update(BUILDS)
        .where(BUILDS.c.uuid == build_id)
        .where(BUILDS.c.epoch == epoch)
        .where(BUILDS.c.state == before)
        # Past this point there is no way back: all that was asked for is
        # published, or some of it is not.
        .where(
            sa.or_(
                sa.not_(BUILDS.c.release_decided),
                sa.literal(after in ("complete", "failed", before)),
            )
        )
        .values(state=after, updated_at=db.now(), **changes)
    )
    if moved.rowcount != 1:
        raise exception.StateConflict(build_id, expected=before)


def end(
    connection: sa.Connection,
    row: sa.Row[Any],
    after: str,
    fault: Mapping[str, Any] | None = None,
) -> None:
    """Move a build to its end and close its attempt.

    :raises StateConflict: somebody else moved it first.
    """
    move(
        connection,
        row.uuid,
        row.epoch,
        row.state,
        after,
        ended_at=db.now(),
        lease_expires_at=None,
        fault=dict(fault) if fault else None,
    )
    end_attempt(connection, row, after, fault)
    log.settle(connection, row.uuid)


def end_attempt(
    connection: sa.Connection,
    row: sa.Row[Any],
    outcome: str,
    reason: Mapping[str, Any] | None,
) -> None:
    """Close the build's attempt, if it is still open."""
    connection.execute(
        sa.update(models.ATTEMPTS)
        .where(models.ATTEMPTS.c.build_uuid == row.uuid)
        .where(models.ATTEMPTS.c.epoch == row.epoch)
        .where(models.ATTEMPTS.c.outcome.is_(None))
        .values(
            ended_at=db.now(),
            outcome=outcome,
            reason=dict(reason) if reason else None,
        )
    )


def forget(connection: sa.Connection, build_id: str) -> None:
    """Delete the build's rows, but not what the sweeper still needs."""
    for table in (
        models.ATTEMPTS,
        models.ARTEFACTS,
        models.EVENTS,
        models.LOG_CHUNKS,
        models.BUILD_ELEMENTS,
    ):
        connection.execute(
            sa.delete(table).where(table.c.build_uuid == build_id)
        )
    # Rows of staged images stay: they say what is still to be deleted.
    connection.execute(
        sa.delete(models.PUBLICATIONS)
        .where(models.PUBLICATIONS.c.build_uuid == build_id)
        .where(
            sa.or_(
                models.PUBLICATIONS.c.state.in_(("published", "deleted")),
                models.PUBLICATIONS.c.swept,
            )
        )
    )
    connection.execute(sa.delete(BUILDS).where(BUILDS.c.uuid == build_id))


def _cancel(connection: sa.Connection, row: sa.Row[Any]) -> None:
    if row.state in ENDED:
        raise exception.Conflict(f"build {row.uuid} is {row.state}")
    if row.release_decided:
        raise exception.Conflict(
            f"build {row.uuid} is being released: it cannot be cancelled"
        )
    if row.lease_expires_at is None:
        end(connection, row, "cancelled")
        return
    asked = connection.execute(
        sa.update(BUILDS)
        .where(BUILDS.c.uuid == row.uuid)
        .where(BUILDS.c.epoch == row.epoch)
        .where(BUILDS.c.state == row.state)
        .where(BUILDS.c.lease_expires_at.is_not(None))
        .values(cancel_requested=True, updated_at=db.now())
    )
    if asked.rowcount != 1:
        raise exception.StateConflict(row.uuid, expected=row.state)
