"""What the metadata says of a service, as the file that oslo.config reads."""

from __future__ import annotations

import dataclasses
import grp
import os
from pathlib import Path
import re
from typing import Any

from last_mile.client import Machine, Refused
from metadata_reader import files

# What may stand in a file as the name of a section or an option.
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
KNOWN = ("transport_url", "auth", "options")
MODE = 0o640
HEAD = "# Written by last-mile at every boot.\n"

Sections = dict[str, dict[str, str]]


@dataclasses.dataclass(frozen=True)
class Service:
    """A service, and the file that counts more than the image's own.

    ``auth`` are its sections that have an account in Keystone; without the
    first of them it cannot do anything.
    """

    name: str
    file: Path
    group: str
    auth: tuple[str, ...] = ()

    def configure(self, said: dict[str, Any], machine: Machine) -> None:
        """Have it speak with this broker, as this account.

        :raises Refused: something of it is wrong or missing.
        """
        try:
            found = sections(said, self.auth)
            missing = self._missing(found)
            if missing:
                raise Refused(f"nobody says {', '.join(missing)}")
        except Refused:
            files.remove(self.file)
            raise
        files.write(
            self.file,
            HEAD + rendered(found),
            mode=MODE,
            owner=(os.geteuid(), grp.getgrnam(self.group).gr_gid),
        )

    def forget(self, machine: Machine) -> None:
        """Have nobody to speak with; the machine goes on without it."""
        files.remove(self.file)
        missing = ", ".join(self._missing({}))
        machine.say.note(f"{self.name} is not started: nobody says {missing}")

    def configured(self) -> bool:
        """Whether an earlier boot left it with a broker."""
        return self.file.exists()

    def _missing(self, found: Sections) -> list[str]:
        """What it needs and is not said."""
        needed = [("DEFAULT", "transport_url")]
        needed += [(section, "auth_url") for section in self.auth[:1]]
        return [
            f"[{section}] {option}"
            for section, option in needed
            if not found.get(section, {}).get(option)
        ]


def sections(said: dict[str, Any], auth: tuple[str, ...]) -> Sections:
    """The sections of the file; those in ``auth`` have the account.

    :raises Refused: what is said has not the form that the README shows.
    """
    if unknown := sorted(set(said) - set(KNOWN)):
        raise Refused(f"it has no {', '.join(unknown)}")
    found: Sections = {}
    if "transport_url" in said:
        url = {"transport_url": said["transport_url"]}
        found["DEFAULT"] = values(url, "DEFAULT")
    account = values(mapping(said.get("auth", {}), "auth"), "auth")
    if account:
        for section in auth:
            found[section] = {"auth_type": "password", **account}
    for section, options in mapping(
        said.get("options", {}), "options"
    ).items():
        named(section)
        found.setdefault(section, {}).update(
            values(mapping(options, section), section)
        )
    return found


def values(options: dict[str, Any], section: str) -> dict[str, str]:
    """The options with their values as text.

    :raises Refused: one has a name or a value that no file can have.
    """
    return {
        named(option): text(value, f"[{section}] {option}")
        for option, value in options.items()
    }


def text(value: object, what: str) -> str:
    """The value on one line; no message has it, it may be a secret.

    :raises Refused: it is no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise Refused(f"{what} is neither text nor a number")
    if not str(value).isprintable():
        raise Refused(f"{what} is not one line of text")
    return str(value)


def named(name: str) -> str:
    """The name of a section or an option.

    :raises Refused: it is none.
    """
    if not NAME.fullmatch(name):
        raise Refused(f"nothing can be called {name!r}")
    return name


def mapping(value: Any, what: str) -> dict[str, Any]:
    """The value, which is an object.

    :raises Refused: it is something else.
    """
    if not isinstance(value, dict) or not all(
        isinstance(key, str) for key in value
    ):
        raise Refused(f"{what} is not an object")
    return value


def rendered(found: Sections) -> str:
    """The sections as a file.

    Each value is read as it is: in quotes, of which oslo.config takes one
    pair away, and without its variables.
    """
    lines = []
    for section, options in found.items():
        lines += ["", f"[{section}]"]
        for option, value in options.items():
            literal = value.replace("$", "$$")
            lines.append(f'{option} = "{literal}"')
    return "\n".join([*lines, ""])
