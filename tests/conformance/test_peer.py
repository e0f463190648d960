"""The peer is the one that is meant."""

import subprocess
import unittest

from tests.conformance import peer


class PeerTest(unittest.TestCase):
    def test_its_version(self) -> None:
        listed = subprocess.run(
            [peer.venv() / "bin/pip", "freeze"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        self.assertIn(f"diskimage-builder=={peer.VERSION}", listed)

    def test_its_elements(self) -> None:
        found = [
            path.name
            for path in peer.elements().iterdir()
            if (path / "README.rst").exists()
        ]
        self.assertEqual(128, len(found))
