"""Ringing costs nothing, whoever does not answer."""

import threading
import time
from unittest import mock

import fixtures
import testtools

from dib_service import rpc

PATIENCE_SECONDS = 120.0


class DoorbellTest(testtools.TestCase):
    """A bell whose cast can be made to hang or to fail."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.casts = 0
        self.heard = threading.Semaphore(0)
        self.hang = threading.Event()
        self.hang.set()
        self.addCleanup(self.hang.set)

    def bell(self, *, delay: float = 0.0) -> rpc.Doorbell:
        return rpc.Doorbell(self.cast, delay=delay)

    def cast(self) -> None:
        self.casts += 1
        self.heard.release()
        self.hang.wait(PATIENCE_SECONDS)

    def assert_heard(self) -> None:
        self.assertTrue(self.heard.acquire(timeout=PATIENCE_SECONDS))

    def test_rings_of_a_short_while_are_one_cast(self) -> None:
        bell = self.bell(delay=0.3)
        for _ in range(100):
            bell.ring()
        self.assert_heard()
        self.assertEqual(1, self.casts)

    def test_a_ring_never_waits(self) -> None:
        self.hang.clear()
        bell = self.bell()
        bell.ring()
        self.assert_heard()
        begun = time.monotonic()
        for _ in range(1000):
            bell.ring()
        self.assertLess(time.monotonic() - begun, PATIENCE_SECONDS / 2)
        self.hang.set()
        # What came while it hung is not forgotten, and is one cast.
        self.assert_heard()
        self.assertEqual(2, self.casts)

    def test_a_cast_that_fails_is_not_the_last(self) -> None:
        failures = [OSError("no broker")]

        def cast() -> None:
            if failures:
                self.heard.release()
                raise failures.pop()
            self.heard.release()

        bell = rpc.Doorbell(cast, delay=0.0)
        for _ in range(2):
            bell.ring()
            self.assert_heard()


class ListenerTest(testtools.TestCase):
    """Servers that start at once, late, or not at the first time."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.broker = threading.Event()
        self.addCleanup(self.broker.set)
        self.server = mock.Mock()
        self.server.start.side_effect = self.wait_for_broker

    def wait_for_broker(self) -> None:
        self.broker.wait(PATIENCE_SECONDS)

    def listener(self) -> rpc.Listener:
        made = rpc.Listener("test", lambda: self.server)
        self.addCleanup(made.wait)
        self.addCleanup(made.stop)
        return made

    def test_with_a_broker_it_listens_until_it_is_stopped(self) -> None:
        self.broker.set()
        listener = self.listener()
        self.assertTrue(listener.start(patience=PATIENCE_SECONDS))
        self.server.stop.assert_not_called()
        listener.stop()
        listener.wait()
        self.server.stop.assert_called_once_with()
        self.server.wait.assert_called_once_with()

    def test_without_a_broker_nobody_waits(self) -> None:
        listener = self.listener()
        begun = time.monotonic()
        self.assertFalse(listener.start())
        listener.stop()
        listener.wait()
        self.assertLess(time.monotonic() - begun, PATIENCE_SECONDS / 2)

    def test_an_unexpected_error_is_not_its_end(self) -> None:
        self.useFixture(fixtures.MockPatchObject(rpc, "RESTART_SECONDS", 0))
        self.server.start.side_effect = [RuntimeError("no"), None]
        listener = self.listener()
        self.assertTrue(listener.start(patience=PATIENCE_SECONDS))
