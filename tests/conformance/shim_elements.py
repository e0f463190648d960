"""diskimage-builder's tests of element dependencies, over this engine.

Its own test module is read from where it is installed, and finds the
engine's resolver under the name of the one that it tests.
"""

import importlib.util
from pathlib import Path
import sys
from types import ModuleType
from unittest import mock

from dib_service.engine import hooks
from tests.conformance import peer

PACKAGE = "diskimage_builder"


def their_tests() -> ModuleType:
    """The test module, whose ``element_dependencies`` is ours."""
    path = peer.package() / "tests/test_elementdeps.py"
    with (
        mock.patch.object(sys, "path", [str(hooks.LIB / "python"), *sys.path]),
        mock.patch.dict(sys.modules),
    ):
        found = importlib.util.spec_from_file_location("their_tests", path)
        assert found and found.loader
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        ours = Path(str(sys.modules[PACKAGE].__file__))
    assert ours.is_relative_to(hooks.LIB), ours
    return module
