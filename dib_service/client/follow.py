"""Following a build to its end: its state and events, or its log."""

from collections.abc import Callable, Iterator, Sequence

from dib_service.client import patience as patience_lib
from dib_service.client import sdk

STATE_SECONDS = 2.0
LOG_SECONDS = 1.0

Tell = Callable[[sdk.Build, Sequence[sdk.Event]], None]


def to_the_end(
    client: sdk.Proxy,
    build: sdk.Build,
    *,
    tell: Tell,
    patience: patience_lib.Patience,
) -> sdk.Build:
    """The build when it has ended; ``tell`` hears what is new on the way.

    :raises Exception: the API could not be reached for too long.
    """
    seen: int | None = None
    build_id = build.id
    while True:
        # The build first: then the events of one that has ended are all.
        build = patience.ask(lambda: client.get_build(build_id))
        for events in _new_events(client, build, seen, patience):
            seen = events[-1].id
            tell(build, events)
        tell(build, ())
        if build.ended:
            return build
        patience.sleep(STATE_SECONDS)


def _new_events(
    client: sdk.Proxy,
    build: sdk.Build,
    seen: int | None,
    patience: patience_lib.Patience,
) -> Iterator[Sequence[sdk.Event]]:
    while True:
        after = {} if seen is None else {"marker": seen}
        events = patience.ask(
            lambda after=after: list(  # type: ignore[misc]
                client.build_events(build, **after)
            )
        )
        if not events:
            return
        seen = events[-1].id
        yield events


def log(
    client: sdk.Proxy,
    build_id: str,
    *,
    offset: int = 0,
    keep_on: bool = False,
    patience: patience_lib.Patience,
) -> Iterator[bytes]:
    """The log from ``offset``: what is there, or with ``keep_on`` to its end.

    A cut connection is taken up again at the byte where it was cut.

    :raises Exception: the API could not be reached for too long.
    """
    while True:
        chunk = patience.ask(
            lambda at=offset: client.get_build_log(  # type: ignore[misc]
                build_id, offset=at
            )
        )
        if chunk.data:
            yield chunk.data
            offset = chunk.next_offset
        elif chunk.complete or not keep_on:
            return
        else:
            patience.sleep(LOG_SECONDS)
