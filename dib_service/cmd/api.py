"""dib-api: serves the API, for development and small sites.

Others let a WSGI server of theirs load ``dib_service.wsgi.api:application``.
"""

import logging
import signal
import sys

from dib_service import conf
from dib_service.api import server as api_server

LOG = logging.getLogger("dib_service.cmd.api")


def main() -> int:
    """Serve until told to stop."""
    options = conf.load(sys.argv[1:], prog="dib-api")
    server = api_server.new_server(options)
    signal.signal(signal.SIGTERM, _interrupt)
    # From the first worker thread on: a signal that finds no handler here
    # would end this thread and leave those, and with them the process.
    try:
        server.prepare()
        # The port may have been 0: any that is free.
        LOG.info("dib-api listens on %s:%s", *server.bind_addr[:2])
        server.serve()
    except KeyboardInterrupt:
        LOG.info("dib-api stops")
    finally:
        server.stop()
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
