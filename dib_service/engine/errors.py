"""What can go wrong in a build, grouped by whose turn it is."""

from collections.abc import Mapping
from typing import Any, ClassVar


class EngineError(Exception):
    """A build cannot go on; ``facts`` say what it was about.

    ``turn`` names who has to act: ``caller`` (the request is wrong),
    ``element`` (an element's author), ``operator`` (the builder host or what
    it reaches). ``code`` is a stable word for programs.
    """

    turn: ClassVar[str] = "operator"
    code: ClassVar[str] = "engine"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, Any] = facts

    def to_dict(self) -> dict[str, Any]:
        """The fault as it travels in an event: facts beside the sentence."""
        return {
            "code": self.code,
            "turn": self.turn,
            "message": self.message,
            **self.facts,
        }


class SpecError(EngineError):
    """A field of the request is wrong."""

    turn = "caller"
    code = "spec"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", field=field)


class ElementNotFound(EngineError):
    """An element that was asked for, or depended on, does not exist."""

    turn = "caller"
    code = "element-not-found"

    def __init__(self, name: str, needed_by: str | None = None) -> None:
        who = f" (needed by {needed_by})" if needed_by else ""
        super().__init__(
            f"element '{name}' not found{who}", element=name
        )


class AlreadyProvided(EngineError):
    """Two elements provide the same thing, or one was asked for twice."""

    turn = "caller"
    code = "already-provided"

    def __init__(self, name: str, providers: tuple[str, ...]) -> None:
        super().__init__(
            f"'{name}' is provided by more than one element: "
            f"{', '.join(providers)}; ask for one of them",
            provides=name,
            elements=list(providers),
        )


class NoOperatingSystem(EngineError):
    """No element of the image provides ``operating-system``."""

    turn = "caller"
    code = "no-operating-system"

    def __init__(self) -> None:
        super().__init__(
            "no base distribution element: include one that provides "
            "'operating-system', for example debian"
        )
