"""The log of a build: bytes over all its attempts, stored in chunks."""


def read(build_id: str, *, offset: int, limit: int) -> bytes:
    """At most ``limit`` bytes from ``offset``; empty at or past the end."""
    raise NotImplementedError


def size(build_id: str) -> int:
    """Bytes stored so far."""
    raise NotImplementedError


def append(build_id: str, epoch: int, sequence: int, data: bytes) -> None:
    """Store one chunk; the same (epoch, sequence) again changes nothing."""
    raise NotImplementedError
