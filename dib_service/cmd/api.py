"""dib-api: serves the API, for development and small sites.

Others let a WSGI server of theirs load ``dib_service.wsgi.api:application``.
"""

import logging
import signal
import sys

from cheroot import wsgi

from dib_service import conf
from dib_service.api import app

LOG = logging.getLogger(__name__)


def main() -> int:
    """Serve until told to stop."""
    options = conf.load(sys.argv[1:], prog="dib-api")
    server = wsgi.Server(
        (options.api.host, options.api.port),
        app.application(options),
        numthreads=options.api.threads,
        server_name="dib-api",
    )
    signal.signal(signal.SIGTERM, _interrupt)
    LOG.info("dib-api listens on %s:%s", *server.bind_addr)
    try:
        server.safe_start()
    except KeyboardInterrupt:
        LOG.info("dib-api stops")
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
