"""The API's stack for tests of it, with nobody to ask who asks."""

from typing import Any

import falcon.testing
import fixtures
from oslo_config import fixture as config_fixture

from dib_service import conf, policies
from dib_service.api import app


class Stack(fixtures.Fixture):
    """``client`` sends requests; ``config`` changes options before that."""

    def _setUp(self) -> None:
        self.useFixture(fixtures.FakeLogger())
        self.config = self.useFixture(config_fixture.Config(conf.CONF))
        conf.CONF([], default_config_files=[], default_config_dirs=[])
        self.config.config(group="api", auth_strategy="noauth")
        policies.reset()
        self.addCleanup(policies.reset)

    @property
    def client(self) -> falcon.testing.TestClient:
        """A client of a stack that is made with the options of now."""
        stack = app.application(conf.CONF)

        def call(environ: Any, start_response: Any) -> Any:
            return stack(environ, start_response)

        return falcon.testing.TestClient(call)
