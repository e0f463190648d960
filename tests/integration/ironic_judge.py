"""What Ironic's own functions say of images, asked in Ironic's own venv.

    python ironic_judge.py IRONIC_CONF < QUESTIONS

The questions are a JSON list of objects with ``id``, of an image in Glance,
and ``path``, its bytes; the answers are a list in the same order. It imports
nothing of this project.
"""

import json
import sys

from ironic.common import context, exception, images
from ironic.common.glance_service import image_service
from ironic.conf import CONF


def judged(question):
    """What a deploy would find out of one image, and in which words."""
    admin = context.RequestContext(roles=["admin"])
    shown = image_service.GlanceImageService(context=admin).show(
        question["id"]
    )
    source = {"image_source": question["id"]}
    return {
        "whole_disk": images.is_whole_disk_image(admin, source),
        "linked": images.get_image_properties(
            admin, question["id"], ["kernel_id", "ramdisk_id"]
        ),
        "permitted": permitted(question["path"], shown["disk_format"]),
        "for_a_member": available(question["id"], roles=["member"]),
    }


def permitted(path, disk_format):
    """Whether the bytes are safe, of that format, and it is one of theirs."""
    try:
        found = images.safety_check_image(path)
        images.check_if_image_format_is_permitted(found, disk_format)
    except exception.InvalidImage:
        return False
    return True


def available(image_id, *, roles):
    """Whether Ironic would deploy it for somebody with these roles."""
    asker = context.RequestContext(roles=roles)
    try:
        image_service.GlanceImageService(context=asker).show(image_id)
    except exception.ImageNotFound:
        return False
    return True


CONF(["--config-file", sys.argv[1]], project="ironic", default_config_files=[])
json.dump([judged(question) for question in json.load(sys.stdin)], sys.stdout)
