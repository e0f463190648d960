"""The elements that builders have registered."""

from dib_service import conf, exception, policies
from dib_service.api import faults, paging, views
from dib_service.api.request import Request, Response
from dib_service.objects import element
from dib_service.policies import element as rules


def index(req: Request) -> Response:
    """The elements, by name."""
    policies.authorize(req.context, rules.LIST)
    query = req.query({"limit": paging.limit, "marker": paging.text})
    limit = query.get("limit", conf.CONF.api.max_limit)
    known = element.registered()
    marker = query.get("marker", "")
    if marker and marker not in known:
        raise faults.refusal("marker", "names no element", value=marker)
    rows = [known[name] for name in sorted(known) if name > marker]
    return Response(
        paging.page(
            req,
            "elements",
            rows[: limit + 1],
            limit=limit,
            marker=lambda row: row.name,
            view=views.element,
        )
    )


def show(req: Request, *, name: str) -> Response:
    """One element, with its hooks."""
    policies.authorize(req.context, rules.GET)
    req.query({})
    known = element.registered()
    if name not in known:
        raise exception.NotFound("element", name)
    return Response({"element": views.element_in_full(known[name])})
