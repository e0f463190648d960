"""What is shown of each noun."""

from collections.abc import Callable, Mapping, Sequence
import datetime
from typing import Any

from dib_service.engine import catalogue
from dib_service.objects import event as event_lib
from dib_service.objects import history
from dib_service.objects.build import Build
from dib_service.objects.builder import Builder

GIB = 2**30

# Makes a full address of one of our paths.
Linker = Callable[[str], str]


def build(
    row: Build, link: Linker, *, image_ids: Sequence[str] = ()
) -> dict[str, Any]:
    """A build as lists show it, with the images that it became."""
    wanted = row.wanted
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "project_id": row.project_id,
        "user_id": row.user_id,
        "request_id": row.request_id,
        "elements": list(wanted.elements),
        "skip_base": wanted.skip_base,
        "boot_test": wanted.boot_test,
        "formats": list(wanted.formats),
        "architecture": row.architecture,
        "environment": dict(wanted.environment),
        "disk_size_gib": _gib(wanted.disk_size),
        "proxy": wanted.proxy.to_dict(),
        "ssh_keys": list(wanted.ssh_keys),
        "image": {
            "name": wanted.image_name,
            "visibility": wanted.visibility,
            "properties": dict(wanted.properties),
            "members": list(wanted.members),
            "protected": wanted.protected,
            "tags": list(wanted.tags),
            "traits": list(wanted.traits),
            "targets": list(wanted.targets),
        },
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "ended_at": moment(row.ended_at),
        "epoch": row.epoch,
        "cancel_requested": row.cancel_requested,
        "image_ids": list(image_ids),
        "fault": dict(row.fault) if row.fault else None,
        "links": [{"rel": "self", "href": link(f"/v1/builds/{row.id}")}],
    }


def build_in_full(
    row: Build, link: Linker, *, with_builders: bool
) -> dict[str, Any]:
    """A build with all that became of it.

    The names of the builder hosts are for those who may see builders.
    """
    return {
        **build(
            row,
            link,
            image_ids=history.published([row]).get(row.id, ()),
        ),
        "phase": _phase(row),
        "resolved_elements": [
            {"name": name, "digest": digest}
            for name, digest in sorted(row.elements.items())
        ],
        "attempts": [
            attempt(each, with_builder=with_builders)
            for each in history.attempts(row.id)
        ],
        "artefacts": [artefact(each) for each in history.artefacts(row.id)],
        "publications": [
            publication(each) for each in history.publications(row.id)
        ],
    }


def _phase(row: Build) -> str | None:
    """Where a running build is, as it said last."""
    if row.state not in ("building", "verifying"):
        return None
    facts = event_lib.last(row.id, row.epoch, "phase") or {}
    return facts.get("phase")


def attempt(row: history.Attempt, *, with_builder: bool) -> dict[str, Any]:
    """One try on one host."""
    return {
        "epoch": row.epoch,
        "builder_id": row.builder_id if with_builder else None,
        "builder_name": row.builder_name if with_builder else None,
        "started_at": moment(row.started_at),
        "ended_at": moment(row.ended_at),
        "outcome": row.outcome,
        "reason": dict(row.reason) if row.reason else None,
    }


def artefact(row: history.Artefact) -> dict[str, Any]:
    """One file that was made; sizes in bytes."""
    return {
        "epoch": row.epoch,
        "role": row.role,
        "format": row.format,
        "size": row.size,
        "virtual_size": row.virtual_size,
        "sha512": row.sha512,
    }


def publication(row: history.Publication) -> dict[str, Any]:
    """Where a file went."""
    return {
        "epoch": row.epoch,
        "role": row.role,
        "format": row.format,
        "target": row.target,
        "image_id": row.image_id,
        "state": row.state,
        "fault": dict(row.fault) if row.fault else None,
        "location": row.location,
    }


def event(row: event_lib.Event) -> dict[str, Any]:
    """One thing that a build said; its facts stand beside its number."""
    return {
        **row.facts,
        "id": row.id,
        "epoch": row.epoch,
        "kind": row.kind,
        "time": moment(row.time),
    }


def builder(row: Builder) -> dict[str, Any]:
    """A builder host."""
    return {
        "id": row.id,
        "name": row.name,
        "enabled": row.enabled,
        "alive": row.alive,
        "architectures": list(row.architectures),
        "slots": row.slots,
        "running": row.running,
        "version": row.version,
        "enrolled_at": moment(row.enrolled_at),
        "seen_at": moment(row.seen_at),
    }


def element(row: catalogue.Element) -> dict[str, Any]:
    """An element as lists show it."""
    return {
        "name": row.name,
        "digest": row.digest,
        "summary": row.summary,
        "dependencies": list(row.dependencies),
        "provides": list(row.provides),
    }


def element_in_full(row: catalogue.Element) -> dict[str, Any]:
    """An element with its hooks, phase by phase."""
    return {**element(row), "hooks": _hooks(row.hooks)}


def plan(chosen: Sequence[catalogue.Element]) -> dict[str, Any]:
    """What a build of these elements would run."""
    return {
        "elements": [
            {"name": row.name, "digest": row.digest, "summary": row.summary}
            for row in chosen
        ],
        "phases": catalogue.plan(chosen),
    }


def moment(seconds: float | None) -> str | None:
    """A time as ISO 8601 writes it, in UTC."""
    if seconds is None:
        return None
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hooks(hooks: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {
        phase: list(hooks[phase])
        for phase in catalogue.PHASES
        if hooks.get(phase)
    }


def _gib(size: int | None) -> int | None:
    return None if size is None else size // GIB
