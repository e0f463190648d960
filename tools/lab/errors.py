"""What can go wrong while a lab is put up."""

import pathlib


class LabError(Exception):
    """A step failed; ``log`` is where the reader finds out why."""

    def __init__(
        self, message: str, *, log: pathlib.Path | None = None
    ) -> None:
        super().__init__(f"{message}; see {log}" if log else message)
        self.log = log
