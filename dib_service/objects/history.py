"""What became of a build: its attempts, artefacts and publications."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, TypeVar

import sqlalchemy as sa

from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects.build import Build
from dib_service.objects.publication import in_order

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One try on one host; ``outcome`` is None while it runs."""

    epoch: int
    builder_id: str
    builder_name: str
    started_at: float
    first_report_at: float | None
    ended_at: float | None
    outcome: str | None
    reason: Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One file that an attempt made; sizes in bytes."""

    epoch: int
    format: str
    size: int
    virtual_size: int
    sha512: str
    role: str = "image"


@dataclasses.dataclass(frozen=True)
class Publication:
    """Where an artefact went: one image in one target.

    ``location``: where it can be had, in a target that is no Glance.
    """

    epoch: int
    role: str
    format: str
    target: str
    number: int
    image_id: str
    state: str
    fault: Mapping[str, Any] | None
    location: str | None


def attempts(build_id: str) -> Sequence[Attempt]:
    """All attempts, first to last."""
    table = models.ATTEMPTS
    query = (
        sa.select(
            table.c.epoch,
            table.c.builder_uuid.label("builder_id"),
            table.c.builder_name,
            table.c.started_at,
            table.c.first_report_at,
            table.c.ended_at,
            table.c.outcome,
            table.c.reason,
        )
        .where(table.c.build_uuid == build_id)
        .order_by(table.c.epoch)
    )
    return _read(query, Attempt)


def artefacts(build_id: str) -> Sequence[Artefact]:
    """The artefacts of the last attempt."""
    table = models.ARTEFACTS
    query = (
        sa.select(
            table.c.epoch,
            table.c.format,
            table.c.size,
            table.c.virtual_size,
            table.c.sha512,
            table.c.role,
        )
        .where(table.c.build_uuid == build_id)
        .where(table.c.epoch == _last_epoch(build_id))
        .order_by(in_order(table.c.role), table.c.format)
    )
    return _read(query, Artefact)


def publications(build_id: str) -> Sequence[Publication]:
    """The publications of the last attempt; of each, the last image id."""
    table = models.PUBLICATIONS
    query = (
        sa.select(
            *(table.c[field.name] for field in dataclasses.fields(Publication))
        )
        .where(table.c.build_uuid == build_id)
        .where(table.c.epoch == _last_epoch(build_id))
        .order_by(
            table.c.target,
            in_order(table.c.role),
            table.c.format,
            table.c.number,
        )
    )
    rows = _read(query, Publication)
    return [
        *{(row.target, row.role, row.format): row for row in rows}.values()
    ]


def published(rows: Sequence[Build]) -> Mapping[str, Sequence[str]]:
    """The images that builds became, by build; no row for one without.

    They come in the order of the targets that the request names.
    """
    table = models.PUBLICATIONS
    query = (
        sa.select(table.c.build_uuid, table.c.target, table.c.image_id)
        .where(table.c.build_uuid.in_([row.id for row in rows]))
        .where(table.c.state == "published")
        # Whoever takes the first takes the image and not its kernel.
        .order_by(in_order(table.c.role).desc(), table.c.format)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    with db.reader() as connection:
        for build_id, target, image_id in connection.execute(query):
            found.setdefault(build_id, []).append((target, image_id))
    targets = {row.id: row.wanted.targets for row in rows}
    return {
        build_id: [
            image_id
            for name in targets[build_id]
            for target, image_id in images
            if target == name
        ]
        for build_id, images in found.items()
    }


def _last_epoch(build_id: str) -> sa.ScalarSelect[Any]:
    builds = models.BUILDS
    return (
        sa.select(builds.c.epoch)
        .where(builds.c.uuid == build_id)
        .scalar_subquery()
    )


def _read(query: sa.Select[Any], noun: type[T]) -> Sequence[T]:
    with db.reader() as connection:
        return [noun(**row._mapping) for row in connection.execute(query)]
