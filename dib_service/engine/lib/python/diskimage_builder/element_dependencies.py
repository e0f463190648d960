"""The elements of an image and where they are, by the engine's own rules."""

from collections.abc import Iterable
import logging
import os
from pathlib import Path
import sys

sys.path.append(str(Path(__file__).resolve().parents[5]))

from dib_service.engine import (
    catalogue,
    elements,
    environment,
    errors,
)

LOG = logging.getLogger(__name__)


class MissingElementException(Exception):
    """An element does not exist."""


class AlreadyProvidedException(Exception):
    """Two elements provide the same thing."""


class MissingOSException(Exception):
    """No element provides operating-system."""


class InvalidElementDir(Exception):
    """A directory that should hold elements does not exist."""


def get_elements(
    user_elements: Iterable[str], paths: str | None = None
) -> list[tuple[str, str]]:
    """The name and directory of each element that these make an image of.

    :raises MissingElementException: one does not exist.
    :raises AlreadyProvidedException: two provide the same thing.
    :raises MissingOSException: none is an operating system.
    :raises InvalidElementDir: one of the paths is no directory.
    """
    found = _get_elements(user_elements, paths)
    return [(each.name, str(each.directory)) for each in found]


def expand_dependencies(
    user_elements: Iterable[str], element_dirs: str
) -> set[str]:
    """Only their names."""
    return {each.name for each in _get_elements(user_elements, element_dirs)}


def _get_elements_dir() -> str:
    path = os.environ.get("ELEMENTS_PATH")
    if not path:
        raise InvalidElementDir("$ELEMENTS_PATH must be set.")
    return path


def _get_elements(
    user_elements: Iterable[str], paths: str | None = None
) -> tuple[elements.Found, ...]:
    try:
        shelf = elements.read(
            elements.parse_path(paths or _get_elements_dir())
        )
        known = {name: found.element for name, found in shelf.items()}
        chosen = catalogue.expand(user_elements, known)
    except errors.ElementPathError as exc:
        raise InvalidElementDir(
            f"ELEMENTS_PATH entry '{exc.facts['directory']}' is not a "
            "directory"
        ) from exc
    except errors.ElementNotFound as exc:
        raise MissingElementException(
            f"Element '{exc.facts['element']}' not found"
        ) from exc
    except errors.AlreadyProvided as exc:
        wanted, (first, second) = exc.facts["provides"], exc.facts["elements"]
        provider = second if first == wanted else first
        text = f"{wanted}: already provided by ['{provider}']"
        LOG.error(text.replace(":", " :", 1))
        raise AlreadyProvidedException(text) from exc
    except errors.NoOperatingSystem as exc:
        raise MissingOSException(str(exc)) from exc
    return tuple(shelf[each.name] for each in chosen)


def _output_env_vars(found: Iterable[elements.Found]) -> None:
    print(environment.evaluable(tuple(found)))
