"""What the API answers: each file in gabbits/ is one story."""

import pathlib
from typing import Any
import unittest

from gabbi import driver, handlers, suitemaker

from tests.functional import api, matrix

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
    )
    for role, story in matrix.stories():
        suite.addTest(
            suitemaker.test_suite_from_dict(
                loader,
                # The form of the other names, by which .stestr.conf keeps
                # a story together.
                f"test_api_matrix-{role}",
                story,
                str(STORIES),
                host="api.test",
                port=None,
                fixture_module=api,
                intercept=api.application,
                handlers=[each() for each in handlers.RESPONSE_HANDLERS],
            )
        )
    return suite
