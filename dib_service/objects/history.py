"""What became of a build: its attempts, artefacts and publications."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any


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


@dataclasses.dataclass(frozen=True)
class Publication:
    """Where an artefact went: one image in one target."""

    epoch: int
    format: str
    target: str
    image_id: str
    state: str


def attempts(build_id: str) -> Sequence[Attempt]:
    """All attempts, first to last."""
    raise NotImplementedError


def artefacts(build_id: str) -> Sequence[Artefact]:
    """The artefacts of the last attempt."""
    raise NotImplementedError


def publications(build_id: str) -> Sequence[Publication]:
    """The publications of the last attempt."""
    raise NotImplementedError
