"""Break points: a command between two phases, or when a hook has failed.

The names are diskimage-builder's: ``break`` lists the points (before-install,
after-install, after-error), ``break_cmd`` is the command (a shell), and
``break_outside_target`` has it run on the host where a phase is in the
chroot. Only a person's own environment sets them, never a request.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Self

from dib_service.engine import errors, process, terminal

AFTER_ERROR = "after-error"
SHELL = "bash"


@dataclasses.dataclass(frozen=True)
class Breaks:
    """Where a build stops for a while, and what is done there.

    ``screen`` is a descriptor of the person's terminal, if there is one.
    """

    points: frozenset[str] = frozenset()
    command: str = SHELL
    outside: bool = False
    screen: int | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str], screen: int | None) -> Self:
        """Those that an environment asks for."""
        return cls(
            points=frozenset(
                filter(None, environment.get("break", "").split(","))
            ),
            command=environment.get("break_cmd") or SHELL,
            outside=bool(environment.get("break_outside_target")),
            screen=screen,
        )

    def reach(
        self,
        point: str,
        entering: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        tell: Callable[[str], object],
    ) -> None:
        """Do what is to be done at a point; ``entering`` leads to its place.

        :raises errors.BreakFailed: the command did.
        """
        if point not in self.points:
            return
        if self.command == SHELL and self.screen is None:
            tell(
                f"warning: break point {point}: no terminal for a shell, "
                "and no break_cmd"
            )
            return
        tell(f"at break point {point}: {self.command}")
        words = (*entering, SHELL)
        if self.command != SHELL:
            words = (*words, "-c", self.command)
        try:
            if self.screen is None:
                process.stream(words, tell, env=environment, cwd=cwd)
            else:
                terminal.run(words, self.screen, env=environment, cwd=cwd)
        except errors.CommandError as exc:
            # A person's shell ends with whatever they did last in it.
            if self.command != SHELL:
                raise errors.BreakFailed(point, exc) from exc
        tell(f"going on after break point {point}")
