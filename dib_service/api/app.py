"""The API as one WSGI application, from the socket inwards."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import falcon
from oslo_config import cfg
from oslo_middleware import (
    cors,
    http_proxy_to_wsgi,
    request_id,
    sizelimit,
)

from dib_service.api import auth, faults, health, routes, versions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADERS = [
    versions.HEADER,
    "OpenStack-API-Minimum-Version",
    "OpenStack-API-Maximum-Version",
    "X-OpenStack-Request-ID",
    "X-Log-Next-Offset",
    "X-Log-Complete",
    "Location",
]


def application(conf: cfg.ConfigOpts) -> "WSGIApplication":
    """Everything that stands between a socket and a handler."""
    set_defaults()
    app: WSGIApplication = Answering(router())
    app = auth.Guard(app, conf)
    app = sizelimit.RequestBodySizeLimiter(app, conf)
    app = faults.FaultBody(app)
    app = health.Health(app, conf)
    app = cors.CORS(app, conf)
    app = request_id.RequestId(app)
    return http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf)


def router() -> "falcon.App[Any, Any]":
    """The handlers behind their addresses, with one form of saying no."""
    app: falcon.App[Any, Any] = falcon.App(
        middleware=[versions.Microversion(), auth.Asker()]
    )
    app.req_options.strip_url_path_trailing_slash = True
    # An empty parameter is refused by its reader, not overlooked.
    app.req_options.keep_blank_qs_values = True
    # Falcon has a handler of its own for its own errors.
    app.add_error_handler((Exception, falcon.HTTPError), faults.handle)
    routes.declare(app)
    return app


def set_defaults() -> None:
    """Our defaults for what is oslo.middleware's to read."""
    cors.set_defaults(
        allow_headers=["X-Auth-Token", "Content-Type", versions.HEADER],
        expose_headers=_HEADERS,
        allow_methods=["GET", "POST", "DELETE"],
    )


class Answering:
    """Notes that an answer is ours, for whoever would give it our form."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ[faults.ANSWERED] = True
        return self._app(environ, start_response)
