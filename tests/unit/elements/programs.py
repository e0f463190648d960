"""What elements bring to a machine as Python modules, to be imported here."""

import contextlib
import pathlib
import sys

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
