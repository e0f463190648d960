"""What is said of one service, as the file that oslo.config reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import re
from typing import Any

# What may stand in a file as the name of a section or an option.
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
KNOWN = ("transport_url", "auth", "options")

Sections = dict[str, dict[str, str]]


class Refused(Exception):
    """What is said cannot be written; no value of it is in the message."""


@dataclasses.dataclass(frozen=True)
class Service:
    """One service; ``folder`` is below the root and there if the service is.

    ``auth`` are its sections that have an account in Keystone; without the
    first of them it cannot do anything.
    """

    name: str
    folder: Path
    group: str
    auth: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """What comes from the cloud, after the image's own configuration."""
        return self.folder / "50-cloud.conf"

    def missing(self, sections: Sections) -> list[str]:
        """What it needs and is not said."""
        needed = [("DEFAULT", "transport_url")]
        needed += [(section, "auth_url") for section in self.auth[:1]]
        return [
            f"[{section}] {option}"
            for section, option in needed
            if not sections.get(section, {}).get(option)
        ]


SERVICES = (
    Service(
        name="nova-compute",
        folder=Path("etc/nova/nova.conf.d"),
        group="nova",
        auth=("placement", "neutron", "cinder", "service_user"),
    ),
    Service(
        name="neutron-openvswitch-agent",
        folder=Path("etc/neutron/neutron.conf.d"),
        group="neutron",
    ),
)


def sections(service: Service, said: Any) -> Sections:
    """The sections of the service's file.

    :raises Refused: what is said has not the form that the README shows.
    """
    said = mapping(said, service.name)
    if unknown := sorted(set(said) - set(KNOWN)):
        raise Refused(f"{service.name} has no {', '.join(unknown)}")
    found: Sections = {}
    if "transport_url" in said:
        found["DEFAULT"] = values(
            {"transport_url": said["transport_url"]}, "DEFAULT"
        )
    account = values(mapping(said.get("auth", {}), "auth"), "auth")
    if account and service.auth:
        for section in service.auth:
            found[section] = {"auth_type": "password", **account}
        found["service_user"].update(
            values({"send_service_user_token": True}, "service_user")
        )
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
    """The value on one line.

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


def rendered(sections: Sections) -> str:
    """The sections as a file.

    Each value is read as it is: in quotes, of which oslo.config takes one
    pair away, and without its variables.
    """
    lines = []
    for section, options in sections.items():
        lines += ["", f"[{section}]"]
        for option, value in options.items():
            literal = value.replace("$", "$$")
            lines.append(f'{option} = "{literal}"')
    return "\n".join([*lines, ""])
