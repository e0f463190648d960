"""What the image says: who its user is, and what runs its network."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

# Written when the image is built; an operator may change it.
FILE = Path("/etc/metadata-init.json")


@dataclasses.dataclass(frozen=True)
class Settings:
    """``seconds`` is how long a metadata service may take to answer."""

    user: str
    groups: tuple[str, ...] = ()
    comment: str = ""
    network: str = "networkd"
    seconds: float = 60.0
    qualified: bool = False

    @classmethod
    def read(cls, path: Path = FILE) -> Settings:
        """The settings in that file."""
        data = json.loads(path.read_text())
        return cls(
            user=data["user"],
            groups=tuple(data["groups"]),
            comment=data["comment"],
            network=data["network"],
            seconds=float(data["seconds"]),
            qualified=bool(data["qualified"]),
        )
