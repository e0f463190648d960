"""A builder host: enrolled by the operator, alive while it calls."""

from collections.abc import Sequence
import dataclasses
from typing import Self


@dataclasses.dataclass(frozen=True)
class Builder:
    """One enrolled builder. ``alive``: it called within ``alive_seconds``."""

    id: str
    name: str
    enabled: bool
    alive: bool
    architectures: tuple[str, ...]
    slots: int
    running: int
    version: str | None
    enrolled_at: float
    seen_at: float | None

    @classmethod
    def enrol(cls, name: str) -> tuple[Self, str]:
        """A new builder and its secret, which is shown once and stored hashed.

        :raises Conflict: the name is taken.
        """
        raise NotImplementedError

    @classmethod
    def get(cls, builder_id: str) -> Self:
        """The builder of that id or name.

        :raises NotFound: when there is none.
        """
        raise NotImplementedError

    @classmethod
    def list(
        cls, *, limit: int, marker: str | None = None
    ) -> Sequence[Self]:
        """Builders by name, at most ``limit``, after builder ``marker``."""
        raise NotImplementedError
