"""What a conductor answers: the calls of builders, and of the API."""

from collections.abc import Callable, Mapping, Sequence
import random
from typing import Any, TypeVar

from oslo_config import cfg
from oslo_log import log
import oslo_messaging

from dib_service import exception
from dib_service.builder import rpcapi as builder_rpcapi
from dib_service.conductor import cloud, rpcapi, scheduler, uploads
from dib_service.engine import catalogue, spec
from dib_service.objects import build as builds
from dib_service.objects import (
    element,
    event,
    history,
    local_config,
    queue,
    release,
    staging,
)
from dib_service.objects import lease as lease_lib
from dib_service.objects.builder import Builder
from dib_service.publish import target as targets

LOG = log.getLogger(__name__)

Json = Mapping[str, Any]

Method = TypeVar("Method", bound=Callable[..., Any])


def answered(method: Method) -> Method:
    """Our own errors are answers: they are not logged as the server's."""
    wrapped: Method = oslo_messaging.expected_exceptions(
        exception.DibServiceError
    )(method)
    return wrapped


class Endpoint:
    """What builders and APIs may ask; see rpcapi.ConductorAPI."""

    target = oslo_messaging.Target(version=rpcapi.VERSION)

    def __init__(
        self,
        *,
        cloud: cloud.Cloud,
        bell: "Bell",
        publish_soon: Callable[[str], None],
    ) -> None:
        self._cloud = cloud
        self._bell = bell
        self._publish_soon = publish_soon

    @answered
    def register(
        self,
        context: Json,
        *,
        credential: Json,
        version: str,
        slots: int,
        architectures: list[str],
        elements: dict[str, str],
    ) -> Sequence[str]:
        """Know the builder and its elements; end its old session."""
        known, session = _caller(credential)
        known.register(
            session=session,
            version=version,
            slots=slots,
            architectures=architectures,
            elements=elements,
        )
        ended = lease_lib.end_other_sessions(known.id, session)
        LOG.info(
            "builder %s: registered with %d elements; %d leases of its "
            "earlier session ended",
            known.name,
            len(elements),
            ended,
        )
        return element.unknown(elements)

    @answered
    def register_elements(
        self, context: Json, *, credential: Json, elements: list[Json]
    ) -> None:
        """Know what the elements are."""
        _caller(credential)
        element.register([*map(catalogue.Element.from_dict, elements)])

    @answered
    def claim(self, context: Json, *, offer: Json) -> Json | None:
        """Give the builder one build."""
        offered = rpcapi.Offer.from_dict(offer)
        known, session = _caller(offered.credential.to_dict())
        known.seen()
        if session != known.session:
            # Its successor has registered, or it has not yet itself.
            raise exception.StaleClaim(
                f"builder {known.name}: session {session} is not registered"
            )
        lease_lib.end_forgotten(
            known.id, session, offered.claim_id, offered.running
        )
        taken = self._take(known, offered)
        return _claim(taken).to_dict() if taken else None

    def _take(
        self, known: Builder, offered: rpcapi.Offer
    ) -> lease_lib.Taken | None:
        holder = lease_lib.Holder(
            builder_id=known.id,
            name=known.name,
            session=offered.credential.session,
            secret=offered.credential.secret,
        )
        taken = lease_lib.taken(holder, offered.claim_id)
        if taken is not None or not known.enabled:
            return taken
        for candidate in _ranked(known, offered.architectures):
            taken = lease_lib.take(candidate, holder, offered.claim_id)
            if taken is not None:
                LOG.info(
                    "build %s: attempt %d on builder %s",
                    taken.build.id,
                    taken.build.epoch,
                    known.name,
                )
                return taken
        return None

    @answered
    def heartbeat(
        self, context: Json, *, credential: Json, leases: list[Json]
    ) -> Mapping[str, str]:
        """Renew leases."""
        known, _ = _caller(credential)
        known.seen()
        return lease_lib.renew([*map(_proof, leases)])

    @answered
    def report(
        self,
        context: Json,
        *,
        lease: Json,
        state: str,
        events: list[Json],
        first_sequence: int,
    ) -> None:
        """Store what has happened."""
        lease_lib.report(
            _proof(lease),
            state=state,
            events=events,
            first_sequence=first_sequence,
        )

    @answered
    def grant_upload(
        self,
        context: Json,
        *,
        lease: Json,
        artefacts: list[Json],
        target: str,
        lost: list[str],
    ) -> Json:
        """Let the builder upload; the image ids are stored first."""
        manifest = _manifest(lease)
        build = staging.grant(
            _proof(lease),
            [
                history.Artefact(
                    epoch=lease["epoch"],
                    format=artefact["format"],
                    size=artefact["size"],
                    virtual_size=artefact["virtual_size"],
                    sha512=artefact["sha512"],
                    role=artefact.get("role", "image"),
                )
                for artefact in artefacts
                if uploads.published(artefact.get("role", "image"), manifest)
            ],
            target=target,
            lost=lost,
        )
        right = self._right(target)
        LOG.info("build %s: upload to %s granted", build.id, target)
        images = release.images(build, target)
        return rpcapi.UploadGrant(
            token=right.token,
            endpoint=right.endpoint,
            expires_at=right.expires_at,
            uploads=tuple(
                uploads.upload(build, staged, manifest, images)
                for staged in images
            ),
            kind=right.kind,
        ).to_dict()

    def _right(self, target: str) -> targets.Right:
        """A new right to upload there.

        :raises Unavailable: Keystone or the catalog does not give it.
        """
        try:
            return self._cloud.target(target).right()
        except targets.ERRORS as error:
            # The text has addresses, and this is told to who asked.
            LOG.error("no right to upload to %s: %s", target, error)
            raise exception.Unavailable(
                f"no right to upload to {target} can be had now"
            ) from error

    def revoke_upload(self, context: Json, *, token: str, target: str) -> None:
        """End a token before its time."""
        self._cloud.target(target).revoke(token)

    @answered
    def uploaded(self, context: Json, *, lease: Json, target: str) -> None:
        """Go on with what is uploaded there."""
        staging.uploaded(_proof(lease), target)
        self._publish_soon(target)

    @answered
    def gave_up(
        self, context: Json, *, lease: Json, target: str, fault: Json
    ) -> None:
        """Know that nothing is uploaded there."""
        LOG.info(
            "build %s: %s: %s",
            *(lease["build_id"], target, fault.get("message")),
        )
        staging.gave_up(_proof(lease), target, fault)

    @answered
    def done(self, context: Json, *, lease: Json) -> None:
        """Take the build over from its builder."""
        staging.done(_proof(lease))

    @answered
    def fail(
        self, context: Json, *, lease: Json, fault: Json, retry: bool
    ) -> None:
        """End an attempt."""
        LOG.info(
            "build %s: attempt %d failed: %s",
            lease["build_id"],
            lease["epoch"],
            fault.get("message"),
        )
        lease_lib.fail(_proof(lease), fault, retry=retry)

    def wake(self, context: Json) -> None:
        """Something is new: somebody may be waiting to hear of it."""
        self._bell.ring()

    def ping(self, context: Json) -> None:
        """The broker brought it here."""


class LogEndpoint:
    """The bulk, on a topic of its own."""

    target = oslo_messaging.Target(version=rpcapi.VERSION)

    @answered
    def append_log(
        self, context: Json, *, lease: Json, sequence: int, data: str
    ) -> None:
        """Store a chunk of a log."""
        try:
            text = rpcapi.unpacked(data)
        except ValueError as error:
            raise exception.BadRequest(str(error)) from error
        lease_lib.append_log(_proof(lease), sequence, text)


class Bell:
    """Wakes the builders that have something to do."""

    def __init__(self, builders: builder_rpcapi.BuilderAPI) -> None:
        self._builders = builders

    def ring(self) -> None:
        """Wake who holds what is to be cancelled, and who could take more."""
        chosen = set(lease_lib.to_be_told())
        idle = [found.id for found in Builder.idle()]
        # By chance, so that not the same one is always asked first.
        random.shuffle(idle)
        chosen.update(idle[: queue.waiting()])
        for builder_id in chosen:
            self._builders.wake(builder_id)


def _caller(credential: Json) -> tuple[Builder, str]:
    """The builder that calls, and its session.

    :raises Unauthorized: the credential proves nothing.
    """
    known = rpcapi.Credential.from_dict(credential)
    return Builder.authenticated(known.builder_id, known.secret), known.session


def _proof(data: Json) -> lease_lib.Proof:
    return lease_lib.Proof(
        build_id=data["build_id"], epoch=data["epoch"], secret=data["secret"]
    )


def _manifest(lease: Json) -> Json:
    """What the attempt has made, in the engine's words.

    :raises Unavailable: that has not come here yet.
    :raises StaleClaim: nor will it, as somebody else has the build.
    """
    said = event.last(lease["build_id"], lease["epoch"], "manifest")
    if said is None:
        lease_lib.check(_proof(lease))
        # Without it, a partition would be published as a whole disk.
        raise exception.Unavailable(
            f"build {lease['build_id']}: its manifest has not arrived yet"
        )
    manifest: Json = said.get("manifest", {})
    return manifest


def _ranked(
    known: Builder, architectures: Sequence[str]
) -> Sequence[queue.Candidate]:
    settings = cfg.CONF.conductor
    found = queue.candidates(
        known.id, architectures, limit=settings.candidates
    )
    if not found:
        return ()
    return scheduler.choose(
        found,
        queue.running_by_project(),
        builder_id=known.id,
        other_builders=[other.id for other in Builder.idle()],
        other_host_seconds=settings.other_host_seconds,
    )


def _claim(taken: lease_lib.Taken) -> rpcapi.Claim:
    build = taken.build
    return rpcapi.Claim(
        build_id=build.id,
        epoch=build.epoch,
        secret=taken.secret,
        lease_seconds=taken.lease_seconds,
        spec=_spec(build).to_dict(),
        elements=build.elements,
        targets=build.wanted.targets,
    )


def _spec(build: builds.Build) -> spec.BuildSpec:
    wanted = build.wanted
    return spec.BuildSpec(
        elements=wanted.elements,
        # What makes no disk image is asked for none; its hooks still find
        # the disk that they would have.
        formats=wanted.formats or spec.BuildSpec.formats,
        architecture=wanted.architecture,
        environment={**wanted.environment, **_local(build)},
        disk_size=wanted.disk_size,
        skip_base=wanted.skip_base,
        boot_test=wanted.boot_test,
    )


def _local(build: builds.Build) -> dict[str, str]:
    """What the element local-config is told, whoever wants it."""
    if local_config.ELEMENT not in build.elements:
        return {}
    return local_config.variables(build.wanted.proxy, build.wanted.ssh_keys)
