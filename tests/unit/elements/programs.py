"""What elements bring to a machine as Python modules, to be imported here."""

import contextlib
import os
import pathlib
import sys
import tempfile
from types import ModuleType
import unittest
from unittest import mock

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"
PLACE = "static/usr/lib/last-mile"


@contextlib.contextmanager
def importable(*elements: str):
    """With the modules of these elements on the path.

    They leave no bytecode: what lies in an element goes into images.
    """
    before, written = list(sys.path), sys.dont_write_bytecode
    sys.path[:0] = [str(ELEMENTS / name / PLACE) for name in elements]
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:] = before
        sys.dont_write_bytecode = written


class Place(unittest.TestCase):
    """Tests with a directory of their own, ``place``."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name).resolve()

    def patch(self, where, attribute, value):
        """Have this there until the test ends."""
        patch = mock.patch.object(where, attribute, value)
        patch.start()
        self.addCleanup(patch.stop)

    def own_files(self, files: ModuleType):
        """Have files written as the test's own user's, whoever runs it."""
        write = files.write
        self.patch(
            files,
            "write",
            lambda *args, owner=None, **more: write(
                *args, owner=(os.getuid(), os.getgid()), **more
            ),
        )
