"""The role matrix leaves no route out."""

import re
import unittest

from dib_service.api import routes
from tests.functional import matrix


class MatrixTest(unittest.TestCase):
    """The table against the routes."""

    def test_every_route_is_asked(self) -> None:
        asked = matrix.routes()
        for path, known in routes.ROUTES.items():
            if path in routes.PUBLIC:
                continue
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
            for method in known:
                with self.subTest(method=method, path=path):
                    self.assertTrue(
                        any(
                            method == each and pattern.fullmatch(address)
                            for each, address in asked
                        )
                    )
