"""Where artefacts go, row by row: an image id for each, in each target.

States: ``staged`` (granted, bytes may be there), ``uploaded``, ``releasing``
(decided: it ends published, or is taken back for good), ``published``,
``failed``, ``lost`` (another id has its place) and ``deleted``.
"""

from collections.abc import Mapping, Sequence
from typing import Any
import uuid

import sqlalchemy as sa

from dib_service.db import api as db
from dib_service.db import models
from dib_service.objects import build as builds

BUILDS = models.BUILDS
PUBLICATIONS = models.PUBLICATIONS

# Image ids are made of what they are for, so that asking for the same thing
# twice cannot make two.
NAMESPACE = uuid.UUID("6f2c7a3e-5f0b-5c1e-9d35-0d1b5a1e5e8f")

# What is linked to comes first: the image of a partition names the others.
ROLES = ("kernel", "ramdisk", "image")

# Not at an end.
UNDER_WAY = ("staged", "uploaded", "releasing")

NEVER_UPLOADED = {
    "code": "upload",
    "turn": "operator",
    "message": "the builder has not uploaded it",
}


def image_id(
    attempt_nonce: str, role: str, format_: str, target: str, number: int
) -> str:
    """The id of the image that this attempt's artefact becomes there."""
    # Not of the build's id, which its client chose: whoever asks for a build
    # of the same id, once the first one is forgotten, must not get its image.
    words = f"{attempt_nonce}/{role}/{format_}/{target}/{number}"
    return str(uuid.uuid5(NAMESPACE, words))


def in_order(role: sa.Column[str]) -> sa.ColumnElement[int]:
    """By which rows come in the order of ROLES."""
    return sa.case(
        *((role == name, place) for place, name in enumerate(ROLES)),
        else_=len(ROLES),
    )


# What follows joins the transactions of others.


def of_attempt(
    build_id: str, epoch: int, target: str | None = None
) -> sa.ColumnElement[bool]:
    """The condition for an attempt's rows, in one target or in all."""
    conditions = [
        PUBLICATIONS.c.build_uuid == build_id,
        PUBLICATIONS.c.epoch == epoch,
    ]
    if target is not None:
        conditions.append(PUBLICATIONS.c.target == target)
    return sa.and_(*conditions)


def change(
    connection: sa.Connection,
    which: sa.ColumnElement[bool],
    before: Sequence[str],
    after: str,
    **values: Any,
) -> int:
    """Move those of the rows that are in a state of ``before``; how many."""
    return connection.execute(
        sa.update(PUBLICATIONS)
        .where(which)
        .where(PUBLICATIONS.c.state.in_(before))
        .values(state=after, updated_at=db.now(), **values)
    ).rowcount


def let_go(
    connection: sa.Connection, row: sa.Row[Any], fault: Mapping[str, Any]
) -> None:
    """End the lease of a build that is published as far as it is uploaded."""
    change(
        connection,
        of_attempt(row.uuid, row.epoch),
        ["staged"],
        "failed",
        fault=dict(fault),
    )
    builds.move(
        connection,
        row.uuid,
        row.epoch,
        row.state,
        "publishing",
        lease_expires_at=None,
    )
    settle(connection, row.uuid)


def settle(connection: sa.Connection, build_id: str) -> None:
    """End the build if its builder and all of its targets are done."""
    row = builds.select_row(connection, build_id, lock=True)
    if row.state != "publishing" or row.lease_expires_at is not None:
        return
    found = connection.execute(
        sa.select(
            PUBLICATIONS.c.target, PUBLICATIONS.c.state, PUBLICATIONS.c.fault
        )
        .where(of_attempt(row.uuid, row.epoch))
        .where(PUBLICATIONS.c.state != "lost")
        .order_by(PUBLICATIONS.c.target, in_order(PUBLICATIONS.c.role))
    ).all()
    if any(each.state in UNDER_WAY for each in found):
        return
    failed = {
        each.target: each.fault for each in found if each.state == "failed"
    }
    for target in builds.Wanted.from_dict(row.wanted).targets:
        if target not in {each.target for each in found}:
            failed[target] = NEVER_UPLOADED
    if failed:
        builds.end(connection, row, "failed", _fault(failed))
    else:
        builds.end(connection, row, "complete")


def _fault(failed: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The fault of a build that is not everywhere where it should be."""
    told = [
        f"{target}: {fault.get('message')}" for target, fault in failed.items()
    ]
    return {
        "code": "publication-failed",
        "turn": "operator",
        "message": f"not published in {'; '.join(told)}",
        "targets": {target: dict(fault) for target, fault in failed.items()},
    }
