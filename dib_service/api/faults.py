"""The one form in which the API says no: ``{"error": {...}}``."""

from collections.abc import Callable, Iterable, Mapping
import http
import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar

import falcon

from dib_service import exception

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)

REQUEST_ID = "openstack.request_id"

# Set in the environment of a request that our own application answered.
ANSWERED = "dib_service.answered"

# What to do about an answer that somebody in front of us gave.
_ADVICE = {
    400: "the request is not well-formed",
    401: "a token of Keystone's is needed, in the header X-Auth-Token",
    413: "the request is too large",
    503: "something that the answer needs cannot be reached, try again",
}

_VALUE_LIMIT = 80


class NotAcceptable(exception.DibServiceError):
    """The asked-for version of the API is none of ours."""

    code: ClassVar[int] = 406
    title: ClassVar[str] = "Not Acceptable"


class LengthRequired(exception.DibServiceError):
    """A body came without saying how long it is."""

    code: ClassVar[int] = 411
    title: ClassVar[str] = "Length Required"


def refusal(
    field: str, problem: str, *, value: object = None
) -> exception.BadRequest:
    """The error for one field of a request: where, why not, and what."""
    if value is None:
        return exception.BadRequest(f"{field}: {problem}", field=field)
    got = shortened(value)
    return exception.BadRequest(
        f"{field}: {problem} (got '{got}')", field=field, value=got
    )


def shortened(value: object) -> str:
    """A value as one short line of printable text."""
    text = "".join(
        char
        if char.isprintable()
        else char.encode("unicode_escape").decode("ascii")
        for char in str(value)[: _VALUE_LIMIT + 1]
    )
    if len(text) > _VALUE_LIMIT:
        return text[: _VALUE_LIMIT - 1] + "…"
    return text


def handle(
    req: falcon.Request,
    resp: falcon.Response,
    error: Exception,
    params: Mapping[str, Any],
) -> None:
    """Answer a request whose handler raised ``error``."""
    fault = translated(error)
    if fault.code >= 500 and not isinstance(error, exception.Unavailable):
        LOG.error("%s %s failed", req.method, req.path, exc_info=error)
    if isinstance(error, falcon.HTTPError) and error.headers:
        resp.set_headers(error.headers)
    resp.status = fault.code
    resp.content_type = "application/json"
    resp.text = document(fault, req.env.get(REQUEST_ID))


def translated(error: Exception) -> exception.DibServiceError:
    """The fault that the caller gets to see for ``error``."""
    if isinstance(error, exception.DibServiceError):
        return error
    if isinstance(error, falcon.HTTPError):
        return _from_falcon(error)
    # Whatever this is, its text may hold what a caller should not see.
    return exception.DibServiceError(
        "the service failed to answer; its log has more under this "
        "request's id"
    )


def document(fault: exception.DibServiceError, request_id: str | None) -> str:
    """The body of an answer that says no."""
    return json.dumps(
        {
            "error": {
                **fault.facts,
                "code": fault.code,
                "title": fault.title,
                "message": fault.message,
                "request_id": request_id,
            }
        },
        default=str,
    )


class FaultBody:
    """Gives the answers of everything in front of our handlers our form.

    keystonemiddleware, the size limit and other middleware have bodies of
    their own for 401, 413, 503; a client should need to read one form only.
    """

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        answer = _Answer()
        try:
            body = self._application(environ, answer.start)
        except Exception:
            LOG.exception("a request failed outside its handler")
            answer.status, answer.headers, body = "500 ", [], ()
            environ.pop(ANSWERED, None)
        code = int(answer.status.split(" ", 1)[0])
        if code < 400 or environ.get(ANSWERED):
            start_response(answer.status, answer.headers)
            return body
        _close(body)
        return _replaced(code, answer.headers, environ, start_response)


class _Answer:
    """What an application passed to start_response."""

    def __init__(self) -> None:
        self.status = "500 "
        self.headers: list[tuple[str, str]] = []

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: object = None,
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, headers
        return lambda data: None


def _replaced(
    code: int,
    headers: list[tuple[str, str]],
    environ: "WSGIEnvironment",
    start_response: "StartResponse",
) -> Iterable[bytes]:
    fault = _fault(code, _ADVICE.get(code))
    body = document(fault, environ.get(REQUEST_ID)).encode()
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in ("content-type", "content-length")
    ]
    start_response(
        f"{code} {fault.title}",
        [
            *kept,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _from_falcon(error: falcon.HTTPError) -> exception.DibServiceError:
    if isinstance(error, falcon.HTTPRouteNotFound):
        return _fault(404, "there is nothing at this address")
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return _fault(405, "this address does not know that method")
    return _fault(error.status_code, error.description)


def _fault(code: int, message: str | None) -> exception.DibServiceError:
    """A fault of any status: most have no class of their own."""
    try:
        title = http.HTTPStatus(code).phrase
    except ValueError:
        title = "Error"
    kind = type(
        "Fault", (exception.DibServiceError,), {"code": code, "title": title}
    )
    fault: exception.DibServiceError = kind(message or title)
    return fault
