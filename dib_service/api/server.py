"""A server for the API, where there is no other WSGI server."""

from cheroot import wsgi
from oslo_config import cfg

from dib_service.api import app


def new_server(conf: cfg.ConfigOpts) -> wsgi.Server:
    """A server for [api] host and port that does not listen yet.

    :raises OSError: from ``prepare()``: the address cannot be listened on.
    """
    server = wsgi.Server(
        (conf.api.host, conf.api.port),
        app.application(conf),
        numthreads=conf.api.threads,
        server_name="dib-api",
        # Answers are short; who is still connected only keeps it open.
        shutdown_timeout=1,
    )
    server.gateway = _Gateway
    return server


class _Gateway(wsgi.Gateway_10):
    """Passes a request on to the application."""

    def respond(self) -> None:
        if self.req.chunked_read:
            # cheroot does not skip what an application left unread of such a
            # body: it would take it for the next request, which behind a
            # proxy may be somebody else's.
            self.req.close_connection = True
        super().respond()
