"""The image build service for openstacksdk: resources and their proxy."""

from collections.abc import Iterator
import dataclasses
import logging
import re
from typing import Any, ClassVar, Literal
import uuid

from openstack import exceptions, proxy, resource, service_description
import requests

from dib_service.client import patience as patience_lib

LOG = logging.getLogger(__name__)

SERVICE_TYPE = "image-build"

# The newest microversion of the API whose answers this file understands.
MICROVERSION = "1.0"

# How long a POST is repeated whose answer does not come.
POST_SECONDS = 30.0

# One answer takes no longer than this, or counts as an outage.
ANSWER_SECONDS = 60.0

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# States in which a build stays for ever.
ENDED = ("complete", "failed", "cancelled")


class Build(resource.Resource):
    """One image that was asked for, and what became of it."""

    resource_key = "build"
    resources_key = "builds"
    base_path = "/builds"
    _max_microversion = MICROVERSION

    allow_create = True
    allow_fetch = True
    allow_list = True
    allow_delete = True

    _query_mapping = resource.QueryParameters("state", "name", "all_projects")

    #: A UUID of the caller's choice; asking twice with it builds once.
    id = resource.Body("id")
    #: A name for people; it need not be unique.
    name = resource.Body("name")
    #: queued, building, verifying, publishing, complete, failed, cancelled.
    state = resource.Body("state")
    #: The request that asked for it, as the service's logs name it.
    request_id = resource.Body("request_id")
    #: Where a running build is, as it said last.
    phase = resource.Body("phase")
    #: Whom the build and its images belong to.
    project_id = resource.Body("project_id")
    #: Who asked.
    user_id = resource.Body("user_id")
    #: The elements that were asked for, by name.
    elements = resource.Body("elements", type=list)
    #: True for an image without the element ``base``.
    skip_base = resource.Body("skip_base", type=bool)
    #: False for an image that nobody has seen start.
    boot_test = resource.Body("boot_test", type=bool)
    #: Disk formats, one artefact each.
    formats = resource.Body("formats", type=list)
    #: The machine that the image is for, in the words of ``uname -m``.
    architecture = resource.Body("architecture")
    #: Variables that the elements read.
    environment = resource.Body("environment", type=dict)
    #: Size of the whole disk; None is just large enough.
    disk_size_gib = resource.Body("disk_size_gib", type=int)
    #: HTTP proxy that goes into the image: http, https and no_proxy.
    proxy = resource.Body("proxy", type=dict)
    #: Public ssh keys that go into the image.
    ssh_keys = resource.Body("ssh_keys", type=list)
    #: Name, visibility, properties, members, protected, tags, traits and
    #: targets of the image in the image service.
    image = resource.Body("image", type=dict)
    #: All elements of the image with their digests, as they were when the
    #: build was asked for.
    resolved_elements = resource.Body("resolved_elements", type=list)
    #: How many times the build was begun.
    epoch = resource.Body("epoch", type=int)
    #: Tries on builder hosts, first to last.
    attempts = resource.Body("attempts", type=list)
    #: Files that the last attempt made.
    artefacts = resource.Body("artefacts", type=list)
    #: Images that the artefacts became.
    publications = resource.Body("publications", type=list)
    #: The images that are there to be used.
    image_ids = resource.Body("image_ids", type=list)
    #: Why the build failed.
    fault = resource.Body("fault", type=dict)
    #: True when somebody wants the build to stop.
    cancel_requested = resource.Body("cancel_requested", type=bool)
    #: When the build was asked for.
    created_at = resource.Body("created_at")
    #: When the build last changed.
    updated_at = resource.Body("updated_at")
    #: When the build ended.
    ended_at = resource.Body("ended_at")

    @property
    def ended(self) -> bool:
        """True when nothing about the build will change any more."""
        return self.state in ENDED


class Builder(resource.Resource):
    """One host that runs builds."""

    resource_key = "builder"
    resources_key = "builders"
    base_path = "/builders"
    _max_microversion = MICROVERSION

    allow_fetch = True
    allow_list = True

    id = resource.Body("id")
    name = resource.Body("name")
    #: False when the operator gives it no more builds.
    enabled = resource.Body("enabled", type=bool)
    #: True while the builder calls the conductor.
    alive = resource.Body("alive", type=bool)
    #: Machines that it can make images for.
    architectures = resource.Body("architectures", type=list)
    #: Builds that it runs at one time.
    slots = resource.Body("slots", type=int)
    #: Builds that it runs now.
    running = resource.Body("running", type=int)
    version = resource.Body("version")
    enrolled_at = resource.Body("enrolled_at")
    seen_at = resource.Body("seen_at")


class Element(resource.Resource):
    """One element that builders hold, found by its name."""

    resource_key = "element"
    resources_key = "elements"
    base_path = "/elements"
    _max_microversion = MICROVERSION

    allow_fetch = True
    allow_list = True

    name = resource.Body("name", alternate_id=True)
    #: SHA-256 of the element's tree.
    digest = resource.Body("digest")
    #: The first line of its README.
    summary = resource.Body("summary")
    #: Elements that come with it.
    dependencies = resource.Body("dependencies", type=list)
    #: What it stands for besides itself, such as ``operating-system``.
    provides = resource.Body("provides", type=list)
    #: Its hooks in each phase, when one element is asked for.
    hooks = resource.Body("hooks", type=dict)


class Event(resource.Resource):
    """One thing that a build said while it ran."""

    resources_key = "events"
    base_path = "/builds/%(build_id)s/events"
    _max_microversion = MICROVERSION
    _allow_unknown_attrs_in_body = True

    allow_list = True

    build_id = resource.URI("build_id")
    #: Grows with every event of the service.
    id = resource.Body("id", type=int)
    #: The attempt that said it, counted from 1.
    epoch = resource.Body("epoch", type=int)
    #: phase, hook, artefact, manifest, fault …
    kind = resource.Body("kind")
    time = resource.Body("time")
    phase = resource.Body("phase")
    element = resource.Body("element")
    hook = resource.Body("hook")
    #: start or end, of a phase or a hook.
    state = resource.Body("state")
    seconds = resource.Body("seconds")
    exit_code = resource.Body("exit_code")

    @property
    def facts(self) -> dict[str, Any]:
        """All that the event says besides its number, kind and time."""
        beside = {"id", "epoch", "kind", "time"}
        body = {**self._body.attributes, **self._unknown_attrs_in_body}
        return {k: v for k, v in body.items() if k not in beside}


@dataclasses.dataclass(frozen=True)
class LogChunk:
    """Bytes of a log; the next ones begin at ``next_offset``.

    ``complete``: the build has ended, no bytes will be added.
    """

    data: bytes
    next_offset: int
    complete: bool


class Proxy(proxy.Proxy):
    """What can be asked of the image build service."""

    api_version: ClassVar[Literal["1"]] = "1"

    _resource_registry = {  # noqa: RUF012 - as the SDK has it
        "build": Build,
        "builder": Builder,
        "element": Element,
    }

    def request(
        self, url: str, method: str, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """One request, with a deadline: a dead connection says nothing."""
        kwargs.setdefault("timeout", ANSWER_SECONDS)
        return super().request(url, method, *args, **kwargs)

    def create_build(self, **attrs: Any) -> Build:
        """Ask for a build, once, however often the answer gets lost.

        :raises ConflictException: ``id`` was given and names a build.
        """
        own = "id" not in attrs
        wanted = {"id": str(uuid.uuid4()), **attrs}
        patience = patience_lib.Patience(
            seconds=POST_SECONDS,
            outages=(502, 504),
            tell=lambda error: LOG.warning(
                "build %s: no answer, asking again", wanted["id"]
            ),
        )
        try:
            return patience.ask(lambda: self._create(Build, **wanted))
        except exceptions.ConflictException:
            if not own and not patience.tried:
                raise
            # An earlier try arrived although its answer did not; if the
            # conflict is about anything else, there is no such build.
            try:
                return self.get_build(wanted["id"])
            except exceptions.NotFoundException:
                pass
            raise

    def plan_build(self, **attrs: Any) -> dict[str, Any]:
        """What a build would run: its elements, phases and hooks."""
        response = self.post(
            "/builds",
            params={"dry_run": "true"},
            json={"build": attrs},
            microversion=self._microversion(),
        )
        exceptions.raise_from_response(response)
        plan: dict[str, Any] = response.json()["plan"]
        return plan

    def builds(self, **query: Any) -> Iterator[Build]:
        """Builds, newest first.

        ``state``, ``name``, ``all_projects``, ``marker``, ``limit`` (of one
        page) and ``max_items`` narrow what comes.
        """
        if query.pop("all_projects", False):
            query["all_projects"] = "true"
        return self._list(Build, **query)

    def get_build(self, build: str | Build) -> Build:
        """One build with its attempts, artefacts and publications.

        :raises NotFoundException: there is none that the caller may see.
        """
        return self._get(Build, build)

    def find_build(self, name_or_id: str) -> Build:
        """The build of that id, or the only one of that name.

        :raises NotFoundException: there is none that the caller may see.
        :raises DuplicateResource: several builds have the name.
        """
        # The SDK would look at any name as at an id first, and so go to
        # another address of the service with one such as "../elements".
        if UUID.fullmatch(name_or_id):
            return self._find(Build, name_or_id, ignore_missing=False)
        named = self.builds(name=name_or_id, max_items=2) if name_or_id else ()
        builds = list(named)
        if not builds:
            raise exceptions.NotFoundException(
                f"No Build found for {name_or_id or 'an empty name'}"
            )
        if len(builds) > 1:
            raise exceptions.DuplicateResource(
                f"More than one Build has the name '{name_or_id}': use an ID"
            )
        return builds[0]

    def cancel_build(self, build: str | Build) -> None:
        """Ask that a build stop; asking twice is harmless.

        :raises ConflictException: it has ended, or is being published.
        """
        response = self.post(
            f"/builds/{_id(build)}/cancel", microversion=self._microversion()
        )
        exceptions.raise_from_response(response)

    def delete_build(self, build: str | Build) -> None:
        """Forget an ended build, its log and events; its images stay.

        :raises ConflictException: it has not ended.
        :raises NotFoundException: there is none that the caller may see.
        """
        self._delete(Build, build, ignore_missing=False)

    def get_build_log(
        self, build: str | Build, *, offset: int = 0
    ) -> LogChunk:
        """Bytes of the log from ``offset``; no more than the API gives."""
        response = self.get(
            f"/builds/{_id(build)}/log",
            params={"offset": offset},
            headers={"Accept": "text/plain"},
            microversion=self._microversion(),
        )
        exceptions.raise_from_response(response)
        data = response.content
        return LogChunk(
            data=data,
            next_offset=int(
                response.headers.get("X-Log-Next-Offset", offset + len(data))
            ),
            complete=_true(response.headers.get("X-Log-Complete", "")),
        )

    def build_events(
        self, build: str | Build, **query: Any
    ) -> Iterator[Event]:
        """Events of a build, oldest first; ``marker`` is the last seen id."""
        return self._list(Event, build_id=_id(build), **query)

    def builders(self, **query: Any) -> Iterator[Builder]:
        """The enrolled builder hosts."""
        return self._list(Builder, **query)

    def get_builder(self, builder: str | Builder) -> Builder:
        """One builder host.

        :raises NotFoundException: there is none.
        """
        return self._get(Builder, builder)

    def elements(self, **query: Any) -> Iterator[Element]:
        """The elements that builders hold."""
        return self._list(Element, **query)

    def get_element(self, element: str | Element) -> Element:
        """One element.

        :raises NotFoundException: no builder holds it.
        """
        return self._get(Element, element)

    def _microversion(self) -> str | None:
        return Build._get_microversion(self)


class ImageBuildService(service_description.ServiceDescription[Proxy]):
    """How a connection finds the service: ``add_service`` takes this."""

    supported_versions = {"1": Proxy}  # noqa: RUF012 - as the SDK has it


def service() -> ImageBuildService:
    """The description to give to ``Connection.add_service``."""
    return ImageBuildService(SERVICE_TYPE)


def _id(build: str | Build) -> str:
    return build if isinstance(build, str) else str(build.id)


def _true(header: str) -> bool:
    return header.strip().lower() in ("true", "1", "yes")
