"""Neutron's agent for Open vSwitch: its broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from last_mile.client import Machine
import openstack_options

SERVICE = openstack_options.Service(
    name="neutron-openvswitch-agent",
    file=Path("/etc/neutron/neutron.conf.d/50-last-mile.conf"),
    group="neutron",
)


def configure(section: dict[str, Any], machine: Machine) -> None:
    """Have it speak with this broker.

    :raises Refused: something of the section is wrong or missing.
    """
    SERVICE.configure(section, machine)


def forget(machine: Machine) -> None:
    """Have it speak with nobody."""
    SERVICE.forget(machine)


def configured(machine: Machine) -> bool:
    """Whether an earlier boot left it with a broker."""
    return SERVICE.configured()
