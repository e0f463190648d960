"""The part of Ironic that a deploy ramdisk's agent speaks to.

    with Ironic() as ironic:
        ...  # a guest with ipa-api-url={ironic.url} on its kernel's line
        ironic.heartbeat(60)

It knows one node, whatever the machine's addresses are. The paths and what
is answered are those of Ironic's API reference, at a version in which the
agent's own API is without TLS.
"""

import contextlib
import http.server
import json
import queue
import secrets
import threading
from typing import Any, Self
import urllib.parse
import uuid

from dib_service.engine.gate import drive

VERSION = "1.62"
HEARTBEAT_SECONDS = 60

# What an agent may say at once; of what it has said before, the first is kept.
# A parser makes some sixty times as much of the worst.
MOST_BYTES = 64 * 1024
MOST_HEARTBEATS = 10


class Ironic:
    """An HTTP server on this host, as guests of QEMU's own network see it."""

    def __init__(self) -> None:
        self.node = str(uuid.uuid4())
        self._token = secrets.token_hex(16)
        self.addresses: list[str] = []
        self._heartbeats: queue.Queue[dict[str, Any]] = queue.Queue(
            MOST_HEARTBEATS
        )

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.ironic = self
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where a guest finds it."""
        return f"http://{drive.GATEWAY}:{self._server.server_address[1]}"

    def heartbeat(self, seconds: float) -> dict[str, Any]:
        """What the agent says with its next heartbeat.

        :raises queue.Empty: there was none.
        """
        return self._heartbeats.get(timeout=seconds)

    def get(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """The answer to a GET; None for not found."""
        if path == "/":
            return {"default_version": {"id": "v1", "version": VERSION}}
        if path == "/v1/lookup":
            self.addresses = query.get("addresses", "").split(",")
            return {
                "node": {
                    "uuid": self.node,
                    "properties": {},
                    "instance_info": {},
                    "driver_internal_info": {},
                },
                "config": {
                    "heartbeat_timeout": HEARTBEAT_SECONDS,
                    "agent_token": self._token,
                    "metrics": {},
                    "metrics_statsd": {},
                },
            }
        return None

    def post(self, path: str, body: dict[str, Any]) -> int:
        """The status of the answer to a POST."""
        if path != f"/v1/heartbeat/{self.node}":
            return 404
        if body.get("agent_token") != self._token:
            return 403
        with contextlib.suppress(queue.Full):
            self._heartbeats.put_nowait(body)
        return 202


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    ironic: Ironic

    def handle_error(self, *request: object) -> None:
        """Be quiet: who breaks the rules of HTTP is not answered."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    # One that says nothing is not waited for.
    timeout = 60

    def do_GET(self) -> None:
        asked = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(asked.query))
        answer = self.server.ironic.get(asked.path, query)
        self._answer(200 if answer else 404, answer or {})

    def do_POST(self) -> None:
        said = self.headers.get("Content-Length", "0")
        # Less than nothing would be all that ever comes.
        size = min(int(said), MOST_BYTES) if said.isdecimal() else 0
        body = _object(self.rfile.read(size))
        self._answer(self.server.ironic.post(self.path, body), {})

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _object(data: bytes) -> dict[str, Any]:
    """What was said; empty if it is no JSON object."""
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(data)
        if isinstance(body, dict):
            return body
    return {}
