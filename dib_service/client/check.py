"""``openstack image build check-deployable``: would Ironic take an image?"""

import argparse
from collections.abc import Iterator, Mapping
import contextlib
from typing import Any
import urllib.parse

from openstack import connection, exceptions
from osc_lib import exceptions as osc_exceptions
from osc_lib.command import command

from dib_service.client import arguments, columns, deployable
from dib_service.client.deployable import node as node_rules
from dib_service.client.deployable.case import Body, Case


class CheckDeployable(command.Lister):
    """Say whether Ironic would take an image, and why not.

    Judged from what Glance, Ironic and Nova show you, against their defaults;
    nothing is deployed. The exit status is 1 when there is a problem.
    """

    exit_status = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "image",
            metavar="<image>",
            type=arguments.reference,
            help="Image to judge (ID or name)",
        )
        parser.add_argument(
            "--node",
            metavar="<node>",
            type=arguments.node,
            help=(
                "Node to deploy to (ID or name); without --flavor, by "
                "Ironic's own API"
            ),
        )
        parser.add_argument(
            "--flavor",
            metavar="<flavor>",
            type=arguments.reference,
            help="Flavor of a server to make through Nova (ID or name)",
        )
        parser.add_argument(
            "--bare-metal-project",
            metavar="<project>",
            type=arguments.reference,
            help=(
                "Project of the user that Ironic reads images as (ID or "
                "name), often service: may it read the image?"
            ),
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Table:
        """Ask what there is, and judge it."""
        case = gather(
            self.app.client_manager.sdk_connection,
            parsed_args.image,
            node=parsed_args.node,
            flavor=parsed_args.flavor,
            project=parsed_args.bare_metal_project,
        )
        findings = deployable.judge(case)
        if any(finding.verdict == "problem" for finding in findings):
            self.exit_status = 1
        return ("Check", "Verdict", "Reason"), (
            (finding.check, finding.verdict, columns.Prose(finding.reason))
            for finding in findings
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """The exit status: not zero when there is a problem."""
        return super().run(parsed_args) or self.exit_status


def gather(
    cloud: connection.Connection,
    image: str,
    *,
    node: str | None = None,
    flavor: str | None = None,
    project: str | None = None,
) -> Case:
    """The case, as the asker's own credential shows it.

    :raises NotFoundException: image, node or flavor is not there for him.
    """
    found = cloud.image.find_image(image, ignore_missing=False)
    body = _image(cloud, found.id) or {}
    linked = {
        name: _image(cloud, body[name])
        for name in ("kernel_id", "ramdisk_id")
        if body.get(name)
    }
    machine = _node(cloud, node) if node else None
    deploy = {
        name: _image(cloud, image_id)
        for name, image_id in node_rules.deploy_images(machine or {}).items()
    }
    others = (*linked.values(), *deploy.values())
    return Case(
        image=body,
        linked=linked,
        deploy=deploy,
        members=_members(cloud, [body, *(each for each in others if each)]),
        node=machine,
        flavor=_flavor(cloud, flavor) if flavor else None,
        project_id=_project_id(cloud, project) if project else None,
        admin=_is_admin(cloud),
    )


def _image(cloud: connection.Connection, image_id: str) -> Body | None:
    """The image in Glance's own words; None: there is none for the asker."""
    path = urllib.parse.quote(str(image_id), safe="")
    response = cloud.image.get(f"/images/{path}")
    if response.status_code in (403, 404):
        return None
    exceptions.raise_from_response(response)
    answer: Body = response.json()
    return answer


def _members(
    cloud: connection.Connection, images: list[Body]
) -> Mapping[str, Mapping[str, str]]:
    """With whom each image is shared, as far as the asker may know."""
    members = {}
    for image in images:
        if image.get("visibility") != "shared":
            continue
        response = cloud.image.get(f"/images/{image['id']}/members")
        if response.status_code == 200:
            members[image["id"]] = {
                member["member_id"]: member["status"]
                for member in response.json()["members"]
            }
    return members


def _node(cloud: connection.Connection, node: str) -> Body:
    with _there("Ironic", "--node"):
        found: Any = cloud.baremetal.get_node(node)
    body: Body = found.to_dict(original_names=True, computed=False)
    return body


def _flavor(cloud: connection.Connection, flavor: str) -> Body:
    with _there("Nova", "--flavor"):
        found: Any = cloud.compute.find_flavor(
            flavor, ignore_missing=False, get_extra_specs=True
        )
    body: Body = found.to_dict(original_names=True, computed=False)
    return body


@contextlib.contextmanager
def _there(service: str, option: str) -> Iterator[None]:
    """Say in other words than the SDK's that a service is not there.

    :raises CommandError: it is not.
    """
    try:
        yield
    except exceptions.ServiceDisabledException as exc:
        raise osc_exceptions.CommandError(
            f"{option}: your catalog has no {service}"
        ) from exc


def _project_id(cloud: connection.Connection, project: str) -> str:
    """Its id; what the asker may not look up is taken for one."""
    identity: Any = cloud.identity
    try:
        found = identity.find_project(project, ignore_missing=True)
    except (
        exceptions.ForbiddenException,
        # A cloud without Keystone.
        exceptions.ServiceDisabledException,
    ):
        return project
    return str(found.id) if found else project


def _is_admin(cloud: connection.Connection) -> bool:
    """The asker has the role admin; without Keystone nobody has a role."""
    auth: Any = cloud.session.auth
    try:
        access = auth.get_access(cloud.session)
    except AttributeError:
        return False
    return "admin" in (getattr(access, "role_names", None) or ())
