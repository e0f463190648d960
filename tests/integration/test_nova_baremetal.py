"""A tenant's server on bare metal is what this service published.

``openstack server create`` goes through Nova's API, scheduler, conductor and
compute service to Ironic, Placement and Neutron having their say; Ironic has
the machine boot the deploy ramdisk and the ramdisk write the image, both of
which are builds of this service. The image stays private. The machine is
virtual, all else is real.

Two builds, one of them started once, and a deploy, all emulated: some 18
minutes on two quiet cores.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
from typing import ClassVar

from openstack.baremetal.v1.node import Node
from openstack.compute.v2.server import Server
import openstack.connection

from tests import lab, qemu
from tests.integration import deployed, published, servers, service_case
from tests.qemu import configdrive
from tools.lab import baremetal, daemon
from tools.lab import compute as nova
from tools.lab.baremetal.lab import RESOURCE_CLASS

# What keeps this test's server off the machines of others.
TRAIT = "CUSTOM_DIB_NOVA"
# Another one than Ironic's own test has, which may still run.
MACHINE = baremetal.Machine(
    name="node-2",
    uuid="6f5c1a52-0000-4000-8000-000000000021",
    mac="52:54:00:77:00:21",
)
EXTRA = {f"trait:{TRAIT}": "required", "capabilities:boot_mode": "uefi"}
NAME = "metal-1"
KEY_NAME = "mine"

DEPLOY_SECONDS = 2400.0


class NovaBaremetalTest(deployed.Case):
    """One server, for all of these tests."""

    compute: ClassVar[nova.Compute]
    demo: ClassVar[openstack.connection.Connection]
    node: ClassVar[Node]
    image_id: ClassVar[str]
    server: ClassVar[Server]
    other_key: ClassVar[pathlib.Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        (cls.image_id,) = published.debian().build["image_ids"]
        agent = published.image_ids(published.deploy_ramdisk())
        cls.compute = lab.compute()
        cls.metal = cls.compute.metal
        cls.demo = cls.enterClassContext(
            cls.metal.cloud.account("demo").connect()
        )
        cls.demo.image.update_image(cls.image_id, visibility="private")
        cls.make_keys()
        cls.machine = dataclasses.replace(
            MACHINE, accelerated=qemu.accelerator() == "kvm"
        )
        cls.metal.rack.install(cls.machine)
        cls.node = cls.metal.enrol(
            cls.machine,
            kernel=agent["kernel"],
            ramdisk=agent["ramdisk"],
            network_interface="flat",
        )
        with cls.metal.cloud.operator().connect() as operator:
            operator.baremetal.set_node_traits(cls.node, [TRAIT])
        cls.compute.make_flavor("metal", RESOURCE_CLASS, EXTRA)
        cls.compute.make_flavor("paltry", RESOURCE_CLASS, EXTRA, disk_gib=1)
        cls.compute.wait_for(cls.node, TRAIT)
        cls.deploy()

    def test_the_server_is_active_on_the_node(self) -> None:
        with self.metal.cloud.operator().connect() as operator:
            node = operator.baremetal.get_node(self.node.id)
        self.assertEqual(
            ("active", "power on", self.server.id, self.image_id),
            (
                node.provision_state,
                node.power_state,
                node.instance_id,
                node.instance_info["image_source"],
            ),
        )
        self.assertEqual(0, self.compute.free(self.node))

    def test_the_image_is_its_owners_alone(self) -> None:
        """Ironic reads it as Nova's user, who is an admin."""
        image = self.demo.image.get_image(self.image_id)
        self.assertEqual("private", image.visibility)
        with self.metal.cloud.account("ironic").connect() as ironic:
            self.assertIsNone(ironic.image.find_image(self.image_id))

    def test_it_runs_from_its_own_disk(self) -> None:
        root = self.run_there("findmnt -no SOURCE,LABEL /").split()
        self.assertRegex(root[0], r"^/dev/vda\d$")
        self.assertEqual("cloudimg-rootfs", root[1])
        self.assertIn("vars", self.run_there("ls /sys/firmware/efi"))

    def test_the_config_drive_is_novas(self) -> None:
        drive = self.run_there("readlink -f /dev/disk/by-label/config-2")
        self.assertRegex(drive.strip(), r"^/dev/vda\d$")
        self.assertIn(
            "ConfigDrive", self.run_there("cat /run/cloud-init/result.json")
        )
        self.assertEqual(
            [self.server.id, NAME],
            [
                self.run_there("cloud-init query instance_id").strip(),
                self.run_there("hostname").strip(),
            ],
        )

    def test_its_address_is_the_one_that_neutron_gave(self) -> None:
        """Nothing but the config drive could have told it."""
        shown = json.loads(
            self.run_there("ip -json address show scope global")
        )
        # Of what has another scope an empty object is left.
        given = [
            (link["address"], address["local"], bool(address.get("dynamic")))
            for link in shown
            for address in link.get("addr_info", [])
            if address.get("family") == "inet"
        ]
        self.assertEqual(
            [(self.machine.mac, self.machine.address, False)], given
        )

    def test_another_key_is_refused(self) -> None:
        said = self.metal.ssh(self.machine, self.other_key, "true")
        self.assertEqual(255, said.returncode)
        self.assertIn("Permission denied (publickey)", said.stderr)

    def test_a_flavor_with_too_small_a_disk_is_refused(self) -> None:
        """By Nova's API: min_disk of the image says so."""
        said = self.create("--flavor", "paltry", "too-small")
        self.assertNotEqual(0, said.returncode)
        self.assertIn("disk is smaller than the minimum size", said.stderr)

    @classmethod
    def make_keys(cls) -> None:
        """One that Nova knows, and one that it does not."""
        folder = pathlib.Path(
            cls.enterClassContext(tempfile.TemporaryDirectory())
        )
        cls.key, cls.other_key = folder / "key", folder / "other"
        configdrive.new_key(cls.other_key)
        cls.demo.compute.create_keypair(
            name=KEY_NAME, public_key=configdrive.new_key(cls.key)
        )

    @classmethod
    def create(cls, *words: str) -> subprocess.CompletedProcess[str]:
        """How ``openstack server create`` ended, as the tenant typed it."""
        account = cls.metal.cloud.account("demo")
        return subprocess.run(
            [
                str(service_case.BIN / "openstack"),
                *("server", "create", "-f", "json"),
                *("--image", cls.image_id, "--network", nova.NETWORK),
                *("--key-name", KEY_NAME, "--config-drive", "true"),
                *words,
            ],
            env={
                "PATH": daemon.PATH,
                "LC_ALL": "C.UTF-8",
                "HOME": os.environ.get("HOME", "/"),
                **account.environment(),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @classmethod
    def deploy(cls) -> None:
        """Make the server, and wait until the key logs in.

        :raises AssertionError: it failed, or took too long.
        """
        said = cls.create("--flavor", "metal", NAME)
        if said.returncode != 0:
            raise AssertionError(said.stderr)
        made = json.loads(said.stdout)
        cls.server = servers.ended(
            cls.demo, made["id"], seconds=DEPLOY_SECONDS
        )
        if cls.server.status != "ACTIVE":
            raise AssertionError(cls.server.fault)
        [address] = cls.server.addresses[nova.NETWORK]
        cls.machine = dataclasses.replace(cls.machine, address=address["addr"])
        cls.wait_for_login()
