"""Say what came of it: on the console, in the journal, to programs."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import json
import pathlib
import sys
from typing import Any

RUN = pathlib.Path("/run/persistent-state")
MOTD = pathlib.Path("/run/motd.d/persistent-state")
CONSOLE = pathlib.Path("/dev/console")
# systemd takes these from the beginning of a line.
CRITICAL, NOTICE = "<2>", "<5>"


def say(text: str) -> None:
    """Tell whoever reads the journal."""
    print(f"{NOTICE}persistent-state: {text}", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Tell whoever sees the machine boot, too."""
    print(f"{CRITICAL}persistent-state: {text}", file=sys.stderr, flush=True)
    # A machine may have no console.
    with (
        contextlib.suppress(OSError),
        CONSOLE.open("w", errors="replace") as console,
    ):
        console.write(f"\r\npersistent-state: {text}\r\n")


def write(
    *,
    state: str,
    code: str,
    device: str,
    kept: Sequence[str],
    why: str,
    missed: Sequence[str] = (),
) -> None:
    """Leave it for programs, and a marker if the machine is degraded.

    ``state`` is ``kept``, ``made`` or ``degraded``; ``missed`` are the
    registered files that could not be put back.
    """
    RUN.mkdir(exist_ok=True)
    (RUN / "status.json").write_text(
        json.dumps(
            {
                "state": state,
                "code": code,
                "device": device,
                "kept": list(kept),
                "why": why,
                "missed": list(missed),
            }
        )
        + "\n"
    )
    if state == "degraded":
        (RUN / "degraded").write_text(f"{why}\n", errors="replace")
        with contextlib.suppress(OSError):
            MOTD.parent.mkdir(exist_ok=True)
            MOTD.write_text(
                f"DEGRADED, without persistent state: {why}\n",
                errors="replace",
            )


def hold_root() -> None:
    """Have the root filesystem stay as small as it is, in this boot."""
    RUN.mkdir(exist_ok=True)
    (RUN / "hold-root").touch()


def read() -> dict[str, Any]:
    """What was written last; empty if nothing was."""
    try:
        said: dict[str, Any] = json.loads((RUN / "status.json").read_text())
    except (OSError, ValueError):
        return {}
    return said
