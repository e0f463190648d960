"""The server, on a real socket."""

import http.client
import json
import socket
import threading

import testtools

from dib_service import conf
from dib_service.api import server
from tests.unit.api import stack


class ServerTest(testtools.TestCase):
    """One server that answers versions."""

    def setUp(self) -> None:
        super().setUp()
        config = self.useFixture(stack.Stack()).config
        config.config(group="api", port=0, threads=1)
        self.server = server.new_server(conf.CONF)
        self.server.prepare()
        self.address = self.server.bind_addr
        thread = threading.Thread(target=self.server.serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(self.server.stop)

    def test_it_answers(self) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        self.addCleanup(connection.close)
        connection.request("GET", "/")
        answer = connection.getresponse()
        self.assertEqual(200, answer.status)
        self.assertEqual(
            "v1.0", json.loads(answer.read())["versions"][0]["id"]
        )

    def test_a_body_of_unknown_length_is_no_second_request(self) -> None:
        hidden = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.create_connection(self.address, timeout=10) as client:
            client.sendall(
                b"POST /v1/builds HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
            )
            received = b""
            while data := self.receive(client):
                received += data
        self.assertEqual(1, received.count(b"HTTP/1.1 "))
        self.assertIn(b" 411 ", received)

    def receive(self, client: socket.socket) -> bytes:
        """What comes next; nothing when the server has hung up."""
        try:
            return client.recv(65536)
        except ConnectionResetError:
            return b""
