"""An agent is looked up and heard, and one that answers is found."""

import contextlib
import http.server
import io
import json
import socket
import threading
import unittest
import urllib.error
import urllib.request

from dib_service.engine.gate import ironic, ramdisk
from dib_service.engine.gate.faults import Found


def ask(server, path, body=None):
    url = server.url.replace(ironic.drive.GATEWAY, "127.0.0.1") + path
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data), timeout=10
    ) as said:
        return said.status, json.loads(said.read())


class Cloud(unittest.TestCase):
    def setUp(self):
        self.cloud = self.enterContext(ironic.Ironic())

    def test_an_agent_is_known_by_any_address(self):
        _, root = ask(self.cloud, "/")
        self.assertEqual("v1", root["default_version"]["id"])
        _, found = ask(self.cloud, "/v1/lookup?addresses=a,b")
        self.assertEqual(self.cloud.node, found["node"]["uuid"])
        self.assertEqual(["a", "b"], self.cloud.addresses)
        beat = {"agent_token": found["config"]["agent_token"], "x": 1}
        self.assertEqual(
            202, ask(self.cloud, f"/v1/heartbeat/{self.cloud.node}", beat)[0]
        )
        self.assertEqual(beat, self.cloud.heartbeat(1))

    def test_nobody_else_is(self):
        for path, body, status in (
            ("/v1/nodes", None, 404),
            ("/v1/heartbeat/x", {}, 404),
            (f"/v1/heartbeat/{self.cloud.node}", {"agent_token": "x"}, 403),
        ):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                ask(self.cloud, path, body)
            caught.exception.close()
            self.assertEqual(status, caught.exception.code)

    def test_a_strangers_request_has_an_end(self):
        port = self.cloud._server.server_address[1]
        path = f"/v1/heartbeat/{self.cloud.node}"
        for length, body in (
            ("-1", ""),
            ("x", ""),
            ("2", "[]"),
            ("1", "{"),
            ("5000", "[" * 5000),
        ):
            with (
                self.subTest(length),
                contextlib.redirect_stderr(io.StringIO()) as shown,
                socket.create_connection(("127.0.0.1", port), 5) as stranger,
            ):
                stranger.sendall(
                    f"POST {path} HTTP/1.0\r\nContent-Length: {length}"
                    f"\r\n\r\n{body}".encode()
                )
                self.assertIn(b" 403 ", stranger.recv(99))
                self.assertEqual("", shown.getvalue())


class Agent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Be quiet."""


class Machine:
    """A machine whose port is the fake agent's, for so many looks."""

    age = 1.0

    def __init__(self, port, looks=3):
        self.hardware = self
        self.port = port
        self.left = looks

    def go_on(self, waiting_for):
        self.left -= 1

    def found(self, code, problem):
        return Found(code, problem)


class Answers(unittest.TestCase):
    def setUp(self):
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Agent)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)

    def wait(self, body):
        self.server.body = body
        told = []
        ramdisk.wait_for_agent(
            Machine(self.server.server_address[1]), told.append
        )
        return told

    def test_the_agents_version_is_told(self):
        [told] = self.wait(b'{"version": "11.0\\u001b[0m.0"}')
        self.assertIn("11.0.0", told)

    def test_what_is_no_agent_has_its_time(self):
        for body in (
            b"",
            b"{}",
            b"[]",
            b'{"version": 7}',
            b"[" * 100000,
            b'{"version": "' + b"x" * ramdisk.LONGEST_ANSWER,
        ):
            with self.assertRaises(Found) as caught:
                self.wait(body)
            self.assertEqual("boot-agent", caught.exception.code)
