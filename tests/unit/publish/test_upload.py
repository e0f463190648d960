"""What stands in Glance's place is not taken for Glance."""

import hashlib
import http.server
import pathlib
import threading

import fixtures
import testtools

from dib_service.publish import upload

BYTES = b"an image"


class Stranger(http.server.BaseHTTPRequestHandler):
    """A proxy whose Glance is not there, or something else altogether."""

    status = 404
    body = b"{}"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *words: object) -> None:
        """Nobody reads it."""


class UploadTest(testtools.TestCase):
    """A server on loopback that is no Glance."""

    def test_what_is_no_image_is_asked_again_later(self) -> None:
        for status, body in (
            (404, b"<h1>no such site</h1>"),
            (200, b"{}"),
            (200, b"[]"),
            (200, b""),
            (200, b"<h1>welcome</h1>"),
        ):
            with self.subTest(status=status, body=body):
                answer = type(
                    "Answer", (Stranger,), {"status": status, "body": body}
                )
                self.assertRaises(upload.Trouble, self.upload, answer)

    def upload(self, handler: type[Stranger]) -> None:
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path, "image")
        file.write_bytes(BYTES)
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            try:
                upload.Glance(
                    f"http://127.0.0.1:{server.server_address[1]}", ""
                ).upload(
                    upload.Image("1", "image", "raw", "bare", {}, 1),
                    upload.Source(
                        file, len(BYTES), hashlib.sha512(BYTES).hexdigest()
                    ),
                )
            finally:
                thread.join()
