"""The library of the element persistent-state, for tests."""

from collections.abc import Iterator
import contextlib
import pathlib
import sys
from unittest import mock

LIBRARY = (
    pathlib.Path(__file__).parents[3]
    / "elements/persistent-state/static/usr/local/lib"
)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Imports from the element, into which nothing may be written."""
    with (
        mock.patch.object(sys, "dont_write_bytecode", True),
        mock.patch.object(sys, "path", [str(LIBRARY), *sys.path]),
    ):
        yield
