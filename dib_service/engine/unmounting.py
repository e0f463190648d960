"""What a person has unmounted beside what the engine has mounted itself.

``EXTRA_DETACH`` and ``EXTRA_UNMOUNT`` are diskimage-builder's: commands for
whoever has mounted or attached something of their own for their hooks.
"""

from collections.abc import Iterator, Mapping
import contextlib
from pathlib import Path

from dib_service.engine import errors, events, process

DETACH = "EXTRA_DETACH"
UNMOUNT = "EXTRA_UNMOUNT"


def run_extra(
    names: tuple[str, ...],
    surroundings: Mapping[str, str] | None,
    *,
    cwd: Path,
    say: events.Say,
) -> None:
    """Run those of the commands that there are.

    :raises errors.CommandError: one failed.
    """
    # Nobody else's environment says what runs on a builder.
    given = surroundings or {}
    for name in names:
        if given.get(name):
            process.stream(
                ("bash", "-c", given[name]),
                lambda text: say("line", text=text),
                env=given,
                cwd=cwd,
            )


@contextlib.contextmanager
def in_any_case(
    surroundings: Mapping[str, str] | None, *, cwd: Path, say: events.Say
) -> Iterator[None]:
    """Run both also where a build does not get that far."""
    try:
        yield
    except errors.EngineError:
        # What is to be said in the end is why the build failed.
        with contextlib.suppress(errors.CommandError):
            run_extra((DETACH, UNMOUNT), surroundings, cwd=cwd, say=say)
        raise
