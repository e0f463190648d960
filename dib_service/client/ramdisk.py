"""``openstack image build set-deploy-ramdisk``: nodes boot what was built."""

import argparse
from collections.abc import Iterator, Mapping
import dataclasses
from typing import Any

from openstack import connection, exceptions
from osc_lib import exceptions as osc_exceptions
from osc_lib.command import command

from dib_service.client import arguments, columns, plugin, sdk

# What a node calls each file, by the role that it has in a build.
FIELDS = {"kernel": "deploy_kernel", "ramdisk": "deploy_ramdisk"}

# The image service that Ironic reads from, in the words of a build.
TARGET = "glance"


class SetDeployRamdisk(command.Lister):
    """Let nodes boot the deploy ramdisk that a build has published.

    Sets deploy_kernel and deploy_ramdisk in the nodes' driver_info, with your
    own credential in Ironic. Asked twice, it changes nothing. The exit status
    is 1 when a node could not be set.
    """

    exit_status = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """What may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "build", metavar="<build>", help="Complete build (ID or name)"
        )
        nodes = parser.add_mutually_exclusive_group(required=True)
        nodes.add_argument(
            "--node",
            metavar="<node>",
            type=arguments.node,
            dest="nodes",
            action="append",
            help="Node to set (ID or name; repeat for several)",
        )
        nodes.add_argument(
            "--all",
            action="store_true",
            help="Set all nodes of the ramdisk's architecture that you see",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> columns.Table:
        """Set each node.

        :raises CommandError: the build is no deploy ramdisk, or not there.
        """
        cloud = self.app.client_manager.sdk_connection
        found = plugin.client_of(self).find_build(parsed_args.build)
        build = plugin.client_of(self).get_build(found.id)
        wanted = published(build)
        for image_id in wanted.values():
            self._look_at(cloud, image_id)
        if parsed_args.all:
            outcomes = list(_set_all(cloud, build, wanted))
        else:
            outcomes = [
                _set_named(cloud, name, build, wanted)
                for name in dict.fromkeys(parsed_args.nodes)
            ]
        if any(outcome.failed for outcome in outcomes):
            self.exit_status = 1
        return ("Node", "Result", *wanted, "Replaced"), (
            (
                outcome.node,
                columns.Prose(outcome.result),
                *(None if outcome.failed else id_ for id_ in wanted.values()),
                columns.Facts(outcome.replaced),
            )
            for outcome in outcomes
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """The exit status: not zero when a node could not be set."""
        return super().run(parsed_args) or self.exit_status

    def _look_at(self, cloud: connection.Connection, image_id: str) -> None:
        """Nodes could boot it; say so if Ironic may be kept from it.

        :raises CommandError: it is not there any more, or not active.
        """
        try:
            image: Any = cloud.image.get_image(image_id)
        except exceptions.NotFoundException as exc:
            raise osc_exceptions.CommandError(
                f"image {image_id} is not there any more"
            ) from exc
        if image.status != "active":
            raise osc_exceptions.CommandError(
                f"image {image_id} is {image.status}"
            )
        if image.visibility in ("private", "shared"):
            self.app.stderr.write(
                f"image {image_id} is {image.visibility}: Ironic reads it for "
                "admins, and for whoever deploys and may see it himself when "
                "Ironic's own project owns it or is a member; for everybody: "
                f"openstack image set --community {image_id}\n"
            )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a node; ``replaced`` are the values that went."""

    node: str
    result: str
    replaced: Mapping[str, str | None]
    failed: bool = False


def published(build: sdk.Build) -> Mapping[str, str]:
    """The images of the build's kernel and ramdisk, by a node's field.

    :raises CommandError: the build has not published a deploy ramdisk.
    """
    if build.state != "complete":
        raise osc_exceptions.CommandError(
            f"build {build.id} is {build.state}, not complete"
        )
    images = {
        each.get("role"): each.get("image_id")
        for each in build.publications or ()
        if each.get("target") == TARGET
        and each.get("state") == "published"
        and each.get("epoch") in (None, build.epoch)
    }
    if "image" in images or not set(FIELDS) <= set(images):
        raise osc_exceptions.CommandError(
            f"build {build.id} has not put a ramdisk of its own into the "
            "image service of this cloud: a deploy ramdisk is built with the "
            "element ironic-python-agent-ramdisk"
        )
    return {field: str(images[role]) for role, field in FIELDS.items()}


def _set_all(
    cloud: connection.Connection, build: sdk.Build, wanted: Mapping[str, str]
) -> Iterator[Outcome]:
    for node in cloud.baremetal.nodes(details=True):
        if _other_machine(node, build) is None:
            yield _set(cloud, node, wanted)


def _set_named(
    cloud: connection.Connection,
    name: str,
    build: sdk.Build,
    wanted: Mapping[str, str],
) -> Outcome:
    try:
        node = cloud.baremetal.get_node(name)
    except exceptions.SDKException as exc:
        return _failed(name, exc)
    other = _other_machine(node, build)
    if other is not None:
        return Outcome(
            name,
            f"not set: it is {other}, the ramdisk is for {build.architecture}",
            {},
            failed=True,
        )
    return _set(cloud, node, wanted)


def _other_machine(node: Any, build: sdk.Build) -> str | None:
    """The node's architecture, where the ramdisk is for another."""
    own = (node.properties or {}).get("cpu_arch")
    return own if own and own != build.architecture else None


def _set(
    cloud: connection.Connection, node: Any, wanted: Mapping[str, str]
) -> Outcome:
    name = node.name or node.id
    info = node.driver_info or {}
    changes = {
        field: image_id
        for field, image_id in wanted.items()
        if str(info.get(field) or "").removeprefix("glance://") != image_id
    }
    if not changes:
        return Outcome(name, _with_iso("unchanged", info), {})
    try:
        cloud.baremetal.patch_node(node, _patch(changes))
    except exceptions.SDKException as exc:
        return _failed(name, exc)
    return Outcome(
        name,
        _with_iso("set", info),
        {field: info.get(field) for field in changes},
    )


def _patch(changes: Mapping[str, str]) -> list[dict[str, Any]]:
    # "add" puts a value in the place of another, where there is one.
    return [
        {"op": "add", "path": f"/driver_info/{field}", "value": image_id}
        for field, image_id in changes.items()
    ]


def _with_iso(result: str, info: Mapping[str, Any]) -> str:
    """The result, and what the node boots all the same.

    Source: ironic.drivers.modules.image_utils.prepare_deploy_iso.
    """
    if info.get("deploy_iso"):
        return f"{result}, but its deploy_iso goes first"
    return result


def _failed(name: str, error: Exception) -> Outcome:
    sdk.LOG.debug("set node %s", name, exc_info=error)
    return Outcome(name, f"not set: {error}", {}, failed=True)
