"""Who asks: Keystone says, or on a single-user machine the asker does."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import falcon
from keystonemiddleware import auth_token
from oslo_config import cfg

from dib_service import context as context_lib
from dib_service import exception
from dib_service.api import routes, versions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Keystone's bootstrap makes each of these roles imply the next.
_IMPLIED = ("admin", "manager", "member", "reader")

_NOBODY = context_lib.RequestContext()


class Guard:
    """Sends all but the public routes through authentication."""

    def __init__(
        self, application: "WSGIApplication", conf: cfg.ConfigOpts
    ) -> None:
        self._open = application
        self._guarded: WSGIApplication
        if conf.api.auth_strategy == "noauth":
            self._guarded = NoAuth(application)
        else:
            self._guarded = auth_token.AuthProtocol(
                application,
                {
                    "oslo_config_config": conf,
                    "service_type": versions.SERVICE_TYPE,
                },
            )

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if _public(environ):
            return self._open(environ, start_response)
        return self._guarded(environ, start_response)


class NoAuth:
    """Believes the headers; who sends none is an admin of one project."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ.setdefault("HTTP_X_PROJECT_ID", "default")
        environ.setdefault("HTTP_X_USER_ID", "default")
        roles = environ.get("HTTP_X_ROLES", "admin").split(",")
        environ["HTTP_X_ROLES"] = ",".join(_with_implied(roles))
        environ["HTTP_X_IDENTITY_STATUS"] = "Confirmed"
        return self._application(environ, start_response)


class Asker:
    """Puts who asks, in the form of a context, beside each request."""

    def process_request(
        self, req: falcon.Request, resp: falcon.Response
    ) -> None:
        if _public(req.env):
            # Nobody has looked at these headers.
            req.context.asker = _NOBODY
            return
        if req.env.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
            raise exception.Unauthorized("nobody is known to ask")
        req.context.asker = context_lib.RequestContext.from_environ(req.env)


def _public(environ: "WSGIEnvironment") -> bool:
    path: str = environ.get("PATH_INFO", "")
    return (path.rstrip("/") or "/") in routes.PUBLIC


def _with_implied(roles: Iterable[str]) -> list[str]:
    given = [role.strip().lower() for role in roles if role.strip()]
    found = dict.fromkeys(given)
    for position, role in enumerate(_IMPLIED):
        if role in given:
            found.update(dict.fromkeys(_IMPLIED[position:]))
    return list(found)
