"""Telling the conductor that there is something new in the queue."""

from dib_service.conductor import rpcapi


def ring() -> None:
    """Ring, and go on whatever comes of it.

    The build is in the database already: a ring that is lost costs some
    seconds, until a builder looks by itself.
    """
    ring_ = getattr(rpcapi, "ring", None)
    if ring_ is not None:
        ring_()
