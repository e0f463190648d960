"""A log grows, and keeps its head and its tail."""

import testtools

from dib_service.objects import log
from tests import database


class LogTest(testtools.TestCase):
    """Heads and tails of ten bytes."""

    def setUp(self) -> None:
        super().setUp()
        config = self.useFixture(database.Database()).config
        config.config(log_head_bytes=10, log_tail_bytes=10, group="conductor")
        self.build = database.new_build()

    def append(self, *chunks: bytes, epoch: int = 1, first: int = 0) -> None:
        for number, chunk in enumerate(chunks, first):
            log.append(self.build.id, epoch, number, chunk)

    def read(self, offset: int = 0, limit: int = 1000) -> bytes:
        return log.read(self.build.id, offset=offset, limit=limit)

    def test_reading_starts_and_ends_anywhere(self) -> None:
        self.append(b"abc", b"def", b"ghi")
        self.assertEqual(b"abcdefghi", self.read())
        self.assertEqual(b"cdefg", self.read(2, 5))
        self.assertEqual(b"i", self.read(8))
        self.assertEqual(b"", self.read(9))
        self.assertEqual(b"", self.read(100))
        self.assertEqual(9, log.size(self.build.id))

    def test_a_chunk_that_is_sent_again_is_stored_once(self) -> None:
        self.append(b"abc")
        self.append(b"abc")
        self.assertEqual(b"abc", self.read())

    def test_attempts_follow_each_other(self) -> None:
        self.append(b"one ", epoch=1)
        self.append(b"two", epoch=2)
        self.assertEqual(b"one two", self.read())

    def test_a_long_log_keeps_head_and_tail(self) -> None:
        self.append(*(b"%04d " % n for n in range(10)))
        # What was read once is never read differently.
        self.assertEqual(b"0000 0001 ", self.read())
        self.build.request_cancel()
        self.assertEqual(
            b"0000 0001 \n[30 bytes of the log were not kept]\n0008 0009 ",
            self.read(),
        )
        self.assertEqual(len(self.read()), log.size(self.build.id))
        self.assertEqual(b"0009 ", self.read(log.size(self.build.id) - 5))

    def test_nothing_is_missing_between_head_and_tail(self) -> None:
        self.append(*(b"%04d " % n for n in range(4)))
        self.build.request_cancel()
        self.assertEqual(b"0000 0001 0002 0003 ", self.read())
