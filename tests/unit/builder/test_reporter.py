"""What is kept for a conductor is never more than memory should hold."""

import threading
import unittest
from unittest import mock

from dib_service.builder import reporter
from dib_service.conductor import rpcapi
from dib_service.engine import events
from tests.unit.builder import fakes

EVENTS = 200
FACT = "x" * 10_000
KEPT_BYTES = 100_000


class KeptTest(unittest.TestCase):
    def setUp(self):
        for name, value in (
            ("KEPT_BYTES", KEPT_BYTES),
            ("SPACING_SECONDS", 0.001),
        ):
            self.enterContext(mock.patch.object(reporter, name, value))
        self.conductor = fakes.FakeConductor()
        self.all_said = threading.Event()
        self.most = 0

    def report(self, *args, **facts):
        # Whoever does not wait for room has said all by then.
        self.all_said.wait(0.01)
        self.most = max(self.most, len(str(self.reporter._events)))
        return type(self.conductor).report(self.conductor, *args, **facts)

    def test_large_events_wait_for_room_and_all_arrive(self):
        self.reporter = reporter.Reporter(
            self.conductor,
            rpcapi.Lease(build_id="build-1", epoch=1, secret="s"),
            on_stale=self.fail,
        )
        with (
            mock.patch.object(self.conductor, "report", self.report),
            self.reporter,
        ):
            for number in range(EVENTS):
                self.reporter.event(
                    events.Event.now("phase", phase=str(number), fact=FACT)
                )
            self.all_said.set()
            self.assertTrue(self.reporter.flush(120))
        self.assertEqual(EVENTS, len(self.conductor.kinds))
        self.assertLess(self.most, KEPT_BYTES + 2 * len(FACT))
