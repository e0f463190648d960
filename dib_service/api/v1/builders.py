"""The builder hosts that the operator enrolled."""

from dib_service import conf, exception, policies
from dib_service.api import faults, paging, text, views
from dib_service.api.request import Request, Response
from dib_service.objects.builder import Builder
from dib_service.policies import builder as rules


def index(req: Request) -> Response:
    """The builders, by name."""
    policies.authorize(req.context, rules.LIST)
    query = req.query({"limit": paging.limit, "marker": paging.text})
    limit = query.get("limit", conf.CONF.api.max_limit)
    marker = query.get("marker")
    try:
        rows = Builder.list(limit=limit + 1, marker=marker)
    except exception.NotFound as exc:
        raise faults.refusal(
            "marker", "names no builder", value=marker
        ) from exc
    return Response(
        paging.page(
            req,
            "builders",
            rows,
            limit=limit,
            marker=lambda row: row.id,
            view=views.builder,
        )
    )


def show(req: Request, *, builder_id: str) -> Response:
    """One builder, by id or name."""
    policies.authorize(req.context, rules.GET)
    req.query({})
    if text.has_control(builder_id):
        # No name has such; some databases would fail rather than look.
        raise exception.NotFound("builder", faults.shortened(builder_id))
    return Response({"builder": views.builder(Builder.get(builder_id))})
