"""``openstack image build check-deployable``, on a cloud in memory."""

from openstack import exceptions
from osc_lib import exceptions as osc_exceptions

from dib_service.client import check
from tests.unit.client import cloud
from tests.unit.client.deployable import base

NODE_ID = "44444444-4444-4444-8444-444444444444"


class CheckTestCase(cloud.CloudTestCase):
    def setUp(self):
        super().setUp()
        self.image = {**base.IMAGE, "name": "web"}
        for image in (self.image, base.KERNEL, base.RAMDISK):
            self.cloud.images[image["id"]] = image
        self.cloud.nodes.append({**base.NODE, "uuid": NODE_ID})
        self.cloud.flavors.append({**base.FLAVOR, "id": "7"})

    def check(self, *words, status=0):
        """What it prints, by check; several of one name in a list."""
        self.assertEqual(
            status, self.run_command(check.CheckDeployable, *words)
        )
        found = {}
        for row in self.printed_json():
            found.setdefault(row["Check"], []).append(
                (row["Verdict"], row["Reason"])
            )
        return found


class TestCheck(CheckTestCase):
    def test_all_is_well(self):
        said = self.check(
            *("web", "--node", "rack1-7", "--flavor", "bm.large"),
            *("-f", "json"),
        )
        self.assertEqual(
            {"ok"}, {verdict for rows in said.values() for verdict, _ in rows}
        )
        self.assertLess(
            {"boot mode", "traits", "resource class", "node"} - {"traits"},
            set(said),
        )

    def test_a_problem_is_the_exit_status(self):
        self.image["status"] = "deactivated"
        said = self.check(base.IMAGE_ID, "-f", "json", status=1)
        self.assertEqual("problem", said["status"][0][0])

    def test_a_warning_is_none(self):
        self.image["os_hidden"] = True
        said = self.check(base.IMAGE_ID, "-f", "json")
        self.assertEqual("warning", said["status"][0][0])

    def test_a_table_is_narrow(self):
        self.image["visibility"] = "private"
        self.image["img_type"] = None
        self.image["kernel_id"] = base.KERNEL_ID
        self.image["disk_format"] = "vmdk"
        self.run_command(
            check.CheckDeployable,
            *("web", "--bare-metal-project", "b" * 32),
            *("--node", "rack1-7"),
        )
        lines = self.printed().splitlines()
        self.assertIn("| Check ", lines[1])
        self.assertLessEqual(max(map(len, lines)), 80)

    def test_there_is_no_such_image(self):
        for words in (
            ("db",),
            ("web", "--node", "x"),
            ("web", "--flavor", "x"),
        ):
            with self.assertRaises(exceptions.NotFoundException):
                self.run_command(check.CheckDeployable, *words)

    def test_what_cannot_be_a_name_is_not_passed_over(self):
        """As the variable of a script that was never set."""
        for words in (
            ("",),
            ("web", "--node", ""),
            ("web", "--node", "rack1-7/traits"),
            ("web", "--flavor", ""),
            ("web", "--bare-metal-project", " "),
        ):
            with self.subTest(words), self.assertRaises(SystemExit) as caught:
                self.run_command(check.CheckDeployable, *words)
            self.assertEqual(2, caught.exception.code)

    def test_what_a_node_has_may_be_no_text(self):
        self.cloud.nodes[0]["instance_info"] = {
            "capabilities": {"boot_mode": 1}
        }
        said = self.check("web", "--node", NODE_ID, "-f", "json", status=1)
        self.assertEqual("problem", said["boot mode"][0][0])

    def test_the_catalog_has_only_glance(self):
        for kind, option in (("baremetal", "--node"), ("compute", "--flavor")):
            self.leave_out(kind)
            with self.assertRaises(osc_exceptions.CommandError) as caught:
                self.run_command(check.CheckDeployable, "web", option, "x")
            self.assertIn(f"{option}: your catalog", str(caught.exception))

    def test_properties_are_those_of_glance(self):
        """Not the names and defaults that the SDK has for some of them."""
        self.image["trait:CUSTOM_IB"] = "required"
        self.image["hypervisor_type"] = "qemu"
        said = self.check("web", "--node", NODE_ID, "-f", "json")
        self.assertIn("CUSTOM_IB", said["traits"][0][1])
        self.assertEqual("warning", said["hypervisor"][0][0])

    def test_linked_images_are_looked_up(self):
        self.image.update(base.PARTITION)
        del self.cloud.images[base.RAMDISK_ID]
        said = self.check("web", "-f", "json")
        self.assertEqual("ok", said["kernel"][0][0])
        self.assertEqual("warning", said["ramdisk"][0][0])

    def test_what_the_node_is_deployed_with_is_looked_up(self):
        self.cloud.images[base.KERNEL_ID] = {
            **base.KERNEL,
            "visibility": "shared",
        }
        del self.cloud.images[base.RAMDISK_ID]
        self.cloud.members[base.KERNEL_ID] = {base.BARE_METAL: "accepted"}
        said = self.check(
            *("web", "--node", NODE_ID, "-f", "json"),
            *("--bare-metal-project", base.BARE_METAL),
            status=1,
        )
        self.assertEqual("ok", said["agent's kernel"][0][0])
        self.assertEqual("problem", said["agent's ramdisk"][0][0])

    def test_a_linked_image_of_a_strange_name(self):
        self.image.update(base.PARTITION, kernel_id="../../v3/users")
        said = self.check("web", "-f", "json")
        self.assertIn("not there", said["kernel"][0][1])


class TestProject(CheckTestCase):
    def setUp(self):
        super().setUp()
        self.image["visibility"] = "shared"
        self.cloud.members[base.IMAGE_ID] = {base.BARE_METAL: "accepted"}

    def access(self, project, status=0):
        said = self.check(
            *("web", "--bare-metal-project", project, "-f", "json"),
            status=status,
        )
        return said["access"][0]

    def test_its_name_is_enough(self):
        self.cloud.projects.append(
            {"id": base.BARE_METAL, "name": "service", "domain_id": "default"}
        )
        self.assertEqual("ok", self.access("service")[0])

    def test_its_id_where_one_may_not_look(self):
        self.cloud.projects = None
        self.assertEqual("ok", self.access(base.BARE_METAL)[0])

    def test_another_project(self):
        verdict, reason = self.access("c" * 32, status=1)
        self.assertEqual("problem", verdict)
        self.assertIn("no admin", reason)

    def test_members_that_one_may_not_read(self):
        self.cloud.members.clear()
        self.assertIn("ask its owner", self.access(base.BARE_METAL)[1])


class TestAdmin(CheckTestCase):
    roles = ("member", "admin")

    def test_the_role_counts(self):
        self.image["visibility"] = "private"
        said = self.check("web", "--node", NODE_ID, "-f", "json")
        self.assertEqual("ok", said["access"][0][0])
        self.assertIn("admin", said["access"][0][1])
