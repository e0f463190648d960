"""Nova on bare metal: all that stands between a user and Ironic.

    compute = Compute(metal, venv, postgresql=…, rabbitmq=…)
    compute.start()                    # most of a minute, Ironic running
    node = metal.enrol(machine, …, network_interface="flat")
    compute.wait_for(node)             # Placement has it
    flavor = compute.make_flavor("metal", RESOURCE_CLASS)
    ...                                # openstack server create --network

There is one network for servers, ``NETWORK``, on which the machines are.
Neutron gives each server an address and Nova writes it into its config drive.
"""

from collections.abc import Mapping
import pathlib
import re
import time
from typing import Any

from openstack.baremetal.v1.node import Node
from openstack.compute.v2.flavor import Flavor

from tools.lab import accounts, errors
from tools.lab.baremetal import Baremetal
from tools.lab.baremetal.network import ADDRESS, BRIDGE
from tools.lab.neutron import PHYSICAL_NETWORK, Neutron
from tools.lab.nova import Nova
from tools.lab.placement import Placement
from tools.lab.postgresql import PostgreSQL
from tools.lab.rabbitmq import RabbitMQ

# Ironic knows it by this name for its own errands.
NETWORK = BRIDGE
CIDR = "10.77.0.0/24"
# Apart from what DHCP gives to deploy ramdisks.
ADDRESSES = {"start": "10.77.0.20", "end": "10.77.0.99"}

# Nova looks at its nodes every so often.
SEEN_SECONDS = 120.0

PLACEMENT_VERSION = {"OpenStack-API-Version": "placement 1.39"}


class Compute:
    """Placement, Neutron and Nova beside an Ironic; ``venv`` has them."""

    def __init__(
        self,
        metal: Baremetal,
        venv: pathlib.Path,
        *,
        postgresql: PostgreSQL,
        rabbitmq: RabbitMQ,
    ) -> None:
        self.metal = metal
        self.cloud = metal.cloud
        self.placement = Placement(self.cloud, venv, postgresql=postgresql)
        self.neutron = Neutron(
            self.cloud,
            venv,
            postgresql=postgresql,
            transport_url=rabbitmq.transport_url,
        )
        self.nova = Nova(
            self.cloud,
            venv,
            postgresql=postgresql,
            transport_url=rabbitmq.transport_url,
        )

    def start(self) -> None:
        """Start what does not run, and have it all in the catalog."""
        accounts.make(
            self.cloud.state,
            self.cloud.keystone.auth_url,
            {
                "placement": self.placement.url,
                "network": self.neutron.url,
                "compute": self.nova.url,
            },
            users=accounts.BARE_METAL_USERS,
        )
        self.placement.start()
        self.neutron.start()
        self.nova.start()
        self._make_network()

    def stop(self) -> None:
        """End all of it."""
        self.nova.stop()
        self.neutron.stop()
        self.placement.stop()

    def wait_for(self, node: Node, *traits: str) -> None:
        """Return once a server that needs these can be scheduled there.

        :raises LabError: Nova did not see the node so in time.
        """
        deadline = time.monotonic() + SEEN_SECONDS
        while self.free(node) != 1 or not set(traits) <= self.traits(node):
            if time.monotonic() > deadline:
                raise errors.LabError(
                    f"node {node.id} is not free in Placement",
                    log=self.nova.processes["nova-compute"].log,
                )
            time.sleep(1)
        # Nova knows the node by now, and its cell only if it is told to look.
        self.nova.manage("cell_v2", "discover_hosts")

    def free(self, node: Node) -> int | None:
        """How many servers it takes: 1 or 0; None when it is not known."""
        resource = resource_of(str(node.resource_class))
        stock = self._placement_says(node, "inventories", {}).get(resource)
        if stock is None:
            return None
        used = self._placement_says(node, "usages", {}).get(resource, 0)
        # One that has a server is both used and reserved.
        return max(0, int(stock["total"] - stock["reserved"] - used))

    def traits(self, node: Node) -> set[str]:
        """What Placement knows it for."""
        return set(self._placement_says(node, "traits", []))

    def _placement_says(self, node: Node, what: str, default: Any) -> Any:
        with self.cloud.account("admin").connect() as cloud:
            answer = cloud.session.get(
                f"/resource_providers/{node.id}/{what}",
                endpoint_filter={
                    "service_type": "placement",
                    "interface": "public",
                },
                headers=PLACEMENT_VERSION,
                raise_exc=False,
            )
        # A node that Nova has not seen yet is 404.
        return answer.json().get(what, default)

    def make_flavor(
        self,
        name: str,
        resource_class: str,
        extra: Mapping[str, str] | None = None,
        *,
        ram_mib: int = 2048,
        disk_gib: int = 9,
    ) -> Flavor:
        """A flavor that asks for one whole node of this class.

        What is said of its CPUs, memory and disk is for people, and for what
        an image says it needs: none of it is taken from a node.
        """
        with self.cloud.account("admin").connect() as cloud:
            flavor: Flavor = cloud.compute.create_flavor(
                name=name, vcpus=1, ram=ram_mib, disk=disk_gib
            )
            cloud.compute.create_flavor_extra_specs(
                flavor,
                {
                    "resources:VCPU": "0",
                    "resources:MEMORY_MB": "0",
                    "resources:DISK_GB": "0",
                    f"resources:{resource_of(resource_class)}": "1",
                    **(extra or {}),
                },
            )
            return flavor

    def _make_network(self) -> None:
        with self.cloud.account("admin").connect() as cloud:
            if cloud.network.find_network(NETWORK):
                return
            network = cloud.network.create_network(
                name=NETWORK,
                is_shared=True,
                provider_network_type="flat",
                provider_physical_network=PHYSICAL_NETWORK,
                # No firewall of Neutron's stands before a machine.
                is_port_security_enabled=False,
            )
            cloud.network.create_subnet(
                network_id=network.id,
                name=NETWORK,
                ip_version=4,
                cidr=CIDR,
                gateway_ip=ADDRESS,
                allocation_pools=[ADDRESSES],
                is_dhcp_enabled=False,
            )


def resource_of(resource_class: str) -> str:
    """What Placement calls Ironic's resource class."""
    return "CUSTOM_" + re.sub("[^A-Z0-9]", "_", resource_class.upper())
