"""What a build has published, and the nodes of a real Ironic."""

from typing import Any, ClassVar

from tests import lab
from tests.integration import service_case
from tools.lab import accounts
from tools.lab.baremetal import Baremetal

COMMAND = ("image", "build", "set-deploy-ramdisk")


class NodesTest(service_case.ServiceCase):
    """A service beside an Ironic whose nodes are without machines."""

    metal: ClassVar[Baremetal]
    build: ClassVar[dict[str, Any]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        metal = Baremetal(cls.cloud, lab.services_venv())
        accounts.make(
            cls.cloud.state,
            cls.cloud.keystone.auth_url,
            {"baremetal": metal.ironic.url},
            users=accounts.BARE_METAL_USERS,
        )
        # All of it but the machines, which take longer than all this.
        for part in (metal.network, metal.ironic):
            cls.addClassCleanup(part.stop)
            part.start()
        service_case.wait_for_elements(cls.cloud, "tiny-ramdisk")

    def setUp(self) -> None:
        """Three nodes, of which who asks may change two."""
        super().setUp()
        self.operator = self.enterContext(self.cloud.operator().connect())
        self.admin = self.enterContext(self.connect("admin"))
        project = self.admin.current_project_id
        self.node("mine", owner=project)
        self.node("arm", owner=project, properties={"cpu_arch": "aarch64"})
        self.node("anothers")

    def node(self, name: str, **facts: Any) -> None:
        made = self.operator.baremetal.create_node(
            name=name,
            driver="fake-hardware",
            driver_info={"deploy_kernel": "http://192.0.2.1/old"},
            **facts,
        )
        self.addCleanup(self.operator.baremetal.delete_node, made.id)

    def info(self, name: str) -> dict[str, Any]:
        found: Any = self.operator.baremetal.get_node(name)
        info: dict[str, Any] = found.driver_info
        return info

    def set(self, *words: str, status: int = 0) -> dict[str, Any]:
        """The rows that it prints, by node."""
        rows = self.openstack(
            *COMMAND, *words, "-f", "json", user="admin", status=status
        )
        return {row["Node"]: row for row in rows}

    def test_a_node_is_looked_at(self) -> None:
        """The answers are read as these services give them."""
        # What the SDK allows for, one Glance after another, no type can say.
        glance: Any = self.admin.image
        image = glance.create_image(
            "looked-at",
            data=b"bytes",
            disk_format="raw",
            container_format="bare",
            visibility="shared",
            img_type="whole-disk",
            architecture="x86_64",
            **{"trait:CUSTOM_GPU": "required"},
        )
        self.addCleanup(glance.delete_image, image.id)
        glance.add_member(image.id, member_id=self.admin.current_project_id)
        rows = self.openstack(
            *("image", "build", "check-deployable", "looked-at"),
            *("--node", "arm", "--bare-metal-project", "admin", "-f", "json"),
            user="admin",
            status=1,
        )
        said = {row["Check"]: row["Verdict"] for row in rows}
        self.assertLessEqual(
            {
                "status": "ok",
                "image type": "ok",
                "hash": "ok",
                # The project is a member, and has not accepted.
                "access": "warning",
                "boot mode": "warning",
                "architecture": "problem",
                # What Nova would look at.
                "traits": "warning",
                "deploy interface": "ok",
                "deploy ramdisk": "warning",
                "node": "warning",
            }.items(),
            said.items(),
            rows,
        )

    def built(self) -> tuple[str, dict[str, Any]]:
        """The id of a build of the admin's, and the build."""
        wanted = {**service_case.TINY, "elements": ["tiny", "tiny-ramdisk"]}
        build_id = self.create("admin", **wanted)
        service_case.wait(
            lambda: (
                self.show(build_id, "admin")["state"] in service_case.ENDED
            ),
            seconds=120,
            what=f"build {build_id}",
        )
        return build_id, self.show(build_id, "admin")

    def test_a_ramdisk_is_built_and_set(self) -> None:
        build_id, build = self.built()
        ids = {
            each["role"]: each["image_id"] for each in build["publications"]
        }
        wanted = {
            "deploy_kernel": ids["kernel"],
            "deploy_ramdisk": ids["ramdisk"],
        }
        self.assertLessEqual(
            {"aki", "ari"},
            {self.admin.image.get_image(i).disk_format for i in ids.values()},
        )

        rows = self.set(build_id, "--all")
        self.assertEqual({"mine"}, set(rows))
        self.assertEqual("set", rows["mine"]["Result"])
        self.assertEqual(
            {"deploy_kernel": "http://192.0.2.1/old", "deploy_ramdisk": None},
            rows["mine"]["Replaced"],
        )
        self.assertEqual(wanted, self.info("mine"))

        rows = self.set(build_id, "--node", "mine")
        self.assertEqual("unchanged", rows["mine"]["Result"])

        rows = self.set(
            *(build_id, "--node", "anothers", "--node", "arm"), status=1
        )
        for name, why in (("anothers", "not set"), ("arm", "aarch64")):
            self.assertIn(why, rows[name]["Result"])
            self.assertNotIn("deploy_ramdisk", self.info(name))
