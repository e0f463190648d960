"""Leases end only where they could have been renewed for a whole lease."""

import fixtures
import testtools

from dib_service.conductor import reaper
from dib_service.db import api as db
from dib_service.objects.build import Build
from tests import database


class ReaperTest(testtools.TestCase):
    """A lease of 60 s that ran out, and a look every 5 s."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        self.useFixture(fixtures.FakeLogger())
        self.build = database.new_build()
        by = database.holder(*database.new_builder())
        database.claimed(self.build, by)
        database.change_build(self.build, lease_expires_at=db.now() - 300)
        self.time = 1000.0
        self.broker_is_up = True
        self.broker_takes = 0.0
        self.reaper = reaper.Reaper(self.reachable, clock=lambda: self.time)

    def reachable(self) -> None:
        self.time += self.broker_takes
        if not self.broker_is_up:
            raise OSError("no broker")

    def look_for(self, seconds: int) -> bool:
        """Whether the lease was ended within these seconds."""
        for _ in range(0, seconds, 5):
            self.reaper.look()
            self.time += 5
        return Build.get(self.build.id).state == "queued"

    def test_a_whole_lease_of_service_is_needed(self) -> None:
        self.assertFalse(self.look_for(60))
        self.assertTrue(self.look_for(5))

    def test_an_outage_of_the_broker_starts_it_anew(self) -> None:
        self.look_for(55)
        self.broker_is_up = False
        self.assertFalse(self.look_for(180))
        self.broker_is_up = True
        self.assertFalse(self.look_for(60))
        self.assertTrue(self.look_for(5))

    def test_an_outage_of_the_database_starts_it_anew(self) -> None:
        config = self.useFixture(database.config_fixture.Config(database.CONF))
        self.look_for(55)
        url = database.CONF.database.connection
        config.config(connection="sqlite:////nowhere/x", group="database")
        db.forget_engine()
        self.reaper.look()
        config.config(connection=url, group="database")
        db.forget_engine()
        self.assertFalse(self.look_for(60))
        self.assertTrue(self.look_for(5))

    def test_a_process_that_slept_starts_anew(self) -> None:
        self.look_for(55)
        self.time += 300
        self.assertFalse(self.look_for(60))
        self.assertTrue(self.look_for(5))

    def test_a_broker_that_made_us_wait_starts_it_anew(self) -> None:
        self.look_for(55)
        self.broker_takes = 300.0
        self.reaper.look()
        self.broker_takes = 0.0
        self.assertFalse(self.look_for(60))
        self.assertTrue(self.look_for(5))
