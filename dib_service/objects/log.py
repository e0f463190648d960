"""The log of a build: bytes over all its attempts, stored in chunks.

What a reader sees only ever grows. So a log that is longer than its head may
be stops there, the last chunks are kept aside, and they follow the head when
the build has ended, behind a line that says how much is missing.
"""

from typing import Any
import zlib

from oslo_config import cfg
import sqlalchemy as sa

from dib_service.db import api as db
from dib_service.db import models

CHUNKS = models.LOG_CHUNKS
BUILDS = models.BUILDS

# The epoch of the line between head and tail: no attempt has it.
BETWEEN = -1


def read(build_id: str, *, offset: int, limit: int) -> bytes:
    """At most ``limit`` bytes from ``offset``; empty at or past the end."""
    query = (
        sa.select(CHUNKS.c.start, CHUNKS.c.data)
        .where(CHUNKS.c.build_uuid == build_id)
        .where(CHUNKS.c.start < offset + limit)
        .where(CHUNKS.c.start + CHUNKS.c.length > offset)
        .order_by(CHUNKS.c.start)
    )
    with db.reader() as connection:
        rows = connection.execute(query).all()
    if not rows:
        return b""
    found = b"".join(zlib.decompress(row.data) for row in rows)
    skip = offset - rows[0].start
    return found[skip : skip + limit]


def size(build_id: str) -> int:
    """Bytes that can be read so far."""
    with db.reader() as connection:
        return _end(connection, build_id)


def append(build_id: str, epoch: int, sequence: int, data: bytes) -> None:
    """Store one chunk; the same (epoch, sequence) again changes nothing."""
    db.write(
        lambda connection: store(connection, build_id, epoch, sequence, data)
    )


def store(
    connection: sa.Connection,
    build_id: str,
    epoch: int,
    sequence: int,
    data: bytes,
) -> None:
    """``append`` within the caller's transaction."""
    # Two chunks at once would come to the same place.
    connection.execute(
        sa.select(BUILDS.c.id)
        .where(BUILDS.c.uuid == build_id)
        .with_for_update()
    )
    if not data or _known(connection, build_id, epoch, sequence):
        return
    end = _end(connection, build_id)
    in_head = not _has_tail(connection, build_id) and (
        end + len(data) <= cfg.CONF.conductor.log_head_bytes
    )
    _insert(
        connection, build_id, epoch, sequence, data, end if in_head else None
    )
    if not in_head:
        _shorten_tail(connection, build_id)


def settle(connection: sa.Connection, build_id: str) -> None:
    """Put the tail behind the head, once nothing will follow."""
    tail = connection.execute(
        sa.select(CHUNKS.c.epoch, CHUNKS.c.sequence, CHUNKS.c.length)
        .where(CHUNKS.c.build_uuid == build_id)
        .where(CHUNKS.c.start.is_(None))
        .order_by(CHUNKS.c.epoch, CHUNKS.c.sequence)
    ).all()
    if not tail:
        return
    place = _end(connection, build_id)
    dropped = connection.scalar(
        sa.select(BUILDS.c.log_dropped).where(BUILDS.c.uuid == build_id)
    )
    if dropped:
        line = f"\n[{dropped} bytes of the log were not kept]\n".encode()
        _insert(connection, build_id, BETWEEN, 0, line, place)
        place += len(line)
    for chunk in tail:
        connection.execute(
            sa.update(CHUNKS)
            .where(*_is(build_id, chunk.epoch, chunk.sequence))
            .values(start=place)
        )
        place += chunk.length


def _shorten_tail(connection: sa.Connection, build_id: str) -> None:
    tail = connection.execute(
        sa.select(CHUNKS.c.epoch, CHUNKS.c.sequence, CHUNKS.c.length)
        .where(CHUNKS.c.build_uuid == build_id)
        .where(CHUNKS.c.start.is_(None))
        .order_by(CHUNKS.c.epoch, CHUNKS.c.sequence)
    ).all()
    excess = (
        sum(chunk.length for chunk in tail) - cfg.CONF.conductor.log_tail_bytes
    )
    dropped = 0
    # The newest stays: a repeat of it must find it.
    for chunk in tail[:-1]:
        if dropped >= excess:
            break
        connection.execute(
            sa.delete(CHUNKS).where(
                *_is(build_id, chunk.epoch, chunk.sequence)
            )
        )
        dropped += chunk.length
    if dropped:
        connection.execute(
            sa.update(BUILDS)
            .where(BUILDS.c.uuid == build_id)
            .values(log_dropped=BUILDS.c.log_dropped + dropped)
        )


def _insert(
    connection: sa.Connection,
    build_id: str,
    epoch: int,
    sequence: int,
    data: bytes,
    start: int | None,
) -> None:
    connection.execute(
        sa.insert(CHUNKS).values(
            build_uuid=build_id,
            epoch=epoch,
            sequence=sequence,
            start=start,
            length=len(data),
            data=zlib.compress(data),
            received_at=db.now(),
        )
    )


def _known(
    connection: sa.Connection, build_id: str, epoch: int, sequence: int
) -> bool:
    query = sa.select(CHUNKS.c.length).where(*_is(build_id, epoch, sequence))
    return connection.execute(query).first() is not None


def _is(
    build_id: str, epoch: int, sequence: int
) -> tuple[sa.ColumnElement[Any], ...]:
    return (
        CHUNKS.c.build_uuid == build_id,
        CHUNKS.c.epoch == epoch,
        CHUNKS.c.sequence == sequence,
    )


def _has_tail(connection: sa.Connection, build_id: str) -> bool:
    query = (
        sa.select(CHUNKS.c.sequence)
        .where(CHUNKS.c.build_uuid == build_id)
        .where(CHUNKS.c.start.is_(None))
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _end(connection: sa.Connection, build_id: str) -> int:
    query = (
        sa.select(CHUNKS.c.start + CHUNKS.c.length)
        .where(CHUNKS.c.build_uuid == build_id)
        .where(CHUNKS.c.start.is_not(None))
        .order_by(CHUNKS.c.start.desc())
        .limit(1)
    )
    return int(connection.scalar(query) or 0)
