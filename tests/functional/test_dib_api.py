"""dib-api as a process of its own, whose broker is down."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import Any

import fixtures
import testtools

from dib_service import conf
from tests import database
from tests.functional import api

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

BUILD_ID = "aaaaaaaa-0000-4000-8000-000000000001"

# Nobody listens on port 1.
CONFIGURATION = """
[DEFAULT]
transport_url = rabbit://nobody:nothing@127.0.0.1:1/
[api]
auth_strategy = noauth
host = 127.0.0.1
port = 0
[database]
connection = {connection}
"""


class DibApiTest(testtools.TestCase):
    """One process, asked over a socket."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        api.new_builder("builder-1", ("x86_64",))
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / "dib-service.conf").write_text(
            CONFIGURATION.format(connection=conf.CONF.database.connection)
        )
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "dib_service.cmd.api"),
                *("--config-file", str(folder / "dib-service.conf")),
            ],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(self.end)
        self.port = self.announced_port()

    def end(self) -> None:
        """Nothing is left of the process."""
        self.process.kill()
        self.process.communicate()

    def announced_port(self) -> int:
        """Where the process says it listens."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            listens = re.search(r"dib-api listens on \S+:(\d+)", line)
            if listens:
                return int(listens[1])
        raise AssertionError("".join(lines))

    def test_an_accepted_build_does_not_wait_for_the_broker(self) -> None:
        # The first request pays for imports and connections.
        self.ask({"elements": ["debian"]})
        began = time.monotonic()
        status, body = self.ask({"elements": ["debian"]})
        self.assertEqual(202, status, body)
        self.assertLess(time.monotonic() - began, 1.0)

    def test_of_many_repeats_one_is_accepted(self) -> None:
        wanted = {"id": BUILD_ID, "elements": ["debian"]}
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(self.ask, [wanted] * 8))
        self.assertEqual(
            [202] + [409] * 7, sorted(status for status, _ in answers)
        )

    def test_it_ends_when_told_to(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(timeout=10))

    def ask(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        """Ask for a build: the status and the document of the answer."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30
        )
        try:
            connection.request(
                "POST",
                "/v1/builds",
                body=json.dumps({"build": wanted}),
                headers={"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()
