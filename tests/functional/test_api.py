"""What the API answers: each file in gabbits/ is one story."""

import pathlib
from typing import Any
import unittest

from gabbi import driver

from tests.functional import api

STORIES = pathlib.Path(__file__).parent / "gabbits"


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: Any
) -> unittest.TestSuite:
    """The requests of all stories as tests, in the order of each story."""
    suite: unittest.TestSuite = driver.build_tests(
        str(STORIES),
        loader,
        host=None,
        intercept=api.application,
        fixture_module=api,
        test_loader_name=__name__,
    )
    return suite
