"""A build: what was asked for, where it stands, and the moves it may make."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Self

from dib_service import context as context_lib

STATES = (
    "queued",
    "building",
    "verifying",
    "publishing",
    "complete",
    "failed",
    "cancelled",
)
ENDED = ("complete", "failed", "cancelled")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What was asked for, checked by the API; sizes in bytes."""

    elements: tuple[str, ...]
    formats: tuple[str, ...]
    architecture: str
    environment: Mapping[str, str]
    disk_size: int | None
    skip_base: bool
    image_name: str
    visibility: str
    properties: Mapping[str, str]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_dict`` made."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The form that is stored."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Build:
    """One row, as it was when it was read. Times: seconds since the epoch."""

    id: str
    project_id: str
    user_id: str
    request_id: str | None
    name: str
    state: str
    wanted: Wanted
    elements: Mapping[str, str]
    architecture: str
    created_at: float
    updated_at: float
    ended_at: float | None
    fault: Mapping[str, Any] | None
    cancel_requested: bool
    release_decided: bool
    epoch: int

    @classmethod
    def create(
        cls,
        context: context_lib.RequestContext,
        wanted: Wanted,
        elements: Mapping[str, str],
        *,
        name: str,
        build_id: str | None = None,
    ) -> Self:
        """A new build in state ``queued``, committed.

        :raises BuildExists: when ``build_id`` names one already.
        """
        raise NotImplementedError

    @classmethod
    def get(cls, build_id: str, *, project_id: str | None = None) -> Self:
        """The build; ``project_id`` hides those of other projects.

        :raises NotFound: no such build, or another project's.
        """
        raise NotImplementedError

    @classmethod
    def list(
        cls,
        *,
        project_id: str | None = None,
        state: str | None = None,
        name: str | None = None,
        limit: int,
        marker: str | None = None,
    ) -> Sequence[Self]:
        """Builds, newest first, at most ``limit``, after build ``marker``.

        :raises NotFound: when the marker is not among them.
        """
        raise NotImplementedError

    def request_cancel(self) -> Self:
        """The build, cancelled if nobody holds it, else asked to be.

        Repeating it is harmless.

        :raises Conflict: it has ended, or its release is decided.
        """
        raise NotImplementedError

    def delete(self) -> None:
        """Forget an ended build with its log and events; images stay.

        :raises Conflict: it has not ended.
        """
        raise NotImplementedError
