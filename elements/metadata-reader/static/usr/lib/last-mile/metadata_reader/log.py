"""What is said to whoever looks at the journal or at the console."""

from __future__ import annotations

import sys

# systemd reads them at the start of a line; the console gets the last two.
NOTICE, WARNING, ERROR = "<5>", "<4>", "<3>"


class Log:
    """Says lines, and remembers whether one of them was an error."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def note(self, line: str) -> None:
        """Say what was done."""
        self._say(NOTICE, line)

    def warn(self, line: str) -> None:
        """Say what somebody may not have meant."""
        self.warnings.append(line)
        self._say(WARNING, f"warning: {line}")

    def error(self, line: str) -> None:
        """Say what is wrong."""
        self.errors.append(line)
        self._say(ERROR, f"error: {line}")

    def _say(self, level: str, line: str) -> None:
        print(f"{level}{line}", file=sys.stderr, flush=True)
