"""Whether Ironic would take an image, judged before anything is deployed.

Plain dictionaries in, findings out: nothing here asks a service. Each rule's
docstring names the code that would say the same at deploy time, as of Ironic
39, its agent 13 and Nova 34.
"""

from collections.abc import Callable, Iterator

from dib_service.client.deployable import access, boot, fit, image, node
from dib_service.client.deployable.case import Case, Finding

Rule = Callable[[Case], Iterator[Finding]]

# In the order in which somebody who mends an image would want to know.
RULES: tuple[Rule, ...] = (
    image.status,
    image.image_type,
    image.linked,
    image.formats,
    image.digest,
    image.config_drive,
    image.boot_tested,
    access.readable,
    access.deploy_readable,
    boot.boot_mode,
    boot.boot_loader,
    boot.secure_boot,
    fit.root_device,
    fit.memory,
    fit.architecture,
    fit.hypervisor,
    fit.traits,
    fit.capabilities,
    fit.resource_class,
    node.deploy_interface,
    node.deploy_ramdisk,
    node.state,
)


def judge(case: Case) -> list[Finding]:
    """What each rule that has something to say about the case says."""
    return [finding for rule in RULES for finding in rule(case)]
