"""Which versions of the API there are, and which one a request wants.

1.0 - builds, their log and events, builders, elements

A new microversion is added when a client could tell the difference, here and
in rest_api_version_history.rst.
"""

import re
from typing import Any

import falcon

from dib_service.api import faults
from dib_service.api.request import Request, Response

Version = tuple[int, int]

MIN: Version = (1, 0)
MAX: Version = (1, 0)

SERVICE_TYPE = "image-build"
HEADER = "OpenStack-API-Version"

_NUMBER = re.compile(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,3})")


def index(req: Request) -> Response:
    """The versions, for whoever looks at the root."""
    return Response({"versions": [_version(req)]})


def show(req: Request) -> Response:
    """The one version that is under ``/v1``."""
    return Response({"version": _version(req)})


def negotiate(header: str | None) -> Version:
    """The microversion that a request wants; without a header, the oldest.

    :raises BadRequest: the header is not one of versions.
    :raises NotAcceptable: that version is none of ours.
    """
    wanted = _ours(header)
    if wanted is None:
        return MIN
    if wanted == "latest":
        return MAX
    number = _NUMBER.fullmatch(wanted)
    if number is None:
        raise faults.refusal(
            HEADER,
            f"expected '{SERVICE_TYPE} X.Y' or '{SERVICE_TYPE} latest'",
            value=header,
        )
    version = (int(number[1]), int(number[2]))
    if not MIN <= version <= MAX:
        raise faults.NotAcceptable(
            f"version {wanted} of the API is not known here; the oldest is "
            f"{text(MIN)}, the newest {text(MAX)}",
            min_version=text(MIN),
            max_version=text(MAX),
        )
    return version


def text(version: Version) -> str:
    """A version as it is written."""
    return f"{version[0]}.{version[1]}"


class Microversion:
    """Reads the header of each request, and tells what the answer follows."""

    def process_request(
        self, req: falcon.Request, resp: falcon.Response
    ) -> None:
        # Whoever asks which versions there are cannot know them yet.
        if req.path in ("/", "/v1"):
            return
        req.context.version = negotiate(req.get_header(HEADER))

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        version = getattr(req.context, "version", MIN)
        resp.set_header(HEADER, f"{SERVICE_TYPE} {text(version)}")
        resp.set_header(
            "OpenStack-API-Minimum-Version", f"{SERVICE_TYPE} {text(MIN)}"
        )
        resp.set_header(
            "OpenStack-API-Maximum-Version", f"{SERVICE_TYPE} {text(MAX)}"
        )
        resp.append_header("Vary", HEADER)


def _ours(header: str | None) -> str | None:
    """Our part of a header that may speak to several services."""
    for part in (header or "").split(","):
        service, _, version = part.strip().partition(" ")
        if service.lower() == SERVICE_TYPE:
            return version.strip().lower()
    return None


def _version(req: Request) -> dict[str, Any]:
    return {
        "id": "v1.0",
        "status": "CURRENT",
        "min_version": text(MIN),
        "version": text(MAX),
        # keystoneauth finds the routes below this address.
        "links": [{"rel": "self", "href": req.link("/v1/")}],
    }
