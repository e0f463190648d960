"""Ringing costs nothing, whoever does not answer."""

import threading
import time

import fixtures
import testtools

from dib_service import rpc

PATIENCE_SECONDS = 10.0


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
        self.assertLess(time.monotonic() - begun, 1.0)
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
