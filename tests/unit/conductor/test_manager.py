"""What a conductor needs to start."""

from oslo_config import fixture as config_fixture
import testtools

from dib_service.conductor import cloud, manager
from dib_service.conf import CONF


class StartTest(testtools.TestCase):
    def test_a_target_that_is_not_configured_is_told_at_once(self) -> None:
        config = self.useFixture(config_fixture.Config(CONF))
        config.config(targets=["glance", "west"], group="publish")
        error = self.assertRaises(
            cloud.Unknown, manager.ConductorService("conductor-1").start
        )
        self.assertIn("[publish:west] lacks cloud", str(error))
