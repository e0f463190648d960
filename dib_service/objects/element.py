"""The elements that builders have registered, each pinned by its digest."""

from collections.abc import Mapping, Sequence

from oslo_db import exception as db_exc
import sqlalchemy as sa

from dib_service.db import api as db
from dib_service.db import models
from dib_service.engine import catalogue

ELEMENTS = models.ELEMENTS
HOLDINGS = models.BUILDER_ELEMENTS
BUILDERS = models.BUILDERS


def registered() -> Mapping[str, catalogue.Element]:
    """The elements on enabled builders, by name.

    Of a name with several digests, the one that most builders hold.
    """
    holders = sa.func.count(HOLDINGS.c.builder_uuid)
    query = (
        sa.select(ELEMENTS.c.name, ELEMENTS.c.digest)
        .join(
            HOLDINGS,
            sa.and_(
                HOLDINGS.c.name == ELEMENTS.c.name,
                HOLDINGS.c.digest == ELEMENTS.c.digest,
            ),
        )
        .join(BUILDERS, BUILDERS.c.uuid == HOLDINGS.c.builder_uuid)
        .where(BUILDERS.c.enabled)
        .group_by(ELEMENTS.c.name, ELEMENTS.c.digest)
        .order_by(holders, ELEMENTS.c.digest)
    )
    with db.reader() as connection:
        # The last of a name wins: the one with most holders.
        chosen = {name: digest for name, digest in connection.execute(query)}
        rows = connection.execute(
            sa.select(
                ELEMENTS.c.name, ELEMENTS.c.digest, ELEMENTS.c.description
            ).where(ELEMENTS.c.name.in_(chosen))
        )
        return {
            name: catalogue.Element.from_dict(description)
            for name, digest, description in rows
            if chosen[name] == digest
        }


def held_by(builder_id: str) -> Mapping[str, catalogue.Element]:
    """The elements that one builder has, by name."""
    query = (
        sa.select(ELEMENTS.c.name, ELEMENTS.c.description)
        .join(
            HOLDINGS,
            sa.and_(
                HOLDINGS.c.name == ELEMENTS.c.name,
                HOLDINGS.c.digest == ELEMENTS.c.digest,
            ),
        )
        .where(HOLDINGS.c.builder_uuid == builder_id)
    )
    with db.reader() as connection:
        return {
            name: catalogue.Element.from_dict(description)
            for name, description in connection.execute(query)
        }


def holders(elements: Mapping[str, str]) -> frozenset[str]:
    """The ids of builders that have all of ``{name: digest}``."""
    query = (
        sa.select(HOLDINGS.c.builder_uuid)
        .where(
            sa.or_(
                *(
                    sa.and_(
                        HOLDINGS.c.name == name, HOLDINGS.c.digest == digest
                    )
                    for name, digest in elements.items()
                )
            )
        )
        .group_by(HOLDINGS.c.builder_uuid)
        .having(sa.func.count() == len(elements))
    )
    with db.reader() as connection:
        return frozenset(connection.scalars(query))


def unknown(elements: Mapping[str, str]) -> Sequence[str]:
    """Digests, of ``{name: digest}``, that nothing is stored about yet."""
    query = sa.select(ELEMENTS.c.name, ELEMENTS.c.digest).where(
        ELEMENTS.c.name.in_(elements)
    )
    with db.reader() as connection:
        known = {(name, digest) for name, digest in connection.execute(query)}
    return sorted(
        {
            digest
            for name, digest in elements.items()
            if (name, digest) not in known
        }
    )


def register(elements: Sequence[catalogue.Element]) -> None:
    """Store what the digests stand for, all at once; may be repeated.

    At once, since a request that comes between two of them would be told
    that an element of its own does not exist.
    """
    rows = {
        (element.name, element.digest): {
            "name": element.name,
            "digest": element.digest,
            "description": element.to_dict(),
        }
        for element in elements
    }

    def work(connection: sa.Connection) -> None:
        query = sa.select(ELEMENTS.c.name, ELEMENTS.c.digest).where(
            ELEMENTS.c.name.in_([name for name, _ in rows])
        )
        known = {(name, digest) for name, digest in connection.execute(query)}
        new = [
            {**row, "registered_at": db.now()}
            for key, row in rows.items()
            if key not in known
        ]
        if new:
            connection.execute(sa.insert(ELEMENTS).values(new))

    while True:
        try:
            return db.write(work)
        except db_exc.DBDuplicateEntry:
            # Another builder was faster: the next look sees its row, as a
            # digest has one meaning.
            continue
