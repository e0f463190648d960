"""Who holds a build: taken, renewed, reported on, given back or lost.

Each function is one transaction and decides by the row that it has locked;
what it changes it changes by compare-and-set.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import hashlib
import hmac
import secrets
from typing import Any, Literal, Self

from oslo_config import cfg
from oslo_db import exception as db_exc
import sqlalchemy as sa

from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build as builds
from dib_service.objects import event, log, publication, queue

BUILDS = models.BUILDS
ATTEMPTS = models.ATTEMPTS

Answer = Literal["go", "cancel", "stale"]

LEASE_LOST = {
    "code": "lease-lost",
    "turn": "operator",
    "message": "the builder was not heard of for longer than its lease",
}
BUILDER_RESTARTED = {
    "code": "builder-restarted",
    "turn": "operator",
    "message": "the builder was restarted",
}
BUILDER_FORGOT = {
    "code": "builder-forgot",
    "turn": "operator",
    "message": "the builder does not know of the build",
}


@dataclasses.dataclass(frozen=True)
class Proof:
    """What shows that a call comes from who holds the build."""

    build_id: str
    epoch: int
    secret: str


@dataclasses.dataclass(frozen=True)
class Holder:
    """The builder process that takes builds; ``secret`` is the builder's."""

    builder_id: str
    name: str
    session: str
    secret: str


@dataclasses.dataclass(frozen=True)
class Taken:
    """A build that is now held; the secret goes with every later call."""

    build: builds.Build
    secret: str
    lease_seconds: float

    @classmethod
    def of(cls, row: sa.Row[Any], holder: Holder) -> Self:
        """What the claim in that row is answered with, every time."""
        return cls(
            build=builds.Build.of(row),
            secret=_lease_secret(holder, row.uuid, row.epoch, row.lease_nonce),
            lease_seconds=cfg.CONF.conductor.lease_seconds,
        )


# Taking.


def taken(holder: Holder, claim_id: str) -> Taken | None:
    """What this claim has got already; its lease begins anew."""
    query = sa.select(BUILDS).where(
        BUILDS.c.claim_id == claim_id,
        BUILDS.c.builder_uuid == holder.builder_id,
        BUILDS.c.session == holder.session,
        BUILDS.c.lease_expires_at.is_not(None),
    )
    with db.reader() as connection:
        if connection.execute(query).first() is None:
            return None

    def work(connection: sa.Connection) -> Taken | None:
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None:
            return None
        _extend(connection, row)
        return Taken.of(row, holder)

    return db.write(work)


def take(
    candidate: queue.Candidate, holder: Holder, claim_id: str
) -> Taken | None:
    """The build, held from now on; None when somebody else was faster."""
    nonce = secrets.token_hex(32)
    epoch = candidate.epoch + 1
    secret = _lease_secret(holder, candidate.build_id, epoch, nonce)
    lease_seconds = cfg.CONF.conductor.lease_seconds

    def work(connection: sa.Connection) -> Taken:
        builds.move(
            connection,
            candidate.build_id,
            candidate.epoch,
            "queued",
            "building",
            epoch=epoch,
            builder_uuid=holder.builder_id,
            session=holder.session,
            claim_id=claim_id,
            lease_expires_at=db.now() + lease_seconds,
            lease_nonce=nonce,
            lease_secret_hash=_hashed(secret),
        )
        connection.execute(
            sa.insert(ATTEMPTS).values(
                build_uuid=candidate.build_id,
                epoch=epoch,
                builder_uuid=holder.builder_id,
                builder_name=holder.name,
                started_at=db.now(),
            )
        )
        row = builds.select_row(connection, candidate.build_id)
        return Taken.of(row, holder)

    try:
        # Not db.write(): there is another candidate to try, not another time.
        with db.writer() as connection:
            return work(connection)
    except exception.StateConflict:
        return None
    except db_exc.DBDeadlock:
        return None
    except db_exc.DBDuplicateEntry:
        # The same claim, sent twice, and the other one was faster.
        return taken(holder, claim_id)


# Holding.


def renew(proofs: Sequence[Proof]) -> Mapping[str, Answer]:
    """Renew what may be renewed, and say so of each build.

    A lease that has run out may be renewed until somebody else decides.
    """
    return {proof.build_id: _renew(proof) for proof in proofs}


def _renew(proof: Proof) -> Answer:
    def work(connection: sa.Connection) -> Answer:
        try:
            row = proven(connection, proof)
        except exception.StaleClaim:
            return "stale"
        if row.lease_expires_at is None:
            # All is uploaded, and the builder's heartbeat was on its way.
            return "go" if row.state in ("publishing", "complete") else "stale"
        _extend(connection, row)
        return "cancel" if row.cancel_requested else "go"

    return db.write(work)


def _extend(connection: sa.Connection, row: sa.Row[Any]) -> None:
    builds.move(
        connection,
        row.uuid,
        row.epoch,
        row.state,
        row.state,
        lease_expires_at=db.now() + cfg.CONF.conductor.lease_seconds,
    )


def report(
    proof: Proof,
    *,
    state: str,
    events: Sequence[Mapping[str, Any]],
    first_sequence: int,
) -> None:
    """Where the build stands and what has happened since.

    :raises StaleClaim: the proof is not that of who holds it.
    """

    def work(connection: sa.Connection) -> None:
        row = held(connection, proof)
        _count(connection, row)
        for after in _way(row.state, state):
            builds.move(connection, row.uuid, row.epoch, row.state, after)
        event.append(connection, row.uuid, row.epoch, first_sequence, events)

    db.write(work)


def check(proof: Proof) -> None:
    """Let who holds the build pass.

    :raises StaleClaim: the proof is not that of who holds it.
    """
    db.write(lambda connection: held(connection, proof))


def append_log(proof: Proof, sequence: int, data: bytes) -> None:
    """Store a chunk of the log.

    It may come after the attempt has ended, until another one begins.

    :raises StaleClaim: the proof is not that of who held it last.
    """

    def work(connection: sa.Connection) -> None:
        row = proven(connection, proof)
        log.store(connection, row.uuid, row.epoch, sequence, data)
        if row.state in builds.ENDED:
            log.settle(connection, row.uuid)

    db.write(work)


# Whom to wake.


def to_be_told() -> Sequence[str]:
    """The builders that hold something which is to be cancelled."""
    query = (
        sa.select(BUILDS.c.builder_uuid)
        .where(BUILDS.c.state.in_(builds.HELD))
        .where(BUILDS.c.cancel_requested)
        .where(BUILDS.c.lease_expires_at.is_not(None))
        .distinct()
    )
    with db.reader() as connection:
        return [builder for builder in connection.scalars(query) if builder]


def clock() -> float:
    """What the clock says by which leases run out."""
    return db.clock()


# Giving back.


def fail(proof: Proof, fault: Mapping[str, Any], *, retry: bool) -> None:
    """The holder's attempt is over; repeating it is harmless.

    :raises StaleClaim: the proof is not that of who held it last.
    """

    def work(connection: sa.Connection) -> None:
        row = proven(connection, proof)
        if row.lease_expires_at is None:
            return
        _count(connection, row)
        row = builds.select_row(connection, row.uuid)
        give_back(connection, row, fault, retry=retry)

    db.write(work)


def end_other_sessions(builder_id: str, session: str) -> int:
    """End what earlier processes of the builder held; says how many."""
    return _lose(
        BUILDS.c.builder_uuid == builder_id,
        BUILDS.c.session != session,
        reason=BUILDER_RESTARTED,
    )


def end_forgotten(
    builder_id: str, session: str, claim_id: str, running: Sequence[str]
) -> int:
    """End what the builder holds and does not know of.

    The answer to its claim never came to it.
    """
    return _lose(
        BUILDS.c.builder_uuid == builder_id,
        BUILDS.c.session == session,
        BUILDS.c.claim_id != claim_id,
        BUILDS.c.uuid.not_in(running),
        reason=BUILDER_FORGOT,
    )


def end_expired() -> int:
    """End all leases that have run out; says how many."""
    return _lose(BUILDS.c.lease_expires_at < db.now(), reason=LEASE_LOST)


def _lose(
    *conditions: sa.ColumnElement[bool], reason: Mapping[str, Any]
) -> int:
    query = (
        sa.select(BUILDS)
        .where(BUILDS.c.state.in_(builds.HELD))
        .where(BUILDS.c.lease_expires_at.is_not(None))
        .where(*conditions)
    )
    with db.reader() as connection:
        lost = connection.scalars(query.with_only_columns(BUILDS.c.uuid)).all()

    def work(build_id: str, connection: sa.Connection) -> int:
        # Whatever was true a moment ago: a heartbeat may have come.
        row = connection.execute(
            query.where(BUILDS.c.uuid == build_id).with_for_update()
        ).one_or_none()
        if row is None:
            return 0
        give_back(connection, row, reason, retry=True, outcome="lost")
        return 1

    ended = 0
    for build_id in lost:
        ended += db.write(functools.partial(work, build_id))
    return ended


def give_back(
    connection: sa.Connection,
    row: sa.Row[Any],
    fault: Mapping[str, Any],
    *,
    retry: bool,
    outcome: str = "failed",
) -> None:
    """Queue the build again, or end it: cancelled, or failed by the fault."""
    settings = cfg.CONF.conductor
    if row.release_decided:
        # Some of it is there for all to see: what is not uploaded has
        # failed, and nothing is made anew.
        publication.let_go(connection, row, fault)
    elif row.cancel_requested:
        builds.end(connection, row, "cancelled")
    elif retry and row.attempts_counted < settings.max_attempts:
        delay = min(
            settings.retry_delay * 2 ** min(row.epoch - 1, 30),
            settings.retry_delay_max,
        )
        builds.move(
            connection,
            row.uuid,
            row.epoch,
            row.state,
            "queued",
            not_before=db.now() + delay,
            lease_expires_at=None,
        )
        builds.end_attempt(connection, row, outcome, fault)
    else:
        builds.end(connection, row, "failed", fault)


# What follows joins the transactions of others.


def held(connection: sa.Connection, proof: Proof) -> sa.Row[Any]:
    """The row, locked, of a build that the proof's bearer holds.

    :raises StaleClaim: it does not.
    """
    row = proven(connection, proof)
    if row.lease_expires_at is None:
        raise _stale(proof)
    return row


def proven(connection: sa.Connection, proof: Proof) -> sa.Row[Any]:
    """The row, locked, of a build that the bearer was the last to hold.

    :raises StaleClaim: it was not.
    """
    try:
        row = builds.select_row(connection, proof.build_id, lock=True)
    except exception.NotFound:
        raise _stale(proof) from None
    if row.epoch != proof.epoch or not hmac.compare_digest(
        row.lease_secret_hash or "", _hashed(proof.secret)
    ):
        raise _stale(proof)
    return row


def _stale(proof: Proof) -> exception.StaleClaim:
    return exception.StaleClaim(
        f"build {proof.build_id}: attempt {proof.epoch} holds no lease"
    )


def _way(before: str, after: str) -> Sequence[str]:
    """The states to go through; none where that is no step forward."""
    if after not in builds.HELD:
        raise exception.BadRequest(f"a builder cannot make a build {after}")
    start, end = builds.HELD.index(before), builds.HELD.index(after)
    return builds.HELD[end : end + 1] if end > start else ()


def _count(connection: sa.Connection, row: sa.Row[Any]) -> None:
    """The first word of an attempt is what makes it count."""
    first = connection.execute(
        sa.update(ATTEMPTS)
        .where(ATTEMPTS.c.build_uuid == row.uuid)
        .where(ATTEMPTS.c.epoch == row.epoch)
        .where(ATTEMPTS.c.first_report_at.is_(None))
        .values(first_report_at=db.now())
    )
    if first.rowcount == 1:
        connection.execute(
            sa.update(BUILDS)
            .where(BUILDS.c.uuid == row.uuid)
            .values(attempts_counted=BUILDS.c.attempts_counted + 1)
        )


def _lease_secret(
    holder: Holder, build_id: str, epoch: int, nonce: str
) -> str:
    # Random, and yet the same for a claim that is repeated: of nonce and
    # hash, which are stored, nobody can make it without the builder's own.
    return hmac.new(
        holder.secret.encode(),
        f"{build_id}/{epoch}/{nonce}".encode(),
        hashlib.sha256,
    ).hexdigest()


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
