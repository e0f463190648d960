"""What Ironic's own functions say of images and nodes.

    ironic_verdicts.py < CASES > VERDICTS

Both are JSON lists. A case has image (as Glance shows it), node (as Ironic
does), members (ids), project_id (of Ironic's own user) and admin. Runs in the
services' venv and so imports nothing of ours.
"""

import json
import sys
import types
from typing import Any
from unittest import mock

from ironic.common import context as ironic_context
from ironic.common import exception, images
from ironic.common.glance_service import service_utils
from ironic.conductor import utils as conductor_utils
from ironic.conf import CONF
from ironic.drivers.modules import boot_mode_utils, deploy_utils

FIELDS = ("id", "status", "visibility", "owner")


def main() -> None:
    """Answer each case."""
    CONF([], project="ironic", default_config_files=[])
    # With both at their default the conductor streams everything, and
    # nothing has to fit into memory.
    CONF.set_override("force_raw_images", False)
    json.dump([verdicts(case) for case in json.load(sys.stdin)], sys.stdout)


def verdicts(case: dict[str, Any]) -> dict[str, Any]:
    """What it says, by question."""
    image, node = case["image"], node_of(case["node"])
    context = ironic_context.RequestContext(
        roles=["admin"] if case["admin"] else ["member"]
    )
    task = types.SimpleNamespace(node=node, context=context)
    with (
        mock.patch.object(images, "get_image_properties", return_value=image),
        mock.patch.object(
            deploy_utils, "get_image_properties", return_value=image
        ),
        mock.patch.object(
            service_utils,
            "get_conductor_project_id",
            return_value=case["project_id"],
        ),
        mock.patch.object(
            service_utils,
            "get_image_member_list",
            return_value=case["members"],
        ),
    ):
        whole_disk = images.is_whole_disk_image(
            context, {"image_source": image["id"]}
        )
        node.driver_internal_info["is_whole_disk_image"] = whole_disk
        glance = types.SimpleNamespace(**{k: image[k] for k in FIELDS})
        return {
            "whole_disk": whole_disk,
            "active": service_utils.is_image_active(glance),
            "readable": service_utils.is_image_available(context, glance),
            "permitted": images.image_format_permitted(image["disk_format"]),
            "boot_mode": answer(boot_mode_utils.get_boot_mode, node),
            "fits_memory": passes(deploy_utils.check_image_size, node, image),
            "traits": passes(
                conductor_utils.validate_instance_info_traits, node
            ),
            "linked": passes(
                deploy_utils.validate_image_properties,
                task,
                {"image_source": image["id"]},
            ),
        }


def node_of(body: dict[str, Any]) -> Any:
    """A node, as far as these functions look at one."""
    traits = types.SimpleNamespace(get_trait_names=lambda: body["traits"])
    return types.SimpleNamespace(
        uuid="node",
        properties=body["properties"],
        instance_info=body["instance_info"],
        driver_info=body["driver_info"],
        driver_internal_info={},
        traits=traits,
        get_interface=lambda kind: body["deploy_interface"],
        deploy_interface=body["deploy_interface"],
    )


def answer(ask: Any, *of: Any) -> Any:
    """What the function says; None: it refuses."""
    try:
        return ask(*of)
    except exception.IronicException:
        return None


def passes(ask: Any, *of: Any) -> bool:
    """It does not refuse."""
    try:
        ask(*of)
    except exception.IronicException:
        return False
    return True


if __name__ == "__main__":
    main()
