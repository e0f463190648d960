"""Keeps secrets out of what a build says.

Hooks need a password and may show it: a shell that traces itself does. So
the values of variables that look like secrets by their names, and the
passwords in URLs, are taken out of every line on its way to the log.
"""

from collections.abc import Iterator, Mapping
import re
from typing import Any

from dib_service.engine import events

# A word of the name says what it is: DIB_RHSM_PASSWORD, REG_ACTIVATION_KEY;
# but not DIB_AUTHORIZED_KEYS or DIB_APT_KEYRING, which are places.
SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?"
    r"|KEY)(?:_|$)",
    re.IGNORECASE,
)
IN_URL = re.compile(r"(://[^\s/:@]*:)([^\s/@]+)@")

# Shorter ones are in half of all words: hiding them would hide the log, and
# tell where they are.
SHORTEST = 4

# Some variables say with such a name whether there is a secret.
NO_SECRET = frozenset({"false", "none", "true"})

INSTEAD = "***"

# What is text of others in an event; the rest are names of ours.
TEXTS = frozenset({"text", "message", "last_lines", "words"})


class Teller:
    """Says events without the secrets that it has learned of."""

    def __init__(self, say: events.Say) -> None:
        self._say = say
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def __call__(self, kind: str, **facts: Any) -> None:
        """Say it."""
        self._say(
            kind,
            **{
                name: self._redacted(value) if name in TEXTS else value
                for name, value in facts.items()
            },
        )

    def learn(self, environment: Mapping[str, str]) -> None:
        """Never say the secrets among these variables."""
        found = set(secrets(environment))
        if not found <= self._secrets:
            self._secrets |= found
            # The longest first: one may be a part of another.
            ordered = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._redacted(each) for each in value]
        if isinstance(value, str) and self._pattern:
            return self._pattern.sub(INSTEAD, value)
        return value


def is_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    return bool(SECRET_NAME.search(name))


def without_passwords(value: str) -> str:
    """A value that may be a URL, without the password in it."""
    return IN_URL.sub(rf"\1{INSTEAD}@", value)


def secrets(environment: Mapping[str, str]) -> Iterator[str]:
    """What must not be said of these variables, piece by piece."""
    for name, value in environment.items():
        found = [password for _, password in IN_URL.findall(value)]
        if is_secret(name):
            # A log has one line at a time.
            found += [line.strip() for line in value.splitlines()]
        for text in found:
            if len(text) >= SHORTEST and text.lower() not in NO_SECRET:
                yield text
                # As a shell that traces itself writes it.
                yield text.replace("'", "'\\''")
