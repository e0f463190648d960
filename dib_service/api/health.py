"""Whether this API could answer a request just now, for load balancers."""

from collections.abc import Iterable
import logging
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_middleware import healthcheck

from dib_service.objects.builder import Builder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)

PATH = "/healthcheck"


class Health:
    """Answers ``/healthcheck``, whoever asks.

    The database is always asked; then what [healthcheck] names.
    """

    def __init__(
        self, application: "WSGIApplication", conf: cfg.ConfigOpts
    ) -> None:
        self._application = application
        self._configured = healthcheck.Healthcheck(None, conf)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").rstrip("/") != PATH:
            return self._application(environ, start_response)
        if not _database_answers():
            start_response(
                "503 Service Unavailable",
                [("Content-Type", "text/plain; charset=utf-8")],
            )
            return [b"database does not answer"]
        answer: Iterable[bytes] = self._configured(environ, start_response)
        return answer


def _database_answers() -> bool:
    try:
        # It must have our tables, too.
        Builder.list(limit=1)
    except Exception:
        LOG.exception("the database does not answer")
        return False
    return True
