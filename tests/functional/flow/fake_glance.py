"""A Glance on loopback that can be told to misbehave."""

from collections import deque
from collections.abc import Callable
import hashlib
import http.server
import json
import threading
import time
from typing import Any
import urllib.parse

STAGING = "staging-project"


class FakeGlance:
    """Images in memory; ``faults`` are taken one by one, first to last.

    A fault is ``(method, status)``: the next request of that method gets
    that status. Status 0 hangs up in the middle, "hang" never answers; a PUT
    that "dies" leaves its image saving, one that is "killed" leaves it so.
    """

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.data: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.faults: deque[tuple[str, Any]] = deque()
        self.tokens: set[str] | None = None
        self.requests: list[tuple[str, str]] = []
        self.corruptions = 0
        self._bodies: list[tuple[str, bytes]] = []
        self.hanging = threading.Event()
        self._released = threading.Event()
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler
        )
        self._server.daemon_threads = True
        self._server.glance = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> "FakeGlance":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, method: str) -> int:
        """How many requests of that method there were."""
        return sum(1 for asked, _ in self.requests if asked == method)

    def bodies(self, method: str) -> list[bytes]:
        """What came with the requests of that method; not with a PUT."""
        return [body for asked, body in self._bodies if asked == method]

    def fault_for(self, method: str) -> Any:
        """The fault that is due, taken."""
        if self.faults and self.faults[0][0] == method:
            return self.faults.popleft()[1]
        return None

    def keep(self, method: str, body: bytes) -> None:
        """Remember a request that was taken."""
        self._bodies.append((method, body))

    def hang(self) -> None:
        """Wait for the end of the test."""
        self.hanging.set()
        self._released.wait(60)


class Handler(http.server.BaseHTTPRequestHandler):
    """What Glance answers, as far as anybody here asks."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    @property
    def glance(self) -> FakeGlance:
        found: FakeGlance = self.server.glance  # type: ignore[attr-defined]
        return found

    @property
    def image_id(self) -> str:
        return self.path.split("/")[3]

    def do_POST(self) -> None:
        data = self._body()
        if self._misbehaves():
            return
        self.glance.keep("POST", data)
        body = json.loads(data)
        image_id = body["id"]
        if image_id in self.glance.images or image_id in self.glance.deleted:
            self._answer(409)
            return
        self.glance.images[image_id] = {
            **body,
            "status": "queued",
            "protected": False,
            "size": None,
            "owner": STAGING,
        }
        self._answer(201, self.glance.images[image_id])

    def do_GET(self) -> None:
        if self._misbehaves():
            return
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/v2/images":
            asked = urllib.parse.parse_qs(url.query)
            hidden = asked["os_hidden"] == ["true"]
            found = [
                image
                for image in self.glance.images.values()
                if image["owner"] in asked["owner"]
                and image["os_hidden"] == hidden
            ]
            self._answer(200, {"images": found})
            return
        image = self.glance.images.get(self.image_id)
        self._answer(200 if image else 404, image)

    def do_PATCH(self) -> None:
        changes = json.loads(self._body())
        if self._misbehaves():
            return
        image = self.glance.images.get(self.image_id)
        if image is not None:
            for change in changes:
                image[change["path"].removeprefix("/")] = change["value"]
        self._answer(200 if image else 404, image)

    def do_DELETE(self) -> None:
        if self._misbehaves():
            return
        image = self.glance.images.pop(self.image_id, None)
        self.glance.data.pop(self.image_id, None)
        self.glance.deleted.add(self.image_id)
        self._answer(204 if image else 404)

    def do_PUT(self) -> None:
        glance = self.glance
        image = glance.images.get(self.image_id)
        if glance.faults and glance.faults[0] == ("PUT", 413):
            # As a real one: it has seen the header and wants no more.
            self._misbehaves()
            return
        if image is None or image["status"] != "queued":
            self._body()
            self._answer(404 if image is None else 409)
            return
        image["status"] = "saving"
        data = self._body()
        length = int(self.headers["Content-Length"])
        fault = glance.faults[0] if glance.faults else None
        if len(data) < length or self._misbehaves():
            left = {("PUT", "dies"): "saving", ("PUT", "killed"): "killed"}
            image["status"] = left.get(fault, "queued")
            return
        if glance.corruptions:
            glance.corruptions -= 1
            data = b"?" + data[1:]
        glance.data[image["id"]] = data
        image.update(
            status="active",
            size=len(data),
            os_hash_algo="sha512",
            os_hash_value=hashlib.sha512(data).hexdigest(),
        )
        self._answer(204)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _misbehaves(self) -> bool:
        glance = self.glance
        glance.requests.append((self.command, self.path))
        token = self.headers.get("X-Auth-Token")
        if glance.tokens is not None and token not in glance.tokens:
            self._answer(401)
            return True
        fault = glance.fault_for(self.command)
        if fault is None:
            return False
        if fault == "hang":
            glance.hang()
        elif fault == "killed":
            self._answer(500)
        elif fault and fault != "dies":
            self._answer(fault)
        self.close_connection = True
        return True

    def _answer(self, status: int, body: Any = None) -> None:
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def wait_until(true: Callable[[], Any], *, seconds: float = 120.0) -> None:
    """Return as soon as it is; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)
