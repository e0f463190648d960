"""Where images go is known when the configuration has been read."""

import pathlib

import fixtures
from oslo_config import cfg
from oslo_config import fixture as config_fixture
import testtools

from dib_service import conf


class TargetsTest(testtools.TestCase):
    """As a file says it."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(config_fixture.Config(conf.CONF))
        folder = self.useFixture(fixtures.TempDir()).path
        self.file = pathlib.Path(folder, "dib-service.conf")

    def read(self, targets: str) -> list[str]:
        self.file.write_text(f"[publish]\ntargets = {targets}\n")
        conf.read(["--config-file", str(self.file)], prog="dib-api")
        found: list[str] = conf.CONF.publish.targets
        return found

    def test_they_are_read_in_their_order(self) -> None:
        self.assertEqual(["west", "glance"], self.read("west, glance"))

    def test_no_place_at_all_is_refused(self) -> None:
        for nothing in ("", " "):
            error = self.assertRaises(
                cfg.ConfigFileValueError, self.read, nothing
            )
            self.assertIn("[publish] targets names no place", str(error))

    def test_what_no_request_can_name_is_refused(self) -> None:
        for names in ("glance,we/st", "x" * 65, "glance, glance"):
            self.assertRaises(cfg.ConfigFileValueError, self.read, names)
