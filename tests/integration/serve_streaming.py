"""Serve a WSGI module on 127.0.0.1 byte by byte: MODULE PORT.

waitress, which serves the lab's Glance, keeps a request until all of it has
come: nothing that breaks off in the middle would ever get to Glance. Runs in
the services' venv and so imports nothing of ours.
"""

import importlib
import socketserver
import sys
from wsgiref import simple_server


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """A thread for each connection, none of which outlives us."""

    daemon_threads = True


def main() -> None:
    """Serve until we are ended."""
    module, port = sys.argv[1:]
    # Glance would read the rest of the command line as its own.
    del sys.argv[1:]
    simple_server.make_server(
        "127.0.0.1",
        int(port),
        importlib.import_module(module).application,
        server_class=Server,
    ).serve_forever()


if __name__ == "__main__":
    main()
