"""What may stand on the command line, checked before anything is sent."""

import argparse
from collections.abc import Sequence
import re
from typing import Any, cast

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The characters that break a line in somebody's shell or log.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def variable(text: str) -> tuple[str, str]:
    """The name and value in ``NAME=VALUE``; the value may be empty.

    :raises ArgumentTypeError: when it is not of that form.
    """
    name, value = _split(text, "NAME=VALUE, for example DIB_RELEASE=bookworm")
    if not ENVIRONMENT_NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{name!r} cannot be a variable's name: use letters, digits "
            "and underscores"
        )
    return name, value


def image_property(text: str) -> tuple[str, str]:
    """The name and value in ``KEY=VALUE``; the value may be empty.

    :raises ArgumentTypeError: when it is not of that form.
    """
    name, value = _split(text, "KEY=VALUE, for example os_distro=debian")
    if CONTROL.search(name) or CONTROL.search(value):
        raise argparse.ArgumentTypeError(
            f"{name!r}: control characters have no place in a property"
        )
    return name, value


def _split(text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return name, value


def proxy(text: str) -> str:
    """The URL of a proxy that everybody may know.

    :raises ArgumentTypeError: when it has a user or a password, which then
        stays here.
    """
    if "@" in text:
        raise argparse.ArgumentTypeError(
            "the proxy's URL holds a user name or a password, and everybody "
            "who has the image could read it; only a proxy that needs none "
            "can be used"
        )
    return text


def gibibytes(text: str) -> int:
    """A size in whole GiB.

    :raises ArgumentTypeError: when it is no positive whole number.
    """
    return _whole(text, 1, "a whole number of GiB, 1 or more")


def count(text: str) -> int:
    """How many, at least one.

    :raises ArgumentTypeError: when it is no positive whole number.
    """
    return _whole(text, 1, "a whole number, 1 or more")


def position(text: str) -> int:
    """A number of bytes, or of an event.

    :raises ArgumentTypeError: when it is no whole number from 0.
    """
    return _whole(text, 0, "a whole number, 0 or more")


def reference(text: str) -> str:
    """A name or an id, which an empty variable of a script is not.

    :raises ArgumentTypeError: when it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no name and no ID")
    return text


def node(text: str) -> str:
    """A node's name or id; Ironic's names are such as hosts may have.

    :raises ArgumentTypeError: when it would be another path in Ironic's API.
    """
    if re.search(r"[/?#\s]", text) or text in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"{text!r} is no node's name or ID")
    return text


def _whole(text: str, least: int, form: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return int(text)


class Collect(argparse.Action):
    """Gathers pairs into a dict; a name given twice is an error."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add one pair.

        :raises ArgumentError: when its name is there already.
        """
        # With no nargs, argparse gives us what ``type`` made of the text.
        name, value = cast(tuple[str, str], values)
        # A new dict each time: the default is shared by all parsers.
        pairs = dict(getattr(namespace, self.dest, None) or {})
        if name in pairs:
            raise argparse.ArgumentError(self, f"{name!r} is given twice")
        pairs[name] = value
        setattr(namespace, self.dest, pairs)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Those values that were given: the service decides on the others."""
    return {k: v for k, v in values.items() if v is not None}
