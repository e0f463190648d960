"""Serve a WSGI module on 127.0.0.1: serve.py MODULE PORT THREADS.

Runs in the services' venv and so imports nothing of ours.
"""

import importlib
import sys

import waitress


def main() -> None:
    """Serve until we are ended."""
    module, port, threads = sys.argv[1:]
    # Keystone would read the rest of the command line as its own.
    del sys.argv[1:]
    waitress.serve(
        importlib.import_module(module).application,
        host="127.0.0.1",
        port=int(port),
        threads=int(threads),
        # An image is larger than the gigabyte that waitress accepts.
        max_request_body_size=64 << 30,
    )


if __name__ == "__main__":
    main()
