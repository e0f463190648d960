"""Single values of the metadata, checked: text, numbers, words, addresses."""

from __future__ import annotations

from collections.abc import Mapping
import ipaddress
import re
from typing import Any, Union

from metadata_reader.data import shown

# Python 3.9 has no "|" for these.
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007

MOST = 256
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


def text(value: object) -> str:
    """Without spaces around it; nothing where it is no text."""
    return value.strip() if isinstance(value, str) else ""


def called(each: Mapping[str, Any]) -> str:
    """The id of one object, to be shown to a person."""
    return shown(repr(each.get("id")), 60)


def several(each: Mapping[str, Any], key: str) -> list[Any]:
    """A list; an empty one where it is none."""
    found = each.get(key)
    return found[:MOST] if isinstance(found, list) else []


def mac(value: object) -> str:
    """An Ethernet address in small letters.

    :raises ValueError: it is none.
    """
    found = text(value).lower()
    if not MAC.fullmatch(found):
        raise ValueError(f"{shown(repr(value), 60)} is no MAC address")
    return found


def number(
    each: Mapping[str, Any], key: str, least: int, most: int
) -> int | None:
    """A whole number in these bounds; nothing where nothing is said.

    :raises ValueError: it is none.
    """
    value = each.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{key} is {shown(repr(value), 60)}")
    return value


def choice(
    each: Mapping[str, Any], key: str, among: tuple[str, ...]
) -> str | None:
    """One of some words; a number is its place among them, as the kernel's.

    :raises ValueError: it is none of them.
    """
    value = each.get(key)
    if value is None or value == "":
        return None
    if value in among:
        return str(value)
    if str(value) in map(str, range(len(among))):
        return among[int(value)]
    raise ValueError(f"{key} is {shown(repr(value), 60)}")


def address(value: object) -> Address:
    """An IP address.

    :raises ValueError: it is none.
    """
    return ipaddress.ip_address(unscoped(value))


def unscoped(value: object) -> str:
    """An address's text without a zone: that may be any text, lines of it.

    :raises ValueError: it has one.
    """
    found = text(value)
    if "%" in found:
        raise ValueError(f"{shown(repr(found), 60)} has a zone")
    return found
