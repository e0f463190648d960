"""Messaging inside one process: it arrives, and waiting costs nothing."""

import threading
import time
import unittest
import uuid

import kombu

from dib_service import inprocess


class InProcessTest(unittest.TestCase):
    def setUp(self):
        inprocess.register()
        self.name = str(uuid.uuid4())

    def connection(self):
        connection = kombu.Connection(f"{inprocess.NAME}://localhost/")
        self.addCleanup(connection.release)
        return connection

    def consume(self, connection, callback):
        consumer = kombu.Consumer(
            connection.channel(),
            queues=[kombu.Queue(self.name)],
            callbacks=[callback],
        )
        consumer.consume()

    def test_what_one_thread_sends_another_one_hears(self):
        heard = []
        connection = self.connection()
        self.consume(connection, lambda body, message: heard.append(body))

        def send():
            sender = self.connection().SimpleQueue(self.name)
            for number in range(100):
                sender.put(number)

        thread = threading.Thread(target=send)
        thread.start()
        while len(heard) < 100:
            connection.drain_events(timeout=120)
        thread.join()
        self.assertEqual(list(range(100)), heard)

    def test_who_waits_in_vain_is_told_so_in_time(self):
        connection = self.connection()
        self.consume(connection, lambda body, message: None)
        started = time.monotonic()
        with self.assertRaises(TimeoutError):
            connection.drain_events(timeout=0.2)
        self.assertGreaterEqual(time.monotonic() - started, 0.2)

    def test_waiting_takes_no_processor_time(self):
        connection = self.connection()
        self.consume(connection, lambda body, message: None)
        started = time.thread_time()
        with self.assertRaises(TimeoutError):
            connection.drain_events(timeout=0.5)
        self.assertLess(time.thread_time() - started, 0.1)
