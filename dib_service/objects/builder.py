"""A builder host: enrolled by the operator, alive while it calls."""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import hmac
import secrets
from typing import Any, Self
import uuid

from oslo_config import cfg
from oslo_db import exception as db_exc
import sqlalchemy as sa

from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build

BUILDERS = models.BUILDERS
HOLDINGS = models.BUILDER_ELEMENTS


@dataclasses.dataclass(frozen=True)
class Builder:
    """One enrolled builder. ``alive``: it called within a lease."""

    id: str
    name: str
    enabled: bool
    alive: bool
    architectures: tuple[str, ...]
    slots: int
    running: int
    version: str | None
    session: str | None
    enrolled_at: float
    seen_at: float | None

    @classmethod
    def enrol(cls, name: str) -> tuple[Self, str]:
        """A new builder and its secret, which is shown once and stored hashed.

        :raises Conflict: the name is taken.
        """
        builder_id = str(uuid.uuid4())
        secret = secrets.token_urlsafe(32)
        row = {
            "uuid": builder_id,
            "name": name,
            "secret_hash": hashed(secret),
            "enrolled_at": db.now(),
        }

        try:
            db.execute(sa.insert(BUILDERS).values(row))
        except db_exc.DBDuplicateEntry:
            raise exception.Conflict(
                f"builder {name} already exists"
            ) from None
        return cls.get(builder_id), secret

    @classmethod
    def get(cls, builder_id: str) -> Self:
        """The builder of that id or name.

        :raises NotFound: when there is none.
        """
        with db.reader() as connection:
            return cls._read(connection, builder_id)

    @classmethod
    def list(cls, *, limit: int, marker: str | None = None) -> Sequence[Self]:
        """Builders by name, at most ``limit``, after builder ``marker``.

        :raises NotFound: when there is no such marker.
        """
        query = _query().order_by(BUILDERS.c.name).limit(limit)
        with db.reader() as connection:
            if marker is not None:
                last = cls._read(connection, marker)
                query = query.where(BUILDERS.c.name > last.name)
            return [cls._of(row) for row in connection.execute(query)]

    @classmethod
    def idle(cls) -> Sequence[Self]:
        """Those that are alive and have a slot free."""
        with db.reader() as connection:
            found = [cls._of(row) for row in connection.execute(_query())]
        return [
            builder
            for builder in found
            if builder.enabled
            and builder.alive
            and builder.running < builder.slots
        ]

    @classmethod
    def authenticated(cls, builder_id: str, secret: str) -> Self:
        """The builder that the id and the secret prove.

        :raises Unauthorized: they prove nothing.
        """
        with db.reader() as connection:
            row = connection.execute(
                _query().where(BUILDERS.c.uuid == builder_id)
            ).one_or_none()
        proven = row.secret_hash if row else ""
        if not hmac.compare_digest(proven, hashed(secret)) or row is None:
            raise exception.Unauthorized(
                f"no builder {builder_id} with that secret"
            )
        return cls._of(row)

    def register(
        self,
        *,
        session: str,
        version: str,
        slots: int,
        architectures: Sequence[str],
        elements: Mapping[str, str],
    ) -> None:
        """Store what the builder process of that session has."""
        held = [
            {"builder_uuid": self.id, "name": name, "digest": digest}
            for name, digest in elements.items()
        ]

        def work(connection: sa.Connection) -> None:
            connection.execute(
                sa.update(BUILDERS)
                .where(BUILDERS.c.uuid == self.id)
                .values(
                    session=session,
                    version=version,
                    slots=slots,
                    architectures=[*architectures],
                    seen_at=db.now(),
                )
            )
            connection.execute(
                sa.delete(HOLDINGS).where(HOLDINGS.c.builder_uuid == self.id)
            )
            if held:
                connection.execute(sa.insert(HOLDINGS), held)

        db.write(work)

    def seen(self) -> None:
        """The builder has just called."""
        self._change(seen_at=db.now())

    def enable(self, enabled: bool) -> None:
        """Whether the builder may claim; what it runs goes on either way."""
        self._change(enabled=enabled)

    def remove(self) -> None:
        """Forget the builder; the leases it holds run out."""
        db.execute(sa.delete(BUILDERS).where(BUILDERS.c.uuid == self.id))

    def _change(self, **values: Any) -> None:
        db.execute(
            sa.update(BUILDERS)
            .where(BUILDERS.c.uuid == self.id)
            .values(**values)
        )

    @classmethod
    def _read(cls, connection: sa.Connection, builder_id: str) -> Self:
        row = connection.execute(
            _query().where(
                sa.or_(
                    BUILDERS.c.uuid == builder_id,
                    BUILDERS.c.name == builder_id,
                )
            )
        ).first()
        if row is None:
            raise exception.NotFound("builder", builder_id)
        return cls._of(row)

    @classmethod
    def _of(cls, row: sa.Row[Any]) -> Self:
        return cls(
            id=row.uuid,
            name=row.name,
            enabled=row.enabled,
            alive=bool(row.alive),
            architectures=tuple(row.architectures),
            slots=row.slots,
            running=row.running,
            version=row.version,
            session=row.session,
            enrolled_at=row.enrolled_at,
            seen_at=row.seen_at,
        )


def hashed(secret: str) -> str:
    """What is stored of a secret that chance has made long enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _query() -> sa.Select[Any]:
    alive_since = db.now() - cfg.CONF.conductor.lease_seconds
    running = (
        sa.select(sa.func.count())
        .where(build.BUILDS.c.builder_uuid == BUILDERS.c.uuid)
        .where(build.BUILDS.c.state.in_(build.HELD))
        .where(build.BUILDS.c.lease_expires_at.is_not(None))
        .scalar_subquery()
    )
    return sa.select(
        BUILDERS,
        sa.case((BUILDERS.c.seen_at > alive_since, 1), else_=0).label("alive"),
        running.label("running"),
    )
