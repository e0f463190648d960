"""What was read, as values."""

from __future__ import annotations

import base64
from collections.abc import Callable
import dataclasses
import json
from pathlib import Path
from typing import Any

from metadata_reader import files

# What was read in this boot, for whoever comes later in it. It is gone with
# the power: the next boot reads anew.
KEPT = Path("/run/last-mile/metadata.json")

# Nova gives 64 KiB of user data, and some pages of JSON.
LONGEST = 4 << 20

# What there is of any machine.
MACHINE = "meta_data.json"
DOCUMENTS = (
    MACHINE,
    "network_data.json",
    "vendor_data.json",
    "vendor_data2.json",
)
USER_DATA = "user_data"

# One file of the metadata by its name; nothing where there is none, and a
# ValueError where it is there and does not come.
Fetch = Callable[[str], "bytes | None"]


class Unreadable(Exception):
    """A data source is there, and what it says is not understood."""


@dataclasses.dataclass(frozen=True)
class Metadata:
    """All that one data source says.

    ``documents`` are the JSON objects by their names; ``broken`` says of
    others, and of user data, why they are not. What is in neither was not
    there.
    """

    source: str
    documents: dict[str, dict[str, Any]]
    user_data: bytes = b""
    broken: dict[str, str] = dataclasses.field(default_factory=dict)

    def document(self, name: str) -> dict[str, Any]:
        """One of them; empty if it is not there or no use."""
        return self.documents.get(name, {})

    def to_json(self) -> str:
        """The form that ``from_json`` reads."""
        return json.dumps(
            {
                "source": self.source,
                "documents": self.documents,
                "user_data": base64.b64encode(self.user_data).decode(),
                "broken": self.broken,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """The metadata in its JSON form."""
        data = json.loads(text)
        return cls(
            source=data["source"],
            documents=data["documents"],
            user_data=base64.b64decode(data["user_data"]),
            broken=data["broken"],
        )


def gather(source: str, fetch: Fetch) -> Metadata:
    """What the source says; ``fetch`` gets one file of it.

    :raises Unreadable: what it says of this machine is no use.
    """
    documents, broken = {}, {}
    for name in DOCUMENTS:
        try:
            content = fetch(name)
            if content is not None:
                documents[name] = parsed(content)
        except ValueError as exc:
            broken[name] = str(exc)
    if MACHINE not in documents:
        why = broken.get(MACHINE, "is not there")
        raise Unreadable(f"{source}: {MACHINE} {why}")
    user_data = b""
    try:
        user_data = fetch(USER_DATA) or b""
    except ValueError as exc:
        broken[USER_DATA] = str(exc)
    return Metadata(source, documents, user_data, broken)


def parsed(content: bytes) -> dict[str, Any]:
    """A JSON object.

    :raises ValueError: it is none, with a reason that can be shown.
    """
    try:
        data = json.loads(content)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as exc:
        raise ValueError(f"is not JSON: {shown(exc)}") from None
    if not isinstance(data, dict):
        raise ValueError("is not a JSON object")
    return data


def keep(metadata: Metadata) -> None:
    """Put it where only root finds it, until the next boot."""
    KEPT.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    files.write(KEPT, metadata.to_json(), mode=0o600)


def kept() -> Metadata | None:
    """What was read earlier in this boot."""
    try:
        return Metadata.from_json(KEPT.read_text())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def shown(value: object, most: int = 200) -> str:
    """A stranger's words as they may stand in a log: short, on one line."""
    text = "".join(
        letter if letter.isprintable() else "?" for letter in str(value)
    )
    return text if len(text) <= most else f"{text[:most]}…"
