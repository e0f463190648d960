"""Who may read the image when Ironic asks Glance for it."""

from collections.abc import Iterator

from dib_service.client.deployable.case import (
    Body,
    Case,
    Finding,
    ok,
    problem,
    warning,
)


def readable(case: Case) -> Iterator[Finding]:
    """Which of Ironic's rules lets it read the image, and what it names.

    Source: ironic.common.glance_service.service_utils.is_image_available, in
    its order, without allow_image_access_via_auth_token (off by default and
    on its way out): public and community; an asker with the role admin
    (ignore_project_check_for_admin_tasks); private and owned by Ironic's own
    project; shared with that project.
    """
    yield _readable(case, case.image, "access")
    for name, noun in (("kernel_id", "kernel"), ("ramdisk_id", "ramdisk")):
        other = case.linked.get(name)
        if other is not None:
            yield _readable(case, other, f"access to {noun}")


def deploy_readable(case: Case) -> Iterator[Finding]:
    """Ironic can read what the node is deployed with, too.

    Source: ironic.common.glance_service.image_service.check_image_service:
    Glance is asked with the token of whoever deploys, so that it shows what
    he may see: Nova's user for a server, else who asks Ironic. Then come the
    same rules as for the image.
    """
    if case.interface == "ramdisk":
        return
    for name, image in case.deploy.items():
        check = f"agent's {name.removeprefix('deploy_')}"
        if image is None:
            yield _unseen(case, check, name)
        elif image.get("status") != "active":
            yield problem(
                check, f"image {image.get('id')} is {image.get('status')}"
            )
        else:
            yield _readable(case, image, check)


def _unseen(case: Case, check: str, name: str) -> Finding:
    image_id = ((case.node or {}).get("driver_info") or {}).get(name)
    what = f"image {image_id} is not there, or not for you to see"
    if case.flavor is not None:
        return warning(
            check, f"{what}: passes while Nova's user may see it in Glance"
        )
    return problem(
        check,
        f"{what}, and Ironic asks Glance for it as whoever deploys: its owner "
        "makes it community or public",
    )


def _readable(case: Case, image: Body, check: str) -> Finding:
    visibility = image.get("visibility")
    if visibility in ("public", "community"):
        return ok(check, f"everybody may read it: it is {visibility}")
    ours = case.project_id
    if ours and visibility == "private" and image.get("owner") == ours:
        return ok(check, "private, and the bare-metal project owns it")
    if visibility == "shared":
        shared = _shared(case, str(image.get("id")), check)
        if shared is not None:
            return shared
    return _by_role(case, image, check)


def _shared(case: Case, image_id: str, check: str) -> Finding | None:
    """What being shared does for it; None where that is not enough.

    Ironic asks who the members are, and not whether they accepted.
    """
    members = case.members.get(image_id)
    if case.project_id is None:
        return None
    if members is None:
        return warning(
            check, "shared, and you may not read with whom: ask its owner"
        )
    state = members.get(case.project_id)
    if state == "accepted":
        return ok(check, "shared with the bare-metal project, and accepted")
    if state is not None:
        return warning(
            check,
            f"shared with the bare-metal project, which has it {state}: "
            "Ironic reads it all the same; to accept it, as that project: "
            f"openstack image set --accept {image_id}",
        )
    return None


def _by_role(case: Case, image: Body, check: str) -> Finding:
    """Only an admin's request gets it through."""
    how = f"{image.get('visibility')} and not open to Ironic's own project"
    if case.project_id is None:
        how = f"{image.get('visibility')}, and --bare-metal-project not given"
    if case.flavor is not None:
        return warning(
            check,
            f"{how}: passes while Nova's user has the role admin in Ironic; "
            + _advice(case, image),
        )
    if case.admin:
        return ok(
            check,
            f"{how}, but you are an admin, whose requests pass "
            "(ignore_project_check_for_admin_tasks)",
        )
    say = warning if case.project_id is None else problem
    return say(
        check,
        f"{how}: Ironic refuses it to who is no admin; "
        + _advice(case, image),
    )


def _advice(case: Case, image: Body) -> str:
    project = case.project_id or "BARE-METAL-PROJECT"
    image_id = image.get("id")
    words = f"openstack image add project {image_id} {project}"
    if image.get("visibility") != "shared":
        words = f"openstack image set --shared {image_id}, then {words}"
    return f"to be sure: {words}"
