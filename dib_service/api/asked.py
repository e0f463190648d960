"""What a request for a build asks for, made into a value or refused."""

from collections.abc import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
import contextlib
import dataclasses
import difflib
from typing import Any

from dib_service import conf, exception, policies
from dib_service import context as context_lib
from dib_service.api import (
    environment,
    faults,
    local_config,
    properties,
    schemas,
    text,
)
from dib_service.conf.publish import THIS_CLOUD
from dib_service.engine import catalogue
from dib_service.objects import element
from dib_service.objects.build import Build, Wanted
from dib_service.objects.builder import Builder
from dib_service.objects.local_config import ELEMENT, Proxy
from dib_service.policies import build as rules

GIB = 2**30

# What makes an image larger, in MiB, where no size is asked for.
ROOM = ("DIB_IMAGE_EXTRA_SIZE", "DIB_JOURNAL_SIZE")

_PAGE = 500


def wanted(body: Mapping[str, Any]) -> tuple[str, Wanted]:
    """The name of the build, and all that it should be.

    :raises BadRequest: naming the first field that is wrong.
    """
    name = body.get("name") or "-".join(body["elements"])[:255]
    image = body.get("image", {})
    proxy = Proxy.from_dict(body.get("proxy", {}))
    ssh_keys = tuple(body.get("ssh_keys", ()))
    value = Wanted(
        elements=_elements(
            body["elements"], local=ssh_keys or proxy.to_dict()
        ),
        formats=tuple(body.get("formats", ("qcow2",))),
        architecture=body.get("architecture", "x86_64"),
        environment=dict(body.get("environment", {})),
        disk_size=_disk_size(body.get("disk_size_gib")),
        skip_base=body.get("skip_base", False),
        boot_test=body.get("boot_test", True),
        image_name=image.get("name") or name,
        visibility=image.get("visibility", _visibility(image)),
        properties=dict(image.get("properties", {})),
        members=tuple(image.get("members", ())),
        protected=image.get("protected", False),
        tags=tuple(image.get("tags", ())),
        traits=tuple(image.get("traits", ())),
        targets=tuple(image.get("targets", conf.CONF.publish.targets[:1])),
        proxy=proxy,
        ssh_keys=ssh_keys,
    )
    text.check_name("build.name", name)
    text.check_name("build.image.name", value.image_name)
    for number, tag in enumerate(value.tags):
        text.check_name(f"build.image.tags[{number}]", tag)
    environment.check(value.environment, extra=conf.CONF.api.allowed_variables)
    _check_room(value.environment)
    local_config.check(proxy, ssh_keys)
    properties.check(value.properties)
    _check_targets(value)
    _check_together(value)
    return name, value


def authorize(context: context_lib.RequestContext, asked: Wanted) -> None:
    """Let pass what not everybody may ask for, if the asker may.

    Others see the image, or nobody has seen it start.

    :raises Forbidden: the asker may not.
    """
    rule = {
        "community": rules.CREATE_COMMUNITY,
        "public": rules.CREATE_PUBLIC,
    }.get(asked.visibility)
    if rule:
        policies.authorize(context, rule)
    if not asked.boot_test:
        policies.authorize(context, rules.CREATE_UNTESTED)
    if set(asked.targets) - set(conf.CONF.publish.targets[:1]):
        policies.authorize(context, rules.CREATE_TARGET)


def resolve(asked: Wanted) -> tuple[catalogue.Element, ...]:
    """The elements that will make the image, as some builder has them.

    :raises BadRequest: there is no such element, or they do not go together,
        or no builder is of that architecture.
    :raises Unavailable: no builder has said what it has, or none has all.
    """
    known = element.registered()
    if not known:
        raise exception.Unavailable(
            "no builder has registered its elements yet: the operator "
            "enrols one with 'dib-manage builder enrol' and starts "
            "dib-builder there"
        )
    chosen = _chosen(asked, known)
    able = _builders(asked.architecture)
    if able & element.holders({row.name: row.digest for row in chosen}):
        return chosen
    return _chosen_of_one(asked, able)


def without_formats(
    asked: Wanted, chosen: Collection[catalogue.Element], *, given: bool
) -> Wanted:
    """What is wanted, with no format of a disk where there will be no disk.

    ``given``: the request itself names formats.

    :raises BadRequest: it names them for what is no disk image.
    """
    if catalogue.NO_IMAGE not in {row.name for row in chosen}:
        return asked
    if given:
        raise faults.refusal(
            "build.formats",
            "these elements make a kernel and a ramdisk and no disk image, "
            "which alone has a format; leave it out",
        )
    return dataclasses.replace(asked, formats=())


def refuse_repeat(build_id: str | None, link: Callable[[str], str]) -> None:
    """Say so at once when a UUID has been used.

    Before all else: whoever repeats a request should learn that it arrived,
    and not that the fleet has changed since.

    :raises Conflict: with a link to the build.
    """
    if build_id is None:
        return
    try:
        Build.get(build_id)
    except exception.NotFound:
        return
    raise repeated(build_id, link)


def repeated(build_id: str, link: Callable[[str], str]) -> exception.Conflict:
    """The error for a UUID that names a build already."""
    return exception.Conflict(
        f"build {build_id} already exists",
        build_id=build_id,
        links=[{"rel": "self", "href": link(f"/v1/builds/{build_id}")}],
    )


def _elements(names: Sequence[str], *, local: object) -> tuple[str, ...]:
    """The elements, with the one for what is the asker's own."""
    # Who asks for a key in the image wants it there, and need not know by
    # which element it gets there.
    if local and ELEMENT not in names:
        return (*names, ELEMENT)
    return tuple(names)


def _visibility(image: Mapping[str, Any]) -> str:
    # Glance has members of shared images only.
    return "shared" if image.get("members") else "private"


def _check_targets(asked: Wanted) -> None:
    """Let pass what the operator has configured a place for."""
    known = conf.CONF.publish.targets
    for number, name in enumerate(asked.targets):
        if name not in known:
            raise faults.refusal(
                f"build.image.targets[{number}]",
                f"no such target; there are {', '.join(known)}",
                value=name,
            )
    if (
        schemas.BARE_METAL in asked.members
        and not conf.CONF.publish.bare_metal_project_id
        and THIS_CLOUD in asked.targets
    ):
        raise faults.refusal(
            "build.image.members",
            "the operator has not configured which project bare metal is "
            "deployed by: [publish] bare_metal_project_id",
            value=schemas.BARE_METAL,
        )


def _check_together(asked: Wanted) -> None:
    """Let pass what each by itself is right."""
    if asked.members and asked.visibility != "shared":
        raise faults.refusal(
            "build.image.members",
            "only an image of visibility 'shared' has members",
            value=asked.visibility,
        )
    if asked.properties.get("os_secure_boot") == "required" and (
        not asked.boot_test
    ):
        raise faults.refusal(
            "build.image.properties.os_secure_boot",
            "only an image that has been started with secure boot is said "
            "to need it; leave boot_test on",
        )
    most = schemas.MAX_PROPERTIES
    if len(asked.properties) + len(asked.traits) > most:
        raise faults.refusal(
            "build.image.traits",
            f"each is a property of the image, and at most {most} "
            "properties are allowed",
        )


def _disk_size(gib: int | None) -> int | None:
    most = conf.CONF.api.max_disk_size_gib
    if gib is not None and gib > most:
        raise faults.refusal(
            "build.disk_size_gib", f"at most {most} are allowed", value=gib
        )
    # JSON Schema holds 8.0 to be an integer.
    return None if gib is None else int(gib) * GIB


def _check_room(variables: Mapping[str, str]) -> None:
    most = conf.CONF.api.max_disk_size_gib * 1024
    for name in ROOM:
        value = variables.get(name, "")
        whole = value.partition(".")[0]
        # What is no number the engine refuses, with the reason.
        if whole.isdecimal() and int(whole) > most:
            raise faults.refusal(
                f"build.environment.{name}",
                f"at most {most} MiB are allowed",
                value=value,
            )


def _chosen(
    asked: Wanted, known: Mapping[str, catalogue.Element]
) -> tuple[catalogue.Element, ...]:
    try:
        chosen = catalogue.resolve(
            asked.elements, known, skip_base=asked.skip_base
        )
    except catalogue.EngineError as exc:
        facts = {**exc.facts, "fault": exc.code, "field": "build.elements"}
        said = exc.message
        missing = exc.code == catalogue.ElementNotFound.code
        if missing and facts["element"] in asked.elements:
            said += f"; {_instead(facts['element'], known)}"
        raise exception.BadRequest(said, **facts) from exc
    return chosen


def _instead(name: str, known: Collection[str]) -> str:
    """What may have been meant by a name that no element has."""
    close = difflib.get_close_matches(name, known)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return "'openstack image element list' shows those that there are"


def _chosen_of_one(
    asked: Wanted, able: Collection[str]
) -> tuple[catalogue.Element, ...]:
    """The elements as one builder has them all.

    While new elements are brought to one builder after another, those that
    most have may be on no builder together: such a build would be accepted
    and wait for ever.
    """
    for builder_id in sorted(able):
        with contextlib.suppress(exception.BadRequest):
            return _chosen(asked, element.held_by(builder_id))
    raise exception.Unavailable(
        f"no {asked.architecture} builder has all of these elements at "
        "once; the operator brings the same elements to all of them",
        architecture=asked.architecture,
        elements=list(asked.elements),
    )


def _builders(architecture: str) -> frozenset[str]:
    """The ids of the enabled builders of that architecture.

    :raises BadRequest: there is none.
    """
    rows = [row for row in _fleet() if row.enabled]
    able = [row.id for row in rows if architecture in row.architectures]
    if not able:
        others = sorted({word for row in rows for word in row.architectures})
        raise faults.refusal(
            "build.architecture",
            "no enabled builder makes such images; they make "
            f"{', '.join(others) or 'none'}",
            value=architecture,
        )
    return frozenset(able)


def _fleet() -> Iterator[Builder]:
    marker = None
    while rows := Builder.list(limit=_PAGE, marker=marker):
        yield from rows
        marker = rows[-1].id
