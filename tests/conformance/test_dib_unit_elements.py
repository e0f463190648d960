"""Element resolution passes the tests that diskimage-builder has for its."""

import unittest

from tests.conformance import shim_elements

theirs = shim_elements.their_tests()


class Dependencies(theirs.TestElementDeps):
    """Which elements an image is made of, and from which directory."""


class Path(theirs.TestElements):
    """Where elements are looked for."""


class Count(unittest.TestCase):
    def test_theirs_are_as_many_as_we_know(self):
        loader = unittest.TestLoader()
        found = [
            loader.loadTestsFromTestCase(each).countTestCases()
            for each in (Dependencies, Path)
        ]
        self.assertEqual([16, 2], found)
