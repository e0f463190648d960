"""nova-compute: its broker, and its account in Keystone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from last_mile.client import Machine
import openstack_options

SERVICE = openstack_options.Service(
    name="nova-compute",
    file=Path("/etc/nova/nova.conf.d/50-last-mile.conf"),
    group="nova",
    auth=("placement", "neutron", "cinder", "service_user"),
)


def configure(section: dict[str, Any], machine: Machine) -> None:
    """Have it be a node of this cloud.

    :raises Refused: something of the section is wrong or missing.
    """
    SERVICE.configure(section, machine)


def forget(machine: Machine) -> None:
    """Have it be a node of no cloud."""
    SERVICE.forget(machine)


def configured(machine: Machine) -> bool:
    """Whether an earlier boot left it with a cloud."""
    return SERVICE.configured()
