"""The door to the conductor, and the values that go through it."""

import base64
from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any, Self
import zlib

from oslo_config import cfg
import oslo_messaging

from dib_service import rpc

TOPIC = "dib-conductor"
# Logs are bulk: nothing that is urgent may wait behind them.
LOG_TOPIC = "dib-conductor-log"
VERSION = "1.0"

LOG_CHUNK_BYTES = 64 * 1024


@dataclasses.dataclass(frozen=True)
class Value:
    """What crosses the wire as a dict of JSON types."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made; fields of newer versions are left."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(
            **{name: value for name, value in data.items() if name in names}
        )

    def to_dict(self) -> dict[str, Any]:
        """The form that crosses."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Credential(Value):
    """What proves a builder: its enrolled id and secret, and its session.

    A session is a UUID that the builder process chooses at its start.
    """

    builder_id: str
    secret: str
    session: str


@dataclasses.dataclass(frozen=True)
class Offer(Value):
    """What a builder can do now; ``running`` are the builds it still has."""

    credential: Credential
    claim_id: str
    architectures: tuple[str, ...]
    running: tuple[str, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made."""
        return cls(
            credential=Credential.from_dict(data["credential"]),
            claim_id=data["claim_id"],
            architectures=tuple(data["architectures"]),
            running=tuple(data["running"]),
        )


@dataclasses.dataclass(frozen=True)
class Claim(Value):
    """One build, taken: ``spec`` is a BuildSpec as a dict."""

    build_id: str
    epoch: int
    secret: str
    lease_seconds: float
    spec: Mapping[str, Any]
    # The digests that the API pinned, by element name.
    elements: Mapping[str, str]
    # Where the artefacts go.
    targets: tuple[str, ...] = ("glance",)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made."""
        targets = tuple(data.get("targets", cls.targets))
        return super().from_dict({**data, "targets": targets})


@dataclasses.dataclass(frozen=True)
class Lease(Value):
    """What goes with every call about a claimed build."""

    build_id: str
    epoch: int
    secret: str


@dataclasses.dataclass(frozen=True)
class Artefact(Value):
    """One file as the builder saw it; sizes in bytes.

    ``role``: ``image``, ``kernel`` or ``ramdisk``.
    """

    format: str
    size: int
    virtual_size: int
    sha512: str
    role: str = "image"


@dataclasses.dataclass(frozen=True)
class Upload(Value):
    """Where one artefact goes: create the image with that id and put it.

    ``min_disk`` in GiB, ``min_ram`` in MiB.
    """

    format: str
    target: str
    image_id: str
    name: str
    disk_format: str
    container_format: str
    properties: Mapping[str, str]
    min_disk: int
    role: str = "image"
    min_ram: int = 0
    tags: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made."""
        tags = tuple(data.get("tags", ()))
        return super().from_dict({**data, "tags": tags})


@dataclasses.dataclass(frozen=True)
class UploadGrant(Value):
    """A short-lived right to upload into one target's staging.

    ``kind``: ``glance``, whose endpoint takes the token, or ``directory``,
    whose endpoint is a folder on this host.
    """

    token: str
    endpoint: str
    expires_at: float
    uploads: tuple[Upload, ...]
    kind: str = "glance"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made."""
        return cls(
            token=data["token"],
            endpoint=data["endpoint"],
            expires_at=data["expires_at"],
            uploads=tuple(map(Upload.from_dict, data["uploads"])),
            kind=data.get("kind", cls.kind),
        )


class ConductorAPI:
    """Asks of the conductor.

    1.0 - register, register_elements, claim, heartbeat, report, append_log,
          grant_upload, revoke_upload, uploaded, gave_up, done, fail, wake,
          ping

    Beside what each method names, all of them raise Unauthorized or
    StaleClaim where credential or lease prove nothing, and
    oslo_messaging.MessagingException where nobody answers.
    """

    def __init__(self) -> None:
        self._calls = _client(TOPIC, cfg.CONF.messaging.call_timeout)
        self._logs = _client(LOG_TOPIC, cfg.CONF.messaging.call_timeout)

    def register(
        self,
        credential: Credential,
        *,
        version: str,
        slots: int,
        architectures: Sequence[str],
        elements: Mapping[str, str],
    ) -> Sequence[str]:
        """Say what this builder has; the digests nobody knows come back.

        A new session ends the leases of the old one at once.
        """
        unknown: list[str] = self._calls.call(
            {},
            "register",
            credential=credential.to_dict(),
            version=version,
            slots=slots,
            architectures=list(architectures),
            elements=dict(elements),
        )
        return unknown

    def register_elements(
        self, credential: Credential, elements: Sequence[Mapping[str, Any]]
    ) -> None:
        """Describe the elements that ``register`` asked about."""
        self._calls.call(
            {},
            "register_elements",
            credential=credential.to_dict(),
            elements=list(elements),
        )

    def claim(self, offer: Offer) -> Claim | None:
        """Take one build; asking again with the same claim id is harmless."""
        answer = self._calls.call({}, "claim", offer=offer.to_dict())
        return Claim.from_dict(answer) if answer else None

    def heartbeat(
        self, credential: Credential, leases: Sequence[Lease]
    ) -> Mapping[str, str]:
        """Renew the leases: ``{build id: "go" | "cancel" | "stale"}``."""
        answers: dict[str, str] = self._heartbeats.call(
            {},
            "heartbeat",
            credential=credential.to_dict(),
            leases=[lease.to_dict() for lease in leases],
        )
        return answers

    def report(
        self,
        lease: Lease,
        *,
        state: str,
        events: Sequence[Mapping[str, Any]],
        first_sequence: int,
    ) -> None:
        """Say where the build stands and what has happened since.

        :raises StaleClaim: the lease is no longer this builder's.
        """
        self._calls.call(
            {},
            "report",
            lease=lease.to_dict(),
            state=state,
            events=list(events),
            first_sequence=first_sequence,
        )

    def append_log(self, lease: Lease, sequence: int, data: bytes) -> None:
        """Store a chunk of the log, at most 64 KiB (zlib, base64 inside)."""
        self._logs.call(
            {},
            "append_log",
            lease=lease.to_dict(),
            sequence=sequence,
            data=packed(data),
        )

    def grant_upload(
        self,
        lease: Lease,
        artefacts: Sequence[Artefact],
        *,
        target: str,
        lost: Sequence[str] = (),
    ) -> UploadGrant:
        """The right to upload these artefacts, image ids stored beforehand.

        ``lost``: image ids granted before that the target cannot take any
        more; there are others for them in the answer. Asking again with the
        same words is harmless.

        :raises Unavailable: Keystone gives no token now, or the build's
            manifest was not reported yet.
        """
        answer = self._calls.call(
            {},
            "grant_upload",
            lease=lease.to_dict(),
            artefacts=[artefact.to_dict() for artefact in artefacts],
            target=target,
            lost=list(lost),
        )
        return UploadGrant.from_dict(answer)

    def revoke_upload(self, token: str, *, target: str) -> None:
        """Cast that a grant's token is not needed any more; it may be lost.

        :raises oslo_messaging.MessagingException: the broker is away.
        """
        self._calls.prepare(retry=0).cast(
            {}, "revoke_upload", token=token, target=target
        )

    def uploaded(self, lease: Lease, *, target: str) -> None:
        """All bytes are in that target: its publisher may go on."""
        self._calls.call({}, "uploaded", lease=lease.to_dict(), target=target)

    def gave_up(
        self, lease: Lease, *, target: str, fault: Mapping[str, Any]
    ) -> None:
        """The target does not take them; the other ones may."""
        self._calls.call(
            {},
            "gave_up",
            lease=lease.to_dict(),
            target=target,
            fault=dict(fault),
        )

    def done(self, lease: Lease) -> None:
        """Each target has the bytes or was given up: the lease ends."""
        self._calls.call({}, "done", lease=lease.to_dict())

    def fail(
        self, lease: Lease, fault: Mapping[str, Any], *, retry: bool
    ) -> None:
        """This attempt is over; ``retry`` when the build itself is not to
        blame. A cancelled build ends through here too (code "cancelled").
        """
        self._calls.call(
            {},
            "fail",
            lease=lease.to_dict(),
            fault=dict(fault),
            retry=retry,
        )

    def wake(self) -> None:
        """Cast that there is something new; it may be lost.

        :raises oslo_messaging.MessagingException: the broker is away.
        """
        # Without retry=0 a cast waits for a broker that is down.
        self._calls.prepare(retry=0).cast({}, "wake")

    def ping(self, host: str) -> None:
        """Hear from that very conductor."""
        self._heartbeats.prepare(server=host).call({}, "ping")

    @functools.cached_property
    def _heartbeats(self) -> oslo_messaging.RPCClient:
        # Connections of its own: a lease is not to be lost because all of
        # the others are waiting for something big.
        return _client(
            TOPIC,
            cfg.CONF.messaging.heartbeat_timeout,
            transport=rpc.new_transport(),
        )


def ring() -> None:
    """Wake the conductor after a commit; returns at once, may be lost."""
    _doorbell().ring()


def packed(data: bytes) -> str:
    """A chunk of the log as it crosses."""
    return base64.b64encode(zlib.compress(data)).decode()


def unpacked(text: str) -> bytes:
    """The chunk in ``packed`` text.

    :raises ValueError: it is none, or one that is too long.
    """
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(
            base64.b64decode(text, validate=True), LOG_CHUNK_BYTES + 1
        )
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(data) > LOG_CHUNK_BYTES:
        raise ValueError(f"more than {LOG_CHUNK_BYTES} bytes of log")
    if not inflate.eof:
        raise ValueError("a chunk of log that is cut short")
    return data


@functools.cache
def _doorbell() -> rpc.Doorbell:
    return rpc.Doorbell(
        lambda: ConductorAPI().wake(), delay=cfg.CONF.messaging.doorbell_delay
    )


def _client(
    topic: str,
    timeout: float,
    *,
    transport: oslo_messaging.Transport | None = None,
) -> oslo_messaging.RPCClient:
    return oslo_messaging.get_rpc_client(
        transport or rpc.transport(),
        oslo_messaging.Target(topic=topic, version=VERSION),
        timeout=timeout,
        # The timeout is for the answer alone: with the default, a call waits
        # for ever for a broker that is down. One more try there is, as the
        # first finds out that a connection has died.
        retry=1,
    )
