"""The API for a WSGI server: ``dib_service.wsgi.api:application``."""

from collections.abc import Iterable
import threading
from typing import TYPE_CHECKING

from dib_service import conf
from dib_service.api import app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_lock = threading.Lock()
_loaded: "WSGIApplication | None" = None


def application(
    environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """The API, configured by its first request.

    Not at import: servers import before they fork, and whoever only wants to
    look at the module has no configuration.
    """
    return _application()(environ, start_response)


def _application() -> "WSGIApplication":
    global _loaded
    with _lock:
        if _loaded is None:
            # The arguments of this process are the server's, not ours.
            _loaded = app.application(conf.load([], prog="dib-api"))
        return _loaded
