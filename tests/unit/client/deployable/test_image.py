"""What an image says of itself."""

from dib_service.client import deployable
from dib_service.client.deployable.case import Case
from tests.unit.client.deployable import base

# Spoiled image, check, verdict, words of the reason.
ROWS = (
    ({}, "status", "ok", ("active",)),
    ({"status": "saving"}, "status", "problem", ("saving",)),
    ({"status": "deactivated"}, "status", "problem", ("deactivated",)),
    ({"os_hidden": True}, "status", "warning", ("hidden",)),
    ({}, "image type", "ok", ("whole-disk",)),
    ({"img_type": None}, "image type", "ok", ("neither",)),
    (base.PARTITION, "image type", "ok", ("partition",)),
    (
        {**base.PARTITION, "img_type": None},
        "image type",
        "warning",
        ("partition image", "kernel_id and ramdisk_id", "set img_type"),
    ),
    (
        {"kernel_id": base.KERNEL_ID},
        "image type",
        "warning",
        ("whole disk", "kernel_id"),
    ),
    ({"img_type": "raid"}, "image type", "warning", ("unknown to Ironic",)),
    ({"disk_format": "ari"}, "image type", "problem", ("ramdisk",)),
    ({}, "format", "ok", ("qcow2",)),
    ({"disk_format": "raw"}, "format", "ok", ("raw",)),
    ({"disk_format": "gpt"}, "format", "ok", ("gpt",)),
    ({"disk_format": "iso"}, "format", "warning", ("iso",)),
    ({"disk_format": "vmdk"}, "format", "problem", ("vmdk", "permitted")),
    ({"disk_format": "vhd"}, "format", "problem", ("vhd",)),
    (
        {"container_format": "compressed"},
        "format",
        "warning",
        ("compressed",),
    ),
    ({}, "hash", "ok", ("sha512",)),
    (
        {"os_hash_value": None, "checksum": "0" * 32},
        "hash",
        "problem",
        ("md5",),
    ),
    ({"os_hash_value": None}, "hash", "problem", ("none",)),
    ({"img_config_drive": "mandatory"}, "config drive", "ok", ("mandatory",)),
    ({"img_config_drive": "yes"}, "config drive", "problem", ("yes",)),
    ({"dib_boot_tested": "uefi"}, "boot test", "ok", ("uefi",)),
    ({"dib_boot_tested": "no"}, "boot test", "warning", ("nobody",)),
)


class TestImage(base.RuleCase):
    def test_all_is_well(self):
        findings = deployable.judge(base.GOOD)
        self.assertEqual({"ok"}, {finding.verdict for finding in findings})
        self.assertGreater(len(findings), 10)

    def test_each_row(self):
        for change, check, verdict, words in ROWS:
            with self.subTest(change=change, check=check):
                self.assert_says(
                    verdict, check, base.case(image=change), *words
                )

    def test_nothing_is_said_of_what_is_not_there(self):
        self.assert_silent("config drive", base.case())
        self.assert_silent("boot test", base.case())
        self.assert_silent("kernel", base.case())
        self.assert_silent("format", base.case(image={"disk_format": "aki"}))

    def test_an_image_alone_is_judged(self):
        checks = {f.check for f in deployable.judge(Case(image=base.IMAGE))}
        self.assertLess({"status", "image type", "access", "hash"}, checks)
        self.assertNotIn("node", checks)
        self.assertNotIn("architecture", checks)

    def test_every_rule_names_its_source(self):
        for rule in deployable.RULES:
            self.assertRegex(rule.__doc__ or "", "Sources?:", rule.__name__)


class TestLinked(base.RuleCase):
    def test_the_kernel_of_a_partition_image(self):
        self.assert_says("ok", "kernel", base.case(image=base.PARTITION))
        self.assert_says("ok", "ramdisk", base.case(image=base.PARTITION))

    def test_what_is_not_read_is_only_warned_of(self):
        """A node that boots from its own disk asks for neither."""
        for linked, words in (
            ({}, "not there"),
            ({"kernel_id": None}, "not there"),
            ({"kernel_id": {**base.KERNEL, "status": "queued"}}, "queued"),
            ({"kernel_id": base.IMAGE}, "qcow2"),
        ):
            with self.subTest(words=words, linked=linked):
                self.assert_says(
                    "warning",
                    "kernel",
                    base.case(image=base.PARTITION, linked=linked),
                    words,
                )

    def test_a_ramdisk_deploy_needs_both(self):
        node = {"deploy_interface": "ramdisk"}
        self.assert_says("problem", "kernel", base.case(node=node), "missing")
        self.assert_says("problem", "ramdisk", base.case(node=node), "missing")
        self.assert_says(
            "problem",
            "kernel",
            base.case(image=base.PARTITION, node=node, linked={}),
            "not there",
        )
        self.assert_says(
            "ok", "kernel", base.case(image=base.PARTITION, node=node)
        )

    def test_an_iso_stands_for_both(self):
        judged = base.case(
            image={"boot_iso_id": base.KERNEL_ID},
            node={"deploy_interface": "ramdisk"},
        )
        self.assert_says("ok", "kernel and ramdisk", judged)
        self.assert_silent("kernel", judged)
