"""What an image says of itself, wherever it is to go."""

from collections.abc import Iterator
from typing import Any

from dib_service.client.deployable.case import (
    Case,
    Finding,
    ok,
    problem,
    warning,
)

PERMITTED = ("raw", "gpt", "qcow2", "iso")
# What Glance calls a kernel or a ramdisk, and what goes into one.
LINKED = {"kernel_id": ("kernel", "aki"), "ramdisk_id": ("ramdisk", "ari")}


def status(case: Case) -> Iterator[Finding]:
    """Ironic takes active images only, and lists show no hidden ones.

    Source: ironic.common.glance_service.service_utils.is_image_active.
    """
    state = case.image.get("status")
    if state != "active":
        yield problem("status", f"it is {state}; Ironic takes active images")
    elif case.image.get("os_hidden"):
        yield warning("status", "active, but hidden: lists do not show it")
    else:
        yield ok("status", "active")


def image_type(case: Case) -> Iterator[Finding]:
    """What Ironic takes it for, and whether that was meant.

    Source: ironic.common.images.is_whole_disk_image, VALID_IMAGE_TYPES.
    """
    kind = case.image.get("img_type")
    named = [name for name in LINKED if case.image.get(name)]
    if case.image.get("disk_format") in ("aki", "ari"):
        yield problem(
            "image type",
            "it is a kernel or a ramdisk and no disk; for a deploy ramdisk "
            "see: openstack image build set-deploy-ramdisk",
        )
    elif kind and kind not in ("whole-disk", "partition"):
        yield warning(
            "image type",
            f"img_type={kind} is unknown to Ironic, which takes it for a "
            "whole disk",
        )
    elif case.whole_disk and named:
        yield warning(
            "image type",
            f"a whole disk (img_type) that names {' and '.join(named)}: "
            "Ironic passes over it, other programs take it for a partition",
        )
    elif not kind:
        yield _untyped(case, named)
    else:
        yield ok("image type", f"{kind}, as img_type says")


def _untyped(case: Case, named: list[str]) -> Finding:
    if case.whole_disk:
        return ok("image type", "a whole disk: neither img_type nor kernel_id")
    return warning(
        "image type",
        f"taken for a partition image, because of {' and '.join(named)} and "
        "no img_type; if it is a whole disk, the deploy destroys its "
        "partition table: set img_type",
    )


def linked(case: Case) -> Iterator[Finding]:
    """Kernel and ramdisk are there where something boots them.

    Sources: ironic.drivers.modules.deploy_utils.validate_image_properties
    and ironic.common.pxe_utils.get_instance_image_info: they are read by the
    ramdisk and anaconda deploy interfaces only; a node that boots from its
    own disk needs none. boot_iso_id stands for both of them.
    """
    needed = case.interface in ("ramdisk", "anaconda")
    if case.interface == "ramdisk" and case.image.get("boot_iso_id"):
        yield ok("kernel and ramdisk", "boot_iso_id is there in their place")
        return
    for name, (noun, kind) in LINKED.items():
        if case.image.get(name):
            yield _linked(case, name, noun, kind, needed=needed)
        elif needed:
            yield problem(
                noun,
                f"deploy interface {case.interface} boots it from the "
                f"network, and {name} is missing",
            )


def _linked(
    case: Case, name: str, noun: str, kind: str, *, needed: bool
) -> Finding:
    say = problem if needed else warning
    other = case.linked.get(name)
    image_id = case.image[name]
    if other is None:
        return say(noun, f"image {image_id} ({name}) is not there, or not "
                   "for you to see")  # fmt: skip
    if other.get("status") != "active":
        return say(noun, f"image {image_id} is {other.get('status')}")
    if other.get("disk_format") not in (kind, "raw"):
        return warning(
            noun,
            f"image {image_id} has disk_format {other.get('disk_format')}, "
            f"not {kind}",
        )
    return ok(noun, f"image {image_id} is active")


def formats(case: Case) -> Iterator[Finding]:
    """The format is one that conductors let through.

    Sources: ironic.conf.conductor permitted_image_formats and
    ironic.common.images.image_format_permitted; the content is compared with
    disk_format at deploy time (check_if_image_format_is_permitted).
    """
    name = case.image.get("disk_format")
    if name in ("aki", "ari"):
        return
    container = case.image.get("container_format")
    if name not in PERMITTED:
        yield problem(
            "format",
            f"{name} is not permitted ([conductor]permitted_image_formats: "
            f"{', '.join(PERMITTED)})",
        )
    elif container != "bare":
        yield warning(
            "format",
            f"{name} in container format {container}: Ironic looks at the "
            "first bytes and refuses what is no disk image",
        )
    elif name == "iso":
        yield warning("format", "iso: written to a disk as it is, not booted")
    else:
        yield ok("format", f"{name}, permitted by default")


def digest(case: Case) -> Iterator[Finding]:
    """There is a digest that the agent can check.

    Sources: ironic.drivers.modules.deploy_utils._instance_info_for_glance;
    ironic_python_agent.extensions.standby.ImageDownload, which refuses an
    image without one, and md5 while [DEFAULT]md5_enabled is false.
    """
    image: Any = case.image
    if image.get("os_hash_algo") and image.get("os_hash_value"):
        yield ok("hash", f"{image['os_hash_algo']}, by Glance")
    elif image.get("checksum"):
        yield problem("hash", "only md5, which agents refuse by default")
    else:
        yield problem("hash", "none: the agent cannot check what it writes")


def config_drive(case: Case) -> Iterator[Finding]:
    """Nova knows the value of img_config_drive.

    Source: nova.compute.api._validate_flavor_image_nostatus.
    """
    value = case.image.get("img_config_drive")
    if value is None:
        return
    if value in ("mandatory", "optional"):
        yield ok("config drive", f"{value}")
    else:
        yield problem(
            "config drive",
            f"img_config_drive={value}: Nova knows mandatory and optional",
        )


def boot_tested(case: Case) -> Iterator[Finding]:
    """The image was seen to boot before anybody could see it.

    Source: dib_boot_tested, which this service writes.
    """
    tested = case.image.get("dib_boot_tested")
    if tested == "no":
        yield warning("boot test", "nobody has booted it yet")
    elif tested:
        yield ok("boot test", str(tested))
