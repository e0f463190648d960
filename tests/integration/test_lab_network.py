"""The network of a lab's machines is one of its own, with two doors."""

from collections.abc import Iterator
import contextlib
import http.server
import pathlib
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from tools.lab import daemon
from tools.lab.baremetal.network import ADDRESS, Network
from tools.lab.state import State

TIMEOUT_SECONDS = 10


class NetworkTest(unittest.TestCase):
    """One network, and a server on each side of it."""

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.state = State(pathlib.Path(folder))
        self.here = self.enterContext(server(b"here"))
        self.there = daemon.free_port()
        self.network = Network(
            self.state, inside=[self.here], outside=[self.there]
        )
        self.addCleanup(self.network.stop)
        self.network.start()

    def test_a_server_of_this_host_has_its_address_inside(self) -> None:
        self.assertEqual("here", self.inside(f"http://127.0.0.1:{self.here}"))

    def test_a_server_inside_has_its_address_here(self) -> None:
        self.serve_inside()
        self.assertEqual("there", read(f"http://127.0.0.1:{self.there}/file"))

    def test_what_comes_through_a_door_is_whole(self) -> None:
        size = 32 << 20
        file = self.serve_inside()
        with file.open("wb") as sparse:
            sparse.truncate(size)
        url = f"http://127.0.0.1:{self.there}/file"
        self.assertEqual(size, len(read(url)))

    def test_nothing_else_leads_in_or_out(self) -> None:
        self.serve_inside()
        with self.assertRaises(urllib.error.URLError):
            read(f"http://{ADDRESS}:{self.there}/file", seconds=2)
        other = self.enterContext(server(b"other"))
        with self.assertRaises(subprocess.CalledProcessError):
            self.inside(f"http://127.0.0.1:{other}")

    def test_nothing_is_left_of_it(self) -> None:
        self.network.stop()
        self.assertEqual([], list(self.state.path.glob("*.pid")))
        self.assertFalse(daemon.listens(self.there))

    def inside(self, url: str) -> str:
        """What is read there."""
        words = ["curl", "--silent", "--fail", "--noproxy", "*", url]
        return subprocess.run(
            self.network.enter(words),
            check=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        ).stdout

    def serve_inside(self) -> pathlib.Path:
        """Serve a file ``file`` there, and return it."""
        file = self.state.path / "served" / "file"
        file.parent.mkdir()
        file.write_text("there")
        running = self.network.inside(
            "server",
            [
                *("busybox", "httpd", "-f", "-h", str(file.parent)),
                *("-p", str(self.there)),
            ],
        )
        running.start()
        self.addCleanup(running.stop)
        running.wait_until(
            lambda: self.network.answers(f"http://{ADDRESS}:{self.there}/file")
        )
        return file


@contextlib.contextmanager
def server(answer: bytes) -> Iterator[int]:
    """The port of a server on this host's loopback that says just that."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_address[1]
        running.shutdown()
        thread.join()


def read(url: str, *, seconds: float = TIMEOUT_SECONDS) -> str:
    """What is read on this host, whatever proxy it has."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=seconds) as answer:
        return str(answer.read().decode())
