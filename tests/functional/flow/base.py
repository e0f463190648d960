"""Objects, conductor and builder in one process, as all-in-one has them.

The API's handlers are left out: what they do to a build is one call each,
``Build.create`` and ``request_cancel``, and then the doorbell.
"""

import contextlib
import pathlib
import tempfile
import threading
from typing import Any
import unittest
from unittest import mock

import fixtures
from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslo_log import log as oslo_log

from dib_service import conf as conf_lib
from dib_service import rpc
from dib_service.builder import child, reporter, uploading
from dib_service.builder import manager as builder_manager
from dib_service.cmd import all_in_one
from dib_service.conductor import manager as conductor_manager
from dib_service.conductor import rpcapi
from dib_service.objects import event, history, log
from dib_service.objects.build import ENDED, Build
from dib_service.objects.builder import Builder
from tests import database
from tests.functional.flow import fake_glance
from tests.functional.flow.fake_glance import wait_until

ENGINE = pathlib.Path(__file__).parent / "fake-engine"

# Digests as fake-engine tells them.
ELEMENTS = {"base": "b" * 64, "debian": "d" * 64}


class FlowTest(fixtures.TestWithFixtures, unittest.TestCase):
    """One conductor, one builder, one Glance, all of them to be troubled."""

    slots = 1

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        self.state = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        )
        self.glance = self.enterContext(fake_glance.FakeGlance())
        self.configure()
        for module, name, seconds in (
            (reporter, "SPACING_SECONDS", 0.05),
            (reporter, "LONGEST_PAUSE_SECONDS", 0.2),
            (uploading, "FIRST_PAUSE_SECONDS", 0.05),
            (child, "GRACE_SECONDS", 0.3),
            (builder_manager, "FENCE_TICK_SECONDS", 0.05),
        ):
            self.enterContext(mock.patch.object(module, name, seconds))
        self.enrolment = all_in_one.enrolled(cfg.CONF)
        self.conductor = self.start_conductor()
        self.builder = self.start_builder()

    def configure(self) -> None:
        """The options, of which seconds are tenths here."""
        if "log_dir" not in cfg.CONF:
            oslo_log.register_options(cfg.CONF)
        cfg.CONF([], default_config_files=[], default_config_dirs=[])
        self.config = self.useFixture(config_fixture.Config(conf_lib.CONF))
        all_in_one.set_defaults(cfg.CONF)
        self.addCleanup(rpc.forget_transport)
        rpc.forget_transport()
        self.config.config(
            group="builder",
            state_path=str(self.state),
            slots=self.slots,
            engine_command=str(ENGINE),
            poll_interval=0.2,
            heartbeat_interval=0.2,
            upload_pause=0.1,
            upload_stuck=0.2,
            hide=[],
        )
        self.config.config(
            group="conductor",
            retry_delay=0.05,
            other_host_seconds=0.0,
            reap_interval=0.2,
            publish_interval=0.2,
            publish_retry_max=0.2,
            sweep_interval=0.2,
            sweep_grace=0.0,
        )
        self.config.config(
            group="messaging",
            call_timeout=2.0,
            heartbeat_timeout=1.0,
            doorbell_delay=0.01,
        )
        for group in ("glance", "glance_upload"):
            self.config.config(
                group=group,
                auth_type="none",
                endpoint_override=self.glance.endpoint,
            )

    def start_conductor(self) -> conductor_manager.ConductorService:
        service = conductor_manager.ConductorService("conductor-1")
        service.start()
        self.addCleanup(self.stop, service)
        return service

    def start_builder(self) -> builder_manager.BuilderService:
        service = builder_manager.BuilderService(
            cfg.CONF, credential=self.enrolment
        )
        service.start()
        self.addCleanup(self.stop, service)
        wait_until(lambda: Builder.get(self.enrolment[0]).session)
        return service

    def stop(self, service: Any) -> None:
        """End a service; it may have been ended before."""
        with contextlib.suppress(RuntimeError):
            service.stop()
            service.wait()

    def gate(self, name: str) -> pathlib.Path:
        """A file that a build waits for; touch it to let it go on."""
        gate = self.state / name
        self.addCleanup(gate.touch)
        return gate

    def ask(self, fake: str = "well", **environment: str) -> Build:
        """A new build, asked for as the API does it."""
        build = Build.create(
            database.asker(),
            database.wanted(environment={"DIB_FAKE": fake, **environment}),
            ELEMENTS,
            name="debian",
        )
        rpcapi.ring()
        return build

    def cancel(self, build: Build) -> None:
        """As the API does it."""
        Build.get(build.id).request_cancel()
        rpcapi.ring()

    def wait_for(
        self, build: Build, *states: str, seconds: float = 20.0
    ) -> Build:
        """The build, as soon as it is in one of the states."""

        def there() -> bool:
            now = Build.get(build.id)
            if now.state in ENDED and now.state not in states:
                raise AssertionError(f"{now.state}: {now.fault}")
            return now.state in states

        wait_until(there, seconds=seconds)
        return Build.get(build.id)

    def log_of(self, build: Build) -> str:
        """The whole log."""
        return log.read(build.id, offset=0, limit=1 << 30).decode()

    def kinds_of(self, build: Build) -> list[str]:
        """The kinds of the build's events."""
        return [row.kind for row in event.of_build(build.id, limit=1000)]

    def outcomes_of(self, build: Build) -> list[str | None]:
        """How the attempts ended, first to last."""
        return [attempt.outcome for attempt in history.attempts(build.id)]

    def assert_published_once(self, build: Build) -> None:
        """One image, the asker's, and no other that could be seen."""
        (publication,) = history.publications(build.id)
        image = self.glance.images[publication.image_id]
        self.assertEqual("active", image["status"])
        self.assertEqual(build.project_id, image["owner"])
        self.assertFalse(image["os_hidden"])
        self.assertEqual("published", publication.state)

    def assert_nothing_left(self, *, images: int = 0) -> None:
        """No workspace here, and only so many images in Glance."""
        builds = self.state / "builds"
        wait_until(lambda: not list(builds.iterdir()))
        wait_until(lambda: len(self.glance.images) == images)
        wait_until(lambda: not _reporting())


def _reporting() -> list[str]:
    """The reporters that still speak."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("report-")
    ]
