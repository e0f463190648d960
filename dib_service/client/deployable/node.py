"""What of the node itself stands in the way."""

from collections.abc import Iterator, Mapping
import re

from dib_service.client.deployable.case import (
    Body,
    Case,
    Finding,
    ok,
    problem,
    warning,
)

# What driver_info names to deploy with; an ISO goes before the two others.
DEPLOY_ISO = "deploy_iso"
DEPLOY = (DEPLOY_ISO, "deploy_kernel", "deploy_ramdisk")

_IN_GLANCE = re.compile(
    r"(?:glance://)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.IGNORECASE,
)


def deploy_images(node: Body) -> Mapping[str, str]:
    """The ids of the images of Glance that the node is deployed with.

    Sources: ironic.common.glance_service.service_utils.is_glance_image;
    ironic.drivers.utils.get_agent_kernel_ramdisk and get_agent_iso. What
    lies behind other addresses is nobody's but a web server's.
    """
    info = node.get("driver_info") or {}
    names = DEPLOY[:1] if info.get(DEPLOY_ISO) else DEPLOY[1:]
    found = {
        name: _IN_GLANCE.fullmatch(str(info.get(name) or "")) for name in names
    }
    return {name: match[1] for name, match in found.items() if match}


def deploy_interface(case: Case) -> Iterator[Finding]:
    """The node deploys this kind of image.

    Sources: ironic.drivers.modules: agent (direct) writes a disk, ramdisk
    boots kernel and ramdisk or an ISO and writes nothing, anaconda runs an
    installer; agent.CustomAgentDeploy has no step that writes an image, and
    agent.BootcAgentDeploy takes a container of a registry only.
    """
    if case.node is None:
        return
    name = case.interface
    if name == "ramdisk":
        yield warning("deploy interface", "ramdisk: nothing gets onto a disk")
    elif name == "anaconda":
        yield warning("deploy interface", "anaconda installs, and copies no "
                      "disk image")  # fmt: skip
    elif name == "custom-agent":
        yield warning(
            "deploy interface",
            "custom-agent: only a deploy step of its own writes an image",
        )
    elif name == "bootc":
        yield problem(
            "deploy interface",
            "bootc installs a container (oci://…) and refuses Glance's images",
        )
    else:
        yield ok("deploy interface", name)


def deploy_ramdisk(case: Case) -> Iterator[Finding]:
    """Something writes the image.

    Source: ironic.drivers.utils.get_agent_kernel_ramdisk: driver_info's
    deploy_kernel and deploy_ramdisk (or an ISO), else the conductor's own, for
    the architecture or for all. One of them alone is passed over, unless
    [conductor]error_on_ramdisk_config_inconsistency makes it an error.
    """
    if case.node is None or case.interface == "ramdisk":
        return
    info = case.node.get("driver_info") or {}
    if info.get("deploy_iso"):
        yield ok("deploy ramdisk", "driver_info has a deploy_iso")
    elif info.get("deploy_kernel") and info.get("deploy_ramdisk"):
        yield ok("deploy ramdisk", "driver_info names kernel and ramdisk")
    elif info.get("deploy_kernel") or info.get("deploy_ramdisk"):
        yield warning(
            "deploy ramdisk",
            "driver_info names only one of kernel and ramdisk, which Ironic "
            "passes over or refuses: the conductor's configuration must name "
            "both",
        )
    else:
        yield warning(
            "deploy ramdisk",
            "driver_info names none: the conductor's configuration must",
        )


def state(case: Case) -> Iterator[Finding]:
    """The node is free, as far as one sees now.

    Sources: ironic.common.states: deploys begin at available (a rebuild at
    active, error, deploy failed); nodes in maintenance are left alone.
    """
    if case.node is None:
        return
    if case.node.get("maintenance"):
        reason = case.node.get("maintenance_reason") or "no reason given"
        yield warning("node", f"in maintenance ({reason})")
        return
    now = case.node.get("provision_state")
    if now == "available":
        yield ok("node", "available")
    else:
        yield warning("node", f"now {now}: a deploy begins at available")
