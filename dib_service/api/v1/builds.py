"""Builds: asking for them, seeing what becomes of them, ending them."""

from collections.abc import Mapping
import re

from dib_service import conf, exception, policies
from dib_service.api import asked, faults, paging, schemas, views
from dib_service.api.request import Request, Response
from dib_service.conductor import rpcapi
from dib_service.objects import build as build_lib
from dib_service.objects import event, history, log
from dib_service.objects.build import Build
from dib_service.policies import build as rules
from dib_service.policies import builder as builder_rules

# The most bytes of a log in one answer.
LOG_BYTES = 2**20

_UUID = re.compile(schemas.UUID)


def index(req: Request) -> Response:
    """The builds of the asker's project, newest first."""
    policies.authorize(req.context, rules.LIST)
    query = req.query(
        {
            "limit": paging.limit,
            "marker": paging.text,
            "state": paging.one_of(*build_lib.STATES),
            "name": paging.text,
            "all_projects": paging.truth,
        }
    )
    project_id = req.context.project_id
    if query.get("all_projects"):
        policies.authorize(req.context, rules.LIST_ALL_PROJECTS)
        project_id = None
    limit = query.get("limit", conf.CONF.api.max_limit)
    try:
        rows = Build.list(
            project_id=project_id,
            state=query.get("state"),
            name=query.get("name"),
            limit=limit + 1,
            marker=query.get("marker"),
        )
    except exception.NotFound as exc:
        raise faults.refusal(
            "marker", "names no build of this list", value=query["marker"]
        ) from exc
    images = history.published(rows)
    return Response(
        paging.page(
            req,
            "builds",
            rows,
            limit=limit,
            marker=lambda row: row.id,
            view=lambda row: views.build(
                row, req.link, image_ids=images.get(row.id, ())
            ),
        )
    )


def create(req: Request) -> Response:
    """Accept a build; with ``dry_run``, only say what it would run."""
    policies.authorize(req.context, rules.CREATE)
    dry_run = req.query({"dry_run": paging.truth}).get("dry_run", False)
    body = req.body(schemas.BUILD_CREATE)["build"]
    asked.refuse_repeat(body.get("id"), req.link)
    name, wanted = asked.wanted(body)
    asked.authorize(req.context, wanted)

    chosen = asked.resolve(wanted)
    wanted = asked.without_formats(wanted, chosen, given="formats" in body)
    if dry_run:
        return Response({"plan": views.plan(chosen)})
    try:
        build = Build.create(
            req.context,
            wanted,
            {row.name: row.digest for row in chosen},
            name=name,
            build_id=body.get("id"),
        )
    except exception.BuildExists as exc:
        raise asked.repeated(exc.build_id, req.link) from exc
    rpcapi.ring()

    return Response(
        {"build": views.build(build, req.link)},
        status=202,
        headers={"Location": req.link(f"/v1/builds/{build.id}")},
    )


def show(req: Request, *, build_id: str) -> Response:
    """One build, with its attempts, artefacts and publications."""
    req.query({})
    build = _seen(req, build_id, rules.GET)
    with_builders = policies.allowed(req.context, builder_rules.GET)
    return Response(
        {
            "build": views.build_in_full(
                build, req.link, with_builders=with_builders
            )
        }
    )


def cancel(req: Request, *, build_id: str) -> Response:
    """Ask that a build stop; asking again is harmless."""
    req.query({})
    build = _seen(req, build_id, rules.CANCEL).request_cancel()
    rpcapi.ring()
    return Response({"build": views.build(build, req.link)}, status=202)


def delete(req: Request, *, build_id: str) -> Response:
    """Forget an ended build, its log and events; its images stay."""
    req.query({})
    _seen(req, build_id, rules.DELETE).delete()
    return Response(status=204)


def read_log(req: Request, *, build_id: str) -> Response:
    """Bytes of the log from an offset, and where to go on."""
    offset = req.query({"offset": paging.number}).get("offset", 0)
    # The state is older than the bytes: had the build ended by then, nothing
    # has been added since.
    build = _seen(req, build_id, rules.GET_LOG)
    data = log.read(build.id, offset=offset, limit=LOG_BYTES)
    next_offset = offset + len(data)
    complete = build.state in build_lib.ENDED and next_offset >= log.size(
        build.id
    )
    return Response(
        data,
        headers={
            "X-Log-Next-Offset": str(next_offset),
            "X-Log-Complete": "true" if complete else "false",
        },
    )


def list_events(req: Request, *, build_id: str) -> Response:
    """What a build has said, oldest first."""
    query = req.query({"limit": paging.limit, "marker": paging.number})
    build = _seen(req, build_id, rules.LIST_EVENTS)
    limit = query.get("limit", conf.CONF.api.max_limit)
    rows = event.of_build(
        build.id, limit=limit + 1, marker=query.get("marker")
    )
    return Response(
        paging.page(
            req,
            "events",
            rows,
            limit=limit,
            marker=lambda row: str(row.id),
            view=views.event,
        )
    )


def _seen(req: Request, build_id: str, rule: str) -> Build:
    """The build, if the asker may do ``rule`` to it.

    :raises NotFound: there is none, or none that the asker may see.
    :raises Forbidden: the asker may see it, and no more.
    """
    missing = exception.NotFound("build", build_id)
    if not _UUID.match(build_id):
        raise missing
    build = Build.get(build_id)
    target: Mapping[str, str | None] = {
        "project_id": build.project_id,
        "user_id": build.user_id,
    }
    # A build of one's own project is known to exist; one of another project
    # is not, unless a rule says that one may see it.
    own = build.project_id == req.context.project_id
    if not own and not policies.allowed(req.context, rules.GET, target):
        raise missing
    policies.authorize(req.context, rule, target)
    return build
