"""As much of configuration servers as a new machine meets, over TLS.

For Puppet's agent it is an authority: an agent that believes its certificate
asks for the list of what is revoked and hands in a request; one that does not
hangs up. For git it is a repository, of which it hands out what is asked for.
"""

from collections.abc import Iterator
import contextlib
import gzip
import http.server
import pathlib
import subprocess
import threading

from tests.authority import Authority

REPOSITORY = "/site.git"


class Server(http.server.ThreadingHTTPServer):
    """``requests`` are the names for which one was handed in."""

    daemon_threads = True

    def __init__(self, authority: Authority, repository: pathlib.Path) -> None:
        self.authority = authority
        self.repository = repository
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        # The handshake is left to the thread of each connection.
        self.socket = authority.context().wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, *words: object) -> None:
        """Who does not believe us hangs up."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        place = self.path.partition("?")[0]
        folder = self.server.authority.folder
        if place == "/puppet-ca/v1/certificate_revocation_list/ca":
            self._answer((folder / "crl.pem").read_bytes())
        elif place == "/puppet-ca/v1/certificate/ca":
            self._answer((folder / "ca.pem").read_bytes())
        elif place == f"{REPOSITORY}/info/refs":
            self._answer(
                b"001e# service=git-upload-pack\n0000"
                + self._git("--advertise-refs"),
                "application/x-git-upload-pack-advertisement",
            )
        else:
            self._answer(b"", code=404)

    def do_POST(self) -> None:
        content = self._content()
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        if self.path == f"{REPOSITORY}/git-upload-pack":
            self._answer(
                self._git(content=content),
                "application/x-git-upload-pack-result",
            )
        else:
            self._answer(b"", code=404)

    def do_PUT(self) -> None:
        content = self._content()
        place = self.path.partition("?")[0]
        start = "/puppet-ca/v1/certificate_request/"
        if place.startswith(start) and b"CERTIFICATE REQUEST" in content:
            self.server.requests.append(place.removeprefix(start))
        self._answer(b"")

    def _content(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _git(self, *words: str, content: bytes = b"") -> bytes:
        return subprocess.run(
            [
                *("git", "upload-pack", "--stateless-rpc", *words),
                self.server.repository,
            ],
            input=content,
            stdout=subprocess.PIPE,
        ).stdout

    def _answer(
        self, content: bytes, kind: str = "text/plain", code: int = 200
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        pass


@contextlib.contextmanager
def running(
    authority: Authority, repository: pathlib.Path
) -> Iterator[Server]:
    """The server, for as long as the block runs."""
    with Server(authority, repository) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
