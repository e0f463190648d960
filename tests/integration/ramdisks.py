"""A deploy ramdisk that Ironic can read, by the ids of its two images."""

from collections.abc import Mapping
import os
from pathlib import Path
from typing import Any

from tests import lab
from tests.integration import published as service

FORMATS = {"kernel": "aki", "ramdisk": "ari"}
FILES = {"kernel": "deploy.kernel", "ramdisk": "deploy.initramfs"}


def published() -> Mapping[str, str]:
    """What the service builds; or the files of a build that was before.

    DIB_TEST_RAMDISK may name the folder that they are in.
    """
    given = os.environ.get("DIB_TEST_RAMDISK")
    if not given:
        return service.image_ids(service.deploy_ramdisk())
    with lab.cloud().account("admin").connect() as admin:
        made: dict[str, Any] = {
            role: admin.create_image(
                f"deploy-{role}",
                filename=str(Path(given) / FILES[role]),
                disk_format=form,
                container_format=form,
                visibility="public",
                wait=True,
            )
            for role, form in FORMATS.items()
        }
    return {role: str(image.id) for role, image in made.items()}
