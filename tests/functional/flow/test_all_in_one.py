"""dib-all-in-one as a process: asked over HTTP, stopped, killed."""

import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from tests.functional.flow import base, fake_glance
from tests.functional.flow.fake_glance import wait_until

ROOT = pathlib.Path(__file__).parents[3]
HEADERS = {
    "Content-Type": "application/json",
    "X-Project-Id": "project-1",
    "X-User-Id": "user-1",
    "X-Roles": "member",
}


class AllInOneTest(unittest.TestCase):
    def setUp(self):
        self.state = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        )
        self.glance = self.enterContext(fake_glance.FakeGlance())
        self.port = free_port()
        self.file = self.state / "dib-service.conf"
        self.file.write_text(
            f"""
[database]
connection = sqlite:///{self.state}/dib-service.sqlite
[api]
auth_strategy = noauth
port = {self.port}
[conductor]
retry_delay = 0.1
publish_interval = 0.2
[builder]
state_path = {self.state}/builder
engine_command = {base.ENGINE}
poll_interval = 0.5
[glance]
auth_type = none
endpoint_override = {self.glance.endpoint}
[glance_upload]
auth_type = none
endpoint_override = {self.glance.endpoint}
"""
        )

    def start(self):
        """A process that answers and whose builder has registered."""
        log = (self.state / "log").open("a")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-c"),
                "from dib_service.cmd import all_in_one; all_in_one.main()",
                *("--config-file", str(self.file)),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(self.elements, seconds=60)
        return process

    def elements(self):
        try:
            return self.ask("GET", "/v1/elements")["elements"]
        except (urllib.error.URLError, ConnectionError):
            return []

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            headers=HEADERS,
            data=json.dumps(body).encode() if body else None,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def build(self, **environment):
        """The id of a new build."""
        answer = self.ask(
            "POST",
            "/v1/builds",
            {
                "build": {
                    "name": "debian",
                    "elements": ["debian"],
                    "environment": environment,
                }
            },
        )
        return answer["build"]["id"]

    def state_of(self, build_id):
        return self.ask("GET", f"/v1/builds/{build_id}")["build"]["state"]

    def test_a_build_is_asked_for_and_becomes_an_image(self):
        process = self.start()
        build_id = self.build()
        wait_until(lambda: self.state_of(build_id) == "complete", seconds=30)
        (image,) = self.glance.images.values()
        self.assertEqual("project-1", image["owner"])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(10))

    def test_the_builder_s_secret_is_the_owner_s_alone(self):
        self.start()
        file = self.state / "builder" / "enrolment.json"
        self.assertEqual(0o600, stat.S_IMODE(file.stat().st_mode))

    def test_killed_in_the_middle_it_leaves_nothing(self):
        gate = self.state / "builder" / "cache" / "gate"
        process = self.start()
        build_id = self.build(DIB_FAKE_GATE=gate.name)
        builds = self.state / "builder" / "builds"
        wait_until(lambda: list(builds.iterdir()))
        wait_until(lambda: engines(self.state))
        process.kill()
        process.wait()
        wait_until(lambda: not engines(self.state))
        gate.touch()
        self.start()
        wait_until(lambda: self.state_of(build_id) == "complete", seconds=30)
        self.assertEqual(1, len(self.glance.images))
        wait_until(lambda: not list(builds.iterdir()))


def engines(state):
    """The fake engines at work below state."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(base.ENGINE) in words and os.fsencode(state) in words:
            found.append(entry.name)
    return found


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]
