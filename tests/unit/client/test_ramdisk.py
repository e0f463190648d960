"""``openstack image build set-deploy-ramdisk``, on a cloud in memory."""

from openstack import exceptions
from osc_lib import exceptions as osc_exceptions

from dib_service.client import ramdisk
from tests.unit.client import cloud
from tests.unit.client.deployable import base

NODES = [f"{n}4444444-4444-4444-8444-444444444444" for n in range(4)]
OLD = "99999999-9999-4999-8999-999999999999"


def publication(role, image_id, **facts):
    return {
        "epoch": 1,
        "role": role,
        "format": "raw",
        "target": "glance",
        "image_id": image_id,
        "state": "published",
        **facts,
    }


PUBLISHED = [
    publication("kernel", base.KERNEL_ID),
    publication("ramdisk", base.RAMDISK_ID),
]


class RamdiskTestCase(cloud.CloudTestCase):
    def setUp(self):
        super().setUp()
        self.build_id = self.api.add_build(
            name="ipa",
            state="complete",
            epoch=1,
            architecture="x86_64",
            publications=PUBLISHED,
        )
        self.cloud.images[base.KERNEL_ID] = dict(base.KERNEL)
        self.cloud.images[base.RAMDISK_ID] = dict(base.RAMDISK)
        for number, (arch, info) in enumerate(
            (
                ("x86_64", {"deploy_kernel": OLD, "ipmi_username": "u"}),
                ("x86_64", {}),
                ("aarch64", {}),
                (None, {}),
            )
        ):
            self.cloud.nodes.append(
                {
                    "uuid": NODES[number],
                    "name": f"n{number}",
                    "driver_info": info,
                    "properties": {"cpu_arch": arch} if arch else {},
                }
            )

    def set(self, *words, status=0):
        """The rows that it prints, by node."""
        self.stdout.seek(0)
        self.stdout.truncate(0)
        self.assertEqual(
            status,
            self.run_command(ramdisk.SetDeployRamdisk, *words, "-f", "json"),
        )
        return {row["Node"]: row for row in self.printed_json()}

    def refused(self, *words):
        with self.assertRaises(osc_exceptions.CommandError) as caught:
            self.run_command(ramdisk.SetDeployRamdisk, *words)
        self.assertEqual([], self.cloud.patched)
        return str(caught.exception)

    def test_an_empty_name_is_no_node(self):
        with self.assertRaises(SystemExit):
            self.set("ipa", "--node", "")
        self.assertEqual([], self.cloud.patched)

    def info(self, number):
        return self.cloud.nodes[number]["driver_info"]


class TestSet(RamdiskTestCase):
    def test_named_nodes(self):
        rows = self.set("ipa", "--node", "n0", "--node", NODES[1])
        for number in (0, 1):
            self.assertEqual(
                base.KERNEL_ID, self.info(number)["deploy_kernel"]
            )
            self.assertEqual(
                base.RAMDISK_ID, self.info(number)["deploy_ramdisk"]
            )
        self.assertEqual("u", self.info(0)["ipmi_username"])
        self.assertNotIn("deploy_kernel", self.info(3))
        self.assertEqual({"n0", "n1"}, set(rows))
        self.assertEqual(
            {"deploy_kernel": OLD, "deploy_ramdisk": None},
            rows["n0"]["Replaced"],
        )
        self.assertEqual(base.KERNEL_ID, rows["n0"]["deploy_kernel"])

    def test_asked_twice_it_changes_nothing(self):
        self.set("ipa", "--node", "n0")
        self.cloud.patched.clear()
        rows = self.set("ipa", "--node", "n0")
        self.assertEqual("unchanged", rows["n0"]["Result"])
        self.assertEqual({}, rows["n0"]["Replaced"])
        self.assertEqual([], self.cloud.patched)

    def test_a_reference_in_other_words_is_the_same(self):
        self.info(1).update(
            deploy_kernel=f"glance://{base.KERNEL_ID}",
            deploy_ramdisk=f"glance://{base.RAMDISK_ID}",
        )
        rows = self.set("ipa", "--node", "n1")
        self.assertEqual("unchanged", rows["n1"]["Result"])

    def test_all_nodes_of_its_architecture(self):
        rows = self.set(self.build_id, "--all")
        self.assertEqual({"n0", "n1", "n3"}, set(rows))
        self.assertEqual({}, self.info(2))

    def test_a_node_named_twice_is_set_once(self):
        self.set("ipa", "--node", "n1", "--node", "n1")
        self.assertEqual(1, len(self.cloud.patched))

    def test_an_iso_goes_first(self):
        self.info(1)["deploy_iso"] = "http://iso.test"
        rows = self.set("ipa", "--node", "n1")
        self.assertIn("deploy_iso goes first", rows["n1"]["Result"])


class TestTrouble(RamdiskTestCase):
    def test_one_node_keeps_no_other_from_being_set(self):
        self.cloud.refuses[NODES[0]] = "not yours"
        rows = self.set(
            *("ipa", "--node", "n0", "--node", "n2", "--node", "gone"),
            *("--node", "n1"),
            status=1,
        )
        self.assertIn("not yours", rows["n0"]["Result"])
        self.assertIn("aarch64", rows["n2"]["Result"])
        self.assertIn("not set", rows["gone"]["Result"])
        self.assertEqual("set", rows["n1"]["Result"])
        self.assertEqual(
            [None, None, None, base.KERNEL_ID],
            [rows[n]["deploy_kernel"] for n in ("n0", "n2", "gone", "n1")],
        )

    def test_a_build_that_is_not_complete(self):
        self.api.builds[self.build_id]["state"] = "publishing"
        self.assertIn("publishing", self.refused("ipa", "--all"))

    def test_a_build_that_is_no_ramdisk(self):
        """A partition image has kernel and ramdisk, of another kind."""
        for publications in (
            [],
            [publication("image", base.IMAGE_ID)],
            [publication("image", base.IMAGE_ID), *PUBLISHED],
            PUBLISHED[:1],
            [{**each, "target": "edge"} for each in PUBLISHED],
            [{**each, "state": "failed"} for each in PUBLISHED],
            [{**each, "epoch": 0} for each in PUBLISHED],
        ):
            with self.subTest(publications):
                build = self.api.builds[self.build_id]
                build["publications"] = publications
                self.assertIn(
                    "ironic-python-agent-ramdisk", self.refused("ipa", "--all")
                )

    def test_images_that_nodes_could_not_boot(self):
        self.cloud.images[base.RAMDISK_ID]["status"] = "deactivated"
        self.assertIn("deactivated", self.refused("ipa", "--all"))
        del self.cloud.images[base.RAMDISK_ID]
        self.assertIn("not there any more", self.refused("ipa", "--all"))

    def test_images_that_not_all_may_read_are_remarked_on(self):
        self.set("ipa", "--node", "n1")
        self.assertEqual("", self.stderr.getvalue())
        for visibility in ("private", "shared"):
            self.cloud.images[base.KERNEL_ID]["visibility"] = visibility
            self.set("ipa", "--node", "n1")
            said = self.stderr.getvalue()
            self.assertIn(f"is {visibility}: ", said)
            self.assertIn(f"--community {base.KERNEL_ID}", said)
            self.assertNotIn(base.RAMDISK_ID, said)

    def test_there_is_no_such_build(self):
        with self.assertRaises(exceptions.NotFoundException):
            self.run_command(ramdisk.SetDeployRamdisk, "other", "--all")

    def test_nodes_are_named_or_all(self):
        for words in ((), ("--all", "--node", "n0")):
            with self.assertRaises(SystemExit):
                self.run_command(ramdisk.SetDeployRamdisk, "ipa", *words)
