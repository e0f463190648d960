"""The door to the conductor, and the values that go through it."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

# Every value crosses as a dict of JSON types: to_dict() / from_dict().


@dataclasses.dataclass(frozen=True)
class Credential:
    """What proves a builder: its enrolled id and secret, and its session.

    A session is a UUID that the builder process chooses at its start.
    """

    builder_id: str
    secret: str
    session: str


@dataclasses.dataclass(frozen=True)
class Offer:
    """What a builder can do now; ``running`` are the builds it still has."""

    credential: Credential
    claim_id: str
    architectures: tuple[str, ...]
    running: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Claim:
    """One build, taken: ``spec`` is a BuildSpec as a dict."""

    build_id: str
    epoch: int
    secret: str
    lease_seconds: float
    spec: Mapping[str, Any]
    # The digests that the API pinned, by element name.
    elements: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Lease:
    """What goes with every call about a claimed build."""

    build_id: str
    epoch: int
    secret: str


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One file as the builder saw it; sizes in bytes."""

    format: str
    size: int
    virtual_size: int
    sha512: str


@dataclasses.dataclass(frozen=True)
class Upload:
    """Where one artefact goes: create the image with that id and put it."""

    format: str
    target: str
    image_id: str
    name: str
    disk_format: str
    container_format: str
    properties: Mapping[str, str]
    min_disk: int


@dataclasses.dataclass(frozen=True)
class UploadGrant:
    """A short-lived right to upload into the staging project."""

    token: str
    endpoint: str
    expires_at: float
    uploads: tuple[Upload, ...]


class ConductorAPI:
    """Asks of the conductor.

    1.0 - register, register_elements, claim, heartbeat, report, append_log,
          grant_upload, uploaded, fail
    """

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
        raise NotImplementedError

    def register_elements(
        self, credential: Credential, elements: Sequence[Mapping[str, Any]]
    ) -> None:
        """Describe the elements that ``register`` asked about."""
        raise NotImplementedError

    def claim(self, offer: Offer) -> Claim | None:
        """Take one build; asking again with the same claim id is harmless."""
        raise NotImplementedError

    def heartbeat(
        self, credential: Credential, leases: Sequence[Lease]
    ) -> Mapping[str, str]:
        """Renew the leases: ``{build id: "go" | "cancel" | "stale"}``."""
        raise NotImplementedError

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
        raise NotImplementedError

    def append_log(self, lease: Lease, sequence: int, data: bytes) -> None:
        """Store a chunk of the log, at most 64 KiB (zlib, base64 inside)."""
        raise NotImplementedError

    def grant_upload(
        self, lease: Lease, artefacts: Sequence[Artefact]
    ) -> UploadGrant:
        """The right to upload these artefacts, image ids stored beforehand."""
        raise NotImplementedError

    def uploaded(self, lease: Lease) -> None:
        """All bytes are in Glance: the conductor's publisher goes on."""
        raise NotImplementedError

    def fail(
        self, lease: Lease, fault: Mapping[str, Any], *, retry: bool
    ) -> None:
        """This attempt is over; ``retry`` when the build itself is not to
        blame. A cancelled build ends through here too (code "cancelled").
        """
        raise NotImplementedError
