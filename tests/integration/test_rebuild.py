"""Ironic rebuilds a node, and its state is on the partition that is kept.

A partition image is deployed with an ephemeral partition, which Ironic makes
and formats; a newer one is written with ``preserve_ephemeral``. Two deploys of
some five minutes, and the builds.
"""

import pathlib
import tempfile
import time
from typing import Any, ClassVar

from openstack.baremetal.v1.node import Node

from tests import lab, qemu
from tests.integration import deployed, ramdisks, stateful
from tests.integration.test_baremetal import (
    DEPLOY_SECONDS,
    ENDED,
    config_drive,
)
from tests.qemu import configdrive
from tools.lab import baremetal

ROOT_GB, EPHEMERAL_GB = 4, 1


class RebuildTest(deployed.Case):
    """One deploy and one rebuild, for all of these tests."""

    node: ClassVar[Node]
    first: ClassVar[dict[str, str]]
    second: ClassVar[dict[str, str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.key = pathlib.Path(folder) / "key"
        configdrive.new_key(cls.key)
        images = [cls.published(version) for version in ("1", "2")]
        ramdisk = ramdisks.published()
        cls.metal = lab.baremetal()
        cls.machine = baremetal.Machine(
            name="stateful", accelerated=qemu.accelerator() == "kvm"
        )
        cls.metal.rack.install(cls.machine)
        cls.node = cls.metal.enrol(
            cls.machine, kernel=ramdisk["kernel"], ramdisk=ramdisk["ramdisk"]
        )
        cls.written(
            "active",
            image_source=images[0],
            root_gb=ROOT_GB,
            ephemeral_gb=EPHEMERAL_GB,
            ephemeral_format="ext4",
        )
        stateful.write_state(cls.run_there)
        cls.first = cls.told()
        cls.written("rebuild", image_source=images[1], preserve_ephemeral=True)
        cls.second = cls.told()

    def test_the_image_is_the_newer_one(self) -> None:
        self.assertEqual(
            ("1", "2"), (self.first["version"], self.second["version"])
        )

    def test_the_host_key_is_the_same(self) -> None:
        self.assertTrue(self.first["key"].startswith("ssh-ed25519 "))
        self.assertEqual(self.first["key"], self.second["key"])

    def test_the_database_is_there(self) -> None:
        self.assertEqual("7", self.second["kept"])

    def test_it_is_on_the_partition_that_ironic_made(self) -> None:
        for told in (self.first, self.second):
            self.assertIn("ephemeral0", told["label"])
            self.assertIn('"state": "kept"', told["status"])

    def test_no_unit_failed(self) -> None:
        self.assertEqual("", self.first["failed"])
        self.assertEqual("", self.second["failed"])

    @classmethod
    def published(cls, version: str) -> str:
        """The id of an image that Ironic takes for a partition."""
        path = stateful.image(
            version,
            ("grub2",),
            form="qcow2",
            DIB_PERSISTENT_STATE_PLACE="ephemeral",
        )
        with lab.cloud().account("admin").connect() as admin:
            made: Any = admin.create_image(
                f"stateful-{version}",
                filename=str(path),
                disk_format="qcow2",
                container_format="bare",
                visibility="public",
                img_type="partition",
                wait=True,
            )
        return str(made.id)

    @classmethod
    def written(cls, verb: str, **instance_info: Any) -> None:
        """Have Ironic write an image; return when the machine has settled.

        :raises AssertionError: it fails, or takes too long.
        """
        with cls.metal.cloud.operator().connect() as operator:
            metal = operator.baremetal
            node = metal.get_node(cls.node.id)
            metal.update_node(
                node,
                instance_info={**(node.instance_info or {}), **instance_info},
            )
            metal.set_node_provision_state(
                cls.node.id,
                verb,
                config_drive=config_drive(cls.machine, cls.key),
            )
            deadline = time.monotonic() + DEPLOY_SECONDS
            while True:
                node = metal.get_node(cls.node.id)
                if node.provision_state in ENDED:
                    break
                if time.monotonic() > deadline:
                    raise AssertionError(f"still {node.provision_state}")
                time.sleep(2)
        if node.provision_state != "active":
            raise AssertionError(f"{node.provision_state}: {node.last_error}")
        cls.wait_for_login()

    @classmethod
    def told(cls) -> dict[str, str]:
        """What the machine is now."""
        return {
            "version": cls.run_there(stateful.VERSION).strip(),
            "key": cls.run_there(stateful.HOST_KEY),
            "kept": stateful.kept(cls.run_there),
            "label": cls.run_there(
                f"findmnt -no LABEL --target {stateful.DATABASE}"
            ),
            "status": cls.run_there("sudo persistent-state status"),
            "failed": cls.run_there(
                "systemctl list-units --failed --no-legend"
            ),
        }
