"""Everything that bare metal takes, in the order in which it starts."""

from collections.abc import Iterable, Mapping
import pathlib
import subprocess
from typing import Any

from openstack.baremetal.v1 import _proxy as baremetal_v1
from openstack.baremetal.v1.node import Node

from tools.lab import accounts
from tools.lab.baremetal import loader
from tools.lab.baremetal.hypervisor import Hypervisor
from tools.lab.baremetal.ironic import Ironic
from tools.lab.baremetal.machine import Machine, Rack
from tools.lab.baremetal.network import Network
from tools.lab.baremetal.redfish import Redfish
from tools.lab.cloud import Cloud

RESOURCE_CLASS = "baremetal"
# The network card of a node without a machine.
PAPER_MAC = "52:54:00:77:00:ff"
# Managing a node is one question to its controller.
ENROL_SECONDS = 120


class Baremetal:
    """Ironic beside a running cloud; ``venv`` has its programs."""

    def __init__(self, cloud: Cloud, venv: pathlib.Path) -> None:
        state = cloud.state
        self.cloud = cloud
        port = state.port("ironic")
        self.network = Network(
            state,
            inside=(
                cloud.keystone.port,
                cloud.glance.port,
                # Where somebody answers if Nova is there, too.
                state.port("neutron"),
            ),
            outside=(port,),
        )
        self.hypervisor = Hypervisor(state, self.network)
        self.rack = Rack(self.hypervisor)
        self.redfish = Redfish(state, venv, self.network, self.hypervisor)
        self.ironic = Ironic(cloud, venv, self.network, port)

    def start(self) -> None:
        """Start what does not run, and have Ironic in the catalog."""
        accounts.make(
            self.cloud.state,
            self.cloud.keystone.auth_url,
            {"baremetal": self.ironic.url},
            users=accounts.BARE_METAL_USERS,
        )
        self.network.start()
        self.hypervisor.start()
        self.redfish.start()
        self.ironic.start()
        loader.write(
            self.ironic.files / "loader.img", log=self.ironic.daemon.log
        )

    def stop(self) -> None:
        """End all of it; the last to start is the first to end."""
        self.ironic.stop()
        self.redfish.stop()
        self.hypervisor.stop()
        self.network.stop()

    def enrol(
        self,
        machine: Machine,
        *,
        kernel: str | None = None,
        ramdisk: str | None = None,
        **node: Any,
    ) -> Node:
        """The machine as a node that is ``available``.

        ``kernel`` and ``ramdisk`` are ids of images or URLs that Ironic can
        read; they may be told later. ``node``: further fields, as ``owner``.
        """
        with self.cloud.operator().connect() as cloud:
            metal = cloud.baremetal
            made = metal.create_node(
                name=machine.name,
                driver="redfish",
                resource_class=RESOURCE_CLASS,
                driver_info=self._driver_info(machine, kernel, ramdisk),
                properties=_properties(machine),
                **node,
            )
            metal.create_port(node_id=made.id, address=machine.mac)
            return _provided(metal, made)

    def enrol_on_paper(
        self, *, resource_class: str, traits: Iterable[str] = ()
    ) -> Node:
        """A node that is ``available`` and that no machine stands for.

        What is deployed to it is ``active`` at once. Its network interface is
        ``flat``, so this takes Neutron.
        """
        kinds = ("boot", "deploy", "management", "power")
        with self.cloud.operator().connect() as cloud:
            metal = cloud.baremetal
            made = metal.create_node(
                name=resource_class,
                driver="fake-hardware",
                resource_class=resource_class,
                network_interface="flat",
                properties=_properties(Machine()),
                **{f"{kind}_interface": "fake" for kind in kinds},
            )
            metal.create_port(node_id=made.id, address=PAPER_MAC)
            metal.set_node_traits(made, list(traits))
            # Nova waits for nodes whose power nobody knows.
            metal.set_node_power_state(
                made, "power off", wait=True, timeout=ENROL_SECONDS
            )
            return _provided(metal, made)

    def ssh(
        self,
        machine: Machine,
        key: pathlib.Path,
        *command: str,
        user: str = "debian",
    ) -> subprocess.CompletedProcess[str]:
        """How the command ended on a deployed machine, or how ssh did."""
        return subprocess.run(
            self.network.enter(
                [
                    *("ssh", "-F/dev/null", f"-l{user}", f"-i{key}"),
                    "-oBatchMode=yes",
                    "-oStrictHostKeyChecking=no",
                    "-oUserKnownHostsFile=/dev/null",
                    "-oLogLevel=ERROR",
                    "-oConnectTimeout=20",
                    # A machine that is gone does not say so; one that is
                    # emulated may be silent for a while.
                    "-oServerAliveInterval=30",
                    "-oServerAliveCountMax=10",
                    "-oIdentityAgent=none",
                    "-oIdentitiesOnly=yes",
                    *(machine.address, "--", *command),
                ]
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _driver_info(
        self, machine: Machine, kernel: str | None, ramdisk: str | None
    ) -> Mapping[str, str]:
        images = {"deploy_kernel": kernel, "deploy_ramdisk": ramdisk}
        return {
            "redfish_address": self.redfish.url,
            "redfish_system_id": machine.system_id,
            **{name: image for name, image in images.items() if image},
        }


def _provided(metal: baremetal_v1.Proxy, made: Node) -> Node:
    for verb in ("manage", "provide"):
        metal.set_node_provision_state(
            made, verb, wait=True, timeout=ENROL_SECONDS
        )
    node: Node = metal.get_node(made.id)
    return node


def _properties(machine: Machine) -> Mapping[str, Any]:
    return {
        "cpu_arch": "x86_64",
        "cpus": machine.cpus,
        "memory_mb": machine.memory_mib,
        "local_gb": machine.disk_gib - 1,
        "capabilities": "boot_mode:uefi",
        "root_device": {"name": "/dev/vda"},
    }
