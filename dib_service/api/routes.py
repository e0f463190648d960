"""Where everything is."""

from collections.abc import Callable, Mapping
import json
from typing import Any

import falcon

from dib_service.api import versions
from dib_service.api.request import Request, Response
from dib_service.api.v1 import builders, builds, elements

Handler = Callable[..., Response]

ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/": {"GET": versions.index},
    "/v1": {"GET": versions.show},
    "/v1/builds": {"GET": builds.index, "POST": builds.create},
    "/v1/builds/{build_id}": {"GET": builds.show, "DELETE": builds.delete},
    "/v1/builds/{build_id}/cancel": {"POST": builds.cancel},
    "/v1/builds/{build_id}/events": {"GET": builds.list_events},
    "/v1/builds/{build_id}/log": {"GET": builds.read_log},
    "/v1/builders": {"GET": builders.index},
    "/v1/builders/{builder_id}": {"GET": builders.show},
    "/v1/elements": {"GET": elements.index},
    "/v1/elements/{name}": {"GET": elements.show},
}

# What is answered before anybody is asked who they are.
PUBLIC = ("/", "/v1")


def declare(app: "falcon.App[Any, Any]") -> None:
    """Make the routes known to Falcon."""
    for path, handlers in ROUTES.items():
        app.add_route(path, _resource(handlers))


def _resource(handlers: Mapping[str, Handler]) -> object:
    """What Falcon wants: an object with a method for each HTTP method."""
    responders = {
        f"on_{method.lower()}": _responder(handler)
        for method, handler in handlers.items()
    }
    if "on_get" in responders:
        # Falcon leaves the body out.
        responders["on_head"] = responders["on_get"]
    return type("Resource", (), responders)()


def _responder(handler: Handler) -> Callable[..., None]:
    def respond(
        self: object,
        req: falcon.Request,
        resp: falcon.Response,
        **params: str,
    ) -> None:
        answer = handler(Request(req), **params)
        resp.status = answer.status
        resp.set_headers(dict(answer.headers))
        if isinstance(answer.body, bytes):
            resp.content_type = "text/plain; charset=utf-8"
            # A log is what strangers' programs wrote: never HTML.
            resp.set_header("X-Content-Type-Options", "nosniff")
            resp.data = answer.body
        elif answer.body is not None:
            resp.content_type = "application/json"
            resp.text = json.dumps(answer.body)

    return respond
