"""The machine's name, and where it stands in /etc/hosts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import re
import socket
from typing import Any

from metadata_reader import files

HOSTNAME = Path("/etc/hostname")
HOSTS = Path("/etc/hosts")

MARK = "# metadata-init"
# Debian's address for a machine's own name.
OWN = "127.0.1.1"
BASIS = """\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""

LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# The kernel's limit, and DNS's.
LONGEST, LONGEST_QUALIFIED = 64, 253


class Malformed(Exception):
    """It is no name for a machine."""


def named(meta_data: Mapping[str, Any]) -> str | None:
    """The name, with its domain if it has one; nothing if none is told.

    :raises Malformed: what is told is none.
    """
    found = meta_data.get("hostname") or meta_data.get("name")
    if found is None or found == "":
        return None
    text = found.rstrip(".") if isinstance(found, str) else ""
    labels = text.split(".")
    if len(text) > LONGEST_QUALIFIED or not all(
        LABEL.fullmatch(label) for label in labels
    ):
        raise Malformed(f"{str(found)[:80]!r} is no host name")
    return text


def take(name: str, *, qualified: bool) -> None:
    """Be called that; ``qualified`` is whether with the domain."""
    short = name.partition(".")[0]
    own = name if qualified and len(name) <= LONGEST else short
    files.write(HOSTNAME, f"{own}\n", mode=0o644)
    socket.sethostname(own)
    before = BASIS
    if HOSTS.exists():
        # As it is read it is written: comments are in any encoding.
        before = HOSTS.read_text(errors="surrogateescape")
    after = hosts(before, name).encode(errors="surrogateescape")
    files.write(HOSTS, after, mode=0o644)


def hosts(before: str, name: str) -> str:
    """/etc/hosts with this name in place of the one it had."""
    short = name.partition(".")[0]
    names = short if short == name else f"{name} {short}"
    kept = [
        line
        for line in before.splitlines()
        if MARK not in line and line.split()[:1] != [OWN]
    ]
    return "\n".join([f"{OWN} {names} {MARK}", *kept]) + "\n"
