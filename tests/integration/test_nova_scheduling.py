"""What Nova and Placement make of the properties of a published image.

The scheduler, the conductor, the compute service and Placement are real, and
so is Ironic; the node is one of driver "fake-hardware", so that a deploy is
over at once. What a machine makes of it is test_nova_baremetal's.
"""

import json
from typing import ClassVar

from openstack.baremetal.v1.node import Node
from openstack.compute.v2.flavor import Flavor
from openstack.compute.v2.server import Server
import openstack.connection
from openstack.image.v2.image import Image

from tests import lab
from tests.integration import servers, service_case
from tools.lab import compute as nova

TRAIT = "CUSTOM_DIB_LAB"
RESOURCE_CLASS = "on-paper"
SECONDS = 180.0


class SchedulingTest(service_case.ServiceCase):
    """One node that no machine stands for, and one image."""

    compute: ClassVar[nova.Compute]
    demo: ClassVar[openstack.connection.Connection]
    node: ClassVar[Node]
    flavor: ClassVar[Flavor]
    image: ClassVar[Image]
    network_id: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.compute = lab.compute()
        cls.demo = cls.enterClassContext(cls.connect())
        cls.node = cls.compute.metal.enrol_on_paper(
            resource_class=RESOURCE_CLASS, traits=[TRAIT]
        )
        cls.flavor = cls.compute.make_flavor(
            "on-paper", RESOURCE_CLASS, {"capabilities:boot_mode": "uefi"}
        )
        cls.image = cls.published()
        network = cls.demo.network.find_network(nova.NETWORK)
        assert network is not None
        cls.network_id = network.id
        cls.compute.wait_for(cls.node, TRAIT)

    def test_the_node_with_the_trait_gets_it(self) -> None:
        server = self.boot()
        self.assertEqual("ACTIVE", server.status, server.fault)
        with self.cloud.operator().connect() as cloud:
            node = cloud.baremetal.get_node(self.node.id)
        self.assertEqual(
            (server.id, self.image.id, "partition", [TRAIT]),
            (
                node.instance_id,
                node.instance_info["image_source"],
                node.instance_info["image_type"],
                node.instance_info["traits"],
            ),
        )
        [address] = server.addresses[nova.NETWORK]
        self.assertRegex(address["addr"], r"^10\.77\.0\.[2-9]\d$")

    def test_a_trait_that_no_node_has(self) -> None:
        self.assert_nowhere({"trait:CUSTOM_DIB_ELSEWHERE": "required"})

    def test_an_architecture_that_no_node_has(self) -> None:
        self.assert_nowhere({"architecture": "aarch64"})

    def test_the_hypervisor_is_called_baremetal(self) -> None:
        """An image that says so goes to bare metal only."""
        server = self.boot({"hypervisor_type": "baremetal"})
        self.assertEqual("ACTIVE", server.status, server.fault)

    def test_no_hypervisor_is_called_ironic(self) -> None:
        """Though Nova takes that value for an image."""
        self.assert_nowhere({"hypervisor_type": "ironic"})

    @classmethod
    def published(cls) -> Image:
        """An image that this service made, and that needs the trait."""
        case = cls()
        build = case.assert_complete(
            case.create(image={"traits": [TRAIT]}, **service_case.TINY)
        )
        (image_id,) = build["image_ids"]
        image = cls.demo.image.get_image(image_id)
        assert isinstance(image, Image)
        return image

    def assert_nowhere(self, properties: dict[str, str]) -> None:
        """No node takes the image with these properties."""
        server = self.boot(properties)
        self.assertEqual("ERROR", server.status)
        self.assertIn("No valid host was found", server.fault["message"])

    def boot(self, properties: dict[str, str] | None = None) -> Server:
        """A server of the image with these properties, active or failed."""
        self.assertEqual(1, self.compute.free(self.node))
        for name, value in (properties or {}).items():
            self.addCleanup(self.say, name, self.said(name))
            self.say(name, value)
        server = self.demo.compute.create_server(
            name=self.id().rpartition(".")[2].replace("_", "-"),
            flavor_id=self.flavor.id,
            image_id=self.image.id,
            config_drive=True,
            networks=[{"uuid": self.network_id}],
        )
        self.addCleanup(
            servers.delete, self.demo, server.id, self.compute, self.node
        )
        return servers.ended(self.demo, server.id, seconds=SECONDS)

    def said(self, name: str) -> str | None:
        """What the image says there."""
        told = self.demo.image.get(f"/images/{self.image.id}").json()
        value: str | None = told.get(name)
        return value

    def say(self, name: str, value: str | None) -> None:
        """Let the image say so; None: nothing."""
        change: dict[str, str] = {"path": f"/{name}"}
        if value is None:
            change["op"] = "remove"
        else:
            # Glance replaces what is there already.
            change.update(op="add", value=value)
        answer = self.demo.image.patch(
            f"/images/{self.image.id}",
            data=json.dumps([change]),
            headers={
                "Content-Type": "application/openstack-images-v2.1-json-patch"
            },
        )
        self.assertEqual(200, answer.status_code, answer.text)
