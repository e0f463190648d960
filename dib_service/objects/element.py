"""The elements that builders have registered, each pinned by its digest."""

from collections.abc import Mapping, Sequence

from dib_service.engine import catalogue


def registered() -> Mapping[str, catalogue.Element]:
    """The elements on enabled builders, by name.

    Of a name with several digests, the one that most builders hold.
    """
    raise NotImplementedError


def unknown(digests: Sequence[str]) -> Sequence[str]:
    """Those digests of which nothing is stored yet."""
    raise NotImplementedError


def register(elements: Sequence[catalogue.Element]) -> None:
    """Store what the digests stand for; repeating it is harmless."""
    raise NotImplementedError
