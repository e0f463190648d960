"""What a command prints: values for a reader in tables, plain in JSON."""

from collections.abc import Iterable, Mapping, Sequence
import re
import textwrap
from typing import Any

from cliff import columns

from dib_service.client import progress, sdk

DIGEST = re.compile(r"[0-9a-f]{64,}")

# What is left of an 80-column terminal beside two short columns.
PROSE_WIDTH = 46

Row = tuple[Any, ...]
Table = tuple[Sequence[str], Iterable[Row]]
Card = tuple[Sequence[str], Row]


class Lines(columns.FormattableColumn[Sequence[Any] | None]):
    """A list, one item on each line."""

    def human_readable(self) -> str:
        """The table's cell."""
        return "\n".join(_one_line(item) for item in self._value or ())

    def machine_readable(self) -> list[Any]:
        """The list."""
        return list(self._value or ())


class Words(columns.FormattableColumn[Sequence[str] | None]):
    """A short list on one line."""

    def human_readable(self) -> str:
        """The table's cell."""
        return ", ".join(str(word) for word in self._value or ())

    def machine_readable(self) -> list[str]:
        """The list."""
        return list(self._value or ())


class Facts(columns.FormattableColumn[Mapping[str, Any] | None]):
    """Facts by name, one on each line; lists stand below their name."""

    def human_readable(self) -> str:
        """The table's cell."""
        lines: list[str] = []
        for name, value in (self._value or {}).items():
            if isinstance(value, list) and value:
                lines.append(f"{name}:")
                lines.extend(f"  {_one_line(item)}" for item in value)
            else:
                lines.append(f"{name}: {_one_line(value)}")
        return "\n".join(lines)

    def machine_readable(self) -> dict[str, Any] | None:
        """The facts; None where there is nothing to have any."""
        return None if self._value is None else dict(self._value)


class Prose(columns.FormattableColumn[str]):
    """A sentence, in a table on as many lines as it takes."""

    def human_readable(self) -> str:
        """The table's cell."""
        # A command without spaces around it is to be copied in one piece.
        return textwrap.fill(
            progress.printable(self._value),
            PROSE_WIDTH,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def machine_readable(self) -> str:
        """The sentence."""
        return self._value


class Phases(columns.FormattableColumn[Sequence[Mapping[str, Any]] | None]):
    """The phases of a plan, with their hooks below each."""

    def human_readable(self) -> str:
        """The table's cell."""
        lines: list[str] = []
        for phase in self._value or ():
            where = "in the image" if phase.get("inside") else "on the host"
            lines.append(f"{phase['phase']} ({where})")
            lines.extend(
                f"  {hook['element']}: {hook['hook']}"
                for hook in phase.get("hooks", ())
            )
        return "\n".join(lines)

    def machine_readable(self) -> list[Any]:
        """The phases."""
        return list(self._value or ())


def build_card(build: sdk.Build) -> Card:
    """All that is known of a build."""
    card = {
        "id": build.id,
        "name": build.name,
        "state": build.state,
        "phase": build.phase,
        "image_ids": Words(build.image_ids),
        "fault": Facts(build.fault),
        "elements": Words(build.elements),
        "skip_base": build.skip_base,
        "boot_test": build.boot_test,
        "architecture": build.architecture,
        "formats": Words(build.formats),
        "disk_size_gib": build.disk_size_gib,
        "environment": Facts(build.environment),
        "proxy": Facts(build.proxy),
        "ssh_keys": Lines(build.ssh_keys),
        "image": Facts(build.image),
        "resolved_elements": Lines(build.resolved_elements),
        "attempts": Lines(build.attempts),
        "artefacts": Lines(build.artefacts),
        "publications": Lines(build.publications),
        "cancel_requested": build.cancel_requested,
        "request_id": build.request_id,
        "project_id": build.project_id,
        "user_id": build.user_id,
        "created_at": build.created_at,
        "updated_at": build.updated_at,
        "ended_at": build.ended_at,
    }
    return tuple(card), tuple(card.values())


def plan_card(plan: dict[str, Any]) -> Card:
    """What a build would run."""
    return ("elements", "phases"), (
        Lines(plan["elements"]),
        Phases(plan["phases"]),
    )


def _one_line(value: Any) -> str:
    if isinstance(value, Mapping):
        # A fault within a row: its sentence says what its facts say.
        if "message" in value:
            return _one_line(value["message"])
        given = (
            f"{k}={_one_line(v)}" for k, v in value.items() if v is not None
        )
        return ", ".join(given)
    if value is None or value == []:
        return "-"
    text = progress.printable(str(value))
    # Whoever compares digests reads JSON.
    return f"{text[:12]}…" if DIGEST.fullmatch(text) else text
