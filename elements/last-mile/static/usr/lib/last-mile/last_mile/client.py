"""What the modules that know a client have in common.

Each is called as its section is, and has ``configure(section, machine)``,
``forget(machine)`` for a machine without one, and ``configured(machine)``,
whether an earlier boot left it with a server. It is a module of the package
``last_mile_clients``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
import pwd
import re
import shutil
import ssl
from types import ModuleType
from typing import Any

from metadata_reader import files
from metadata_reader.data import shown
from metadata_reader.log import Log

HOST = re.compile(
    r"(?=.{1,253}$)(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*"
    r"|[0-9A-Fa-f:]{2,39}"
)
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
PEM = re.compile(
    r"(?:-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+"
    r"-----END CERTIFICATE-----\s*)+"
)
PUBLIC_KEY = re.compile(
    r"-----BEGIN (RSA )?PUBLIC KEY-----\s[A-Za-z0-9+/=\s]+"
    r"-----END (RSA )?PUBLIC KEY-----\s*"
)


class Refused(Exception):
    """What is asked is not done, for this reason."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """This machine, of which ``mark`` says that a service may start."""

    mark: Path
    say: Log

    def ready(self) -> None:
        """Let the service's unit start."""
        files.write(self.mark, "", mode=0o644)

    def again(self, client: ModuleType) -> None:
        """Go on with the server that an earlier boot left, if one did."""
        if client.configured(self):
            self.ready()

    def write(
        self, path: Path, content: str, *, mode: int = 0o644, user: str = ""
    ) -> bool:
        """Have this file; whether it is new. It may be a user's."""
        owner = files.ROOT
        if user:
            with contextlib.suppress(KeyError):
                found = pwd.getpwnam(user)
                owner = found.pw_uid, found.pw_gid
        new = [each for each in path.parents if not each.exists()]
        for folder in reversed(new):
            folder.mkdir(mode=0o755)
            if user:
                os.chown(folder, *owner)
        return files.write(path, content, mode=mode, owner=owner)

    def remove(self, *paths: Path) -> None:
        """Have none of these files or directories."""
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                files.remove(path)


def word(
    section: dict[str, Any],
    key: str,
    rule: re.Pattern[str] = WORD,
    default: str | None = None,
) -> str | None:
    """A plain word of a section, which may stand in any file.

    No message has it: it may be a secret, or have one in it.

    :raises Refused: it is none.
    """
    value = section.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or not rule.fullmatch(value):
        raise Refused(f"{key} is not of the form that it has to have")
    return value


def host(section: dict[str, Any], key: str) -> str:
    """The server's name or address.

    :raises Refused: it is none, or not there.
    """
    found = word(section, key, HOST)
    if not found:
        raise Refused(f"it has no {key}")
    return found


def port(section: dict[str, Any], key: str, default: int) -> int:
    """A TCP port.

    :raises Refused: it is none.
    """
    value = section.get(key, default)
    if type(value) is not int or not 0 < value < 65536:
        raise Refused(f"{key} is {shown(repr(value), 80)}")
    return value


def flag(section: dict[str, Any], key: str) -> bool:
    """Whether something is asked for.

    :raises Refused: it is neither true nor false.
    """
    value = section.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key} is neither true nor false")
    return value


def certificates(section: dict[str, Any], key: str) -> str | None:
    """Certificates in PEM.

    :raises Refused: they are none.
    """
    value = section.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not PEM.fullmatch(value.strip()):
        raise Refused(f"{key} is no certificate in PEM")
    try:
        ssl.create_default_context(cadata=value)
    except (ssl.SSLError, ValueError) as exc:
        raise Refused(f"{key}: {shown(exc)}") from None
    return value.strip() + "\n"


def public_key(section: dict[str, Any], key: str) -> str | None:
    """A public key in PEM.

    :raises Refused: it is none.
    """
    value = section.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not PUBLIC_KEY.fullmatch(value.strip()):
        raise Refused(f"{key} is no public key in PEM")
    return value.strip() + "\n"


def check_trust(section: dict[str, Any], *known: object, what: str) -> bool:
    """Whether the first answer is to be trusted, which has to be asked for.

    :raises Refused: there is no key, and nobody asks for that.
    """
    blind = flag(section, "trust_on_first_use")
    if not any(known) and not blind:
        raise Refused(
            f"without {what} its server could be anybody's; "
            '"trust_on_first_use": true is for who wants that'
        )
    return blind
