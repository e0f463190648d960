"""A directory served over HTTP on loopback, for tests of what is fetched."""

import functools
import http.server
from pathlib import Path
import threading
import unittest


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a directory, and not a word of who asked."""

    def log_message(self, *words: object) -> None:
        pass


def serve(
    case: unittest.TestCase | type[unittest.TestCase],
    directory: Path,
    handler: type[http.server.SimpleHTTPRequestHandler] = Quiet,
) -> str:
    """The URL of the directory, until the test or its class has ended."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(directory))
    )
    threading.Thread(target=server.serve_forever).start()
    if isinstance(case, type):
        case.addClassCleanup(server.server_close)
        case.addClassCleanup(server.shutdown)
    else:
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)
    return f"http://127.0.0.1:{server.server_address[1]}"
