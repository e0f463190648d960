"""Ironic deploys what this service published, with what this service built.

The operator has the deploy ramdisk built, enrols the machine, tells it of the
ramdisk and leaves the node to a tenant. The tenant, who has no admin rights,
deploys an image that she has built; she shares it with Ironic's own project
before. Ironic reads all of it from Glance. The machine is virtual, what
speaks to it is real: its Redfish controller, Ironic, the ramdisk's agent.

Two builds of some three minutes, the boot test of one of them, and an emulated
deploy: at a load of eight that alone took nineteen minutes to the login.
"""

from collections.abc import Mapping
import datetime
import pathlib
import tempfile
import time
from typing import Any, ClassVar
import uuid

from openstack.baremetal.v1 import _proxy as baremetal_v1
from openstack.baremetal.v1.node import Node

from tests import lab, qemu
from tests.integration import deployed, published
from tests.qemu import configdrive
from tools.lab import baremetal
from tools.lab.baremetal.network import ADDRESS, NETMASK

DEPLOY_SECONDS = 2400.0

ENDED = ("active", "deploy failed", "error")


class BaremetalTest(deployed.Case):
    """One deploy, for all of these tests."""

    ironic: ClassVar[baremetal_v1.Proxy]
    node: ClassVar[Node]
    refused: ClassVar[Node]
    deployed: ClassVar[datetime.datetime]
    other_key: ClassVar[pathlib.Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        (image_id,) = published.debian().build["image_ids"]
        ramdisk = published.deploy_ramdisk()
        folder = pathlib.Path(
            cls.enterClassContext(tempfile.TemporaryDirectory())
        )
        cls.key, cls.other_key = folder / "key", folder / "other"
        for key in (cls.key, cls.other_key):
            configdrive.new_key(key)
        cls.metal = lab.baremetal()
        cls.machine = baremetal.Machine(
            accelerated=qemu.accelerator() == "kvm"
        )
        cls.metal.rack.install(cls.machine)
        demo = cls.enterClassContext(cls.metal.cloud.account("demo").connect())
        cls.ironic = demo.baremetal
        cls.node = enrol(cls.metal, cls.machine, ramdisk)
        hand_over(cls.metal, cls.node, demo.current_project_id)
        cls.ironic.update_node(
            cls.node, instance_info={"image_source": image_id}
        )
        # Ironic's own validation does not look whether it may read an image.
        cls.refused = cls.deploy()
        share_with_ironic(cls.metal, image_id)
        cls.deployed = datetime.datetime.now(tz=datetime.UTC)
        node = cls.deploy()
        if node.provision_state != "active":
            raise AssertionError(f"{node.provision_state}: {node.last_error}")
        cls.wait_for_login()

    def test_a_private_image_is_none_of_ironics(self) -> None:
        """Neither an admin asked, nor was the image shared with Ironic."""
        self.assertEqual("deploy failed", self.refused.provision_state)
        self.assertIn("could not be found", self.refused.last_error)

    def test_the_node_boots_the_ramdisk_that_was_built(self) -> None:
        with self.metal.cloud.operator().connect() as operator:
            told = operator.baremetal.get_node(self.node.id).driver_info
        self.assertEqual(
            published.image_ids(published.deploy_ramdisk()),
            {
                "kernel": told["deploy_kernel"],
                "ramdisk": told["deploy_ramdisk"],
            },
        )

    def test_the_node_is_active(self) -> None:
        node = self.ironic.get_node(self.node.id)
        self.assertEqual(
            ("active", "power on", None),
            (node.provision_state, node.power_state, node.last_error),
        )
        self.assertTrue(node.driver_internal_info["is_whole_disk_image"])

    def test_it_runs_from_its_own_disk(self) -> None:
        root = self.run_there("findmnt -no SOURCE,LABEL /").split()
        self.assertRegex(root[0], r"^/dev/vda\d$")
        self.assertEqual("cloudimg-rootfs", root[1])
        self.assertIn("vars", self.run_there("ls /sys/firmware/efi"))
        media = self.run_there("lsblk -nro NAME,LABEL")
        self.assertNotIn("VMEDIA", media)

    def test_the_config_drive_is_a_partition_of_the_disk(self) -> None:
        drive = self.run_there("readlink -f /dev/disk/by-label/config-2")
        self.assertRegex(drive.strip(), r"^/dev/vda\d$")
        self.assertEqual(self.machine.name, self.run_there("hostname").strip())
        self.assertIn(
            "ConfigDrive", self.run_there("cat /run/cloud-init/result.json")
        )

    def test_another_key_is_refused(self) -> None:
        said = self.metal.ssh(self.machine, self.other_key, "true")
        self.assertEqual(255, said.returncode)
        self.assertIn("Permission denied (publickey)", said.stderr)

    def test_its_host_keys_are_of_this_boot(self) -> None:
        made = self.run_there(
            "stat -c %Y /etc/ssh/ssh_host_*_key | sort | head -1"
        )
        self.assertGreater(int(made), self.deployed.timestamp())

    def test_its_root_fills_the_disk(self) -> None:
        told = self.run_there("df --block-size=1G --output=size / | tail -1")
        self.assertGreater(int(told), self.machine.disk_gib - 2)

    def test_no_unit_failed(self) -> None:
        self.assertEqual(
            "", self.run_there("systemctl list-units --failed --no-legend")
        )

    @classmethod
    def deploy(cls) -> Node:
        """The node, once a deploy by the image's owner has ended.

        :raises AssertionError: it takes too long.
        """
        drive = config_drive(cls.machine, cls.key)
        cls.ironic.set_node_provision_state(
            cls.node, "active", config_drive=drive
        )
        deadline = time.monotonic() + DEPLOY_SECONDS
        while True:
            node: Node = cls.ironic.get_node(cls.node.id)
            if node.provision_state in ENDED:
                return node
            if time.monotonic() > deadline:
                raise AssertionError(f"still {node.provision_state}")
            time.sleep(2)


def enrol(
    metal: baremetal.Baremetal,
    machine: baremetal.Machine,
    ramdisk: Mapping[str, Any],
) -> Node:
    """A node of the operator's project that boots the ramdisk's build."""
    with metal.cloud.account("admin").connect() as admin:
        node = metal.enrol(machine, owner=admin.current_project_id)
    with published.service() as running:
        published.tenant(running, "admin").ask(
            *("image", "build", "set-deploy-ramdisk", ramdisk["id"]),
            *("--node", machine.name),
        )
    return node


def hand_over(
    metal: baremetal.Baremetal, node: Node, project_id: str | None
) -> None:
    """Let a project deploy to the node as it likes."""
    with metal.cloud.operator().connect() as operator:
        operator.baremetal.update_node(node.id, owner=project_id)


def share_with_ironic(metal: baremetal.Baremetal, image_id: str) -> None:
    """Let Ironic's own user read an image of ``demo``, as its owner does."""
    project = metal.cloud.service_project_id()
    with metal.cloud.account("demo").connect() as demo:
        # The SDK's type allows for a Glance without the v2 API.
        images: Any = demo.image
        images.update_image(image_id, visibility="shared")
        images.add_member(image_id, member_id=project)


def config_drive(
    machine: baremetal.Machine, key: pathlib.Path
) -> dict[str, Any]:
    """The config drive of a machine, in Ironic's form."""
    return {
        "meta_data": {
            "uuid": str(uuid.uuid4()),
            "name": machine.name,
            "hostname": machine.name,
            "public_keys": {
                "mine": key.with_suffix(".pub").read_text().strip()
            },
        },
        "network_data": {
            "links": [
                {
                    "id": "port0",
                    "type": "phy",
                    "ethernet_mac_address": machine.mac,
                    "mtu": 1500,
                }
            ],
            "networks": [
                {
                    "id": "network0",
                    "type": "ipv4",
                    "link": "port0",
                    "ip_address": machine.address,
                    "netmask": NETMASK,
                    "routes": [
                        {
                            "network": "0.0.0.0",
                            "netmask": "0.0.0.0",
                            "gateway": ADDRESS,
                        }
                    ],
                }
            ],
            "services": [],
        },
    }
