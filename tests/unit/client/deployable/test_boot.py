"""Whether the firmware finds something to start."""

import dataclasses

from tests.unit.client.deployable import base

NOTHING = {"capabilities:boot_mode": None}
BIOS_SPEC = {"capabilities:boot_mode": "bios"}
SECURE = {"capabilities:secure_boot": "true"}


def only(modes: str | None) -> dict[str, str | None]:
    return {"dib_boot_modes": modes}


class TestBootMode(base.RuleCase):
    def test_which_mode_the_deploy_sets(self):
        """In Ironic's order; the node's own word locks it."""
        for specs, capabilities, words in (
            (NOTHING, None, ("uefi", "default")),
            (NOTHING, "boot_mode:bios", ("bios", "the node's capability")),
            (NOTHING, "a:b, boot_mode:bios,x", ("bios", "the node's")),
            (BIOS_SPEC, None, ("bios", "the flavor")),
            ({**NOTHING, **SECURE}, None, ("uefi", "secure boot")),
            ({"capabilities:boot_mode": "UEFI"}, None, ("uefi",)),
        ):
            with self.subTest(specs=specs, capabilities=capabilities):
                self.assert_says(
                    "ok",
                    "boot mode",
                    base.case(
                        specs=specs, properties={"capabilities": capabilities}
                    ),
                    *words,
                )

    def test_the_flavor_and_the_node_differ(self):
        self.assert_says(
            "problem", "boot mode", base.case(specs=BIOS_SPEC), "no other"
        )

    def test_secure_boot_outdoes_the_node(self):
        locked = {"capabilities": "boot_mode:bios"}
        asked = {**NOTHING, **SECURE}
        self.assert_says(
            "ok",
            "boot mode",
            base.case(specs=asked, properties=locked),
            "uefi (the flavor asks for secure boot)",
        )
        self.assert_says(
            "problem",
            "boot mode",
            base.case(image=only("bios"), specs=asked, properties=locked),
        )

    def test_the_image_boots_in_another(self):
        for image in (
            only("bios"),
            {**only(None), "hw_firmware_type": "bios"},
            {**only("bios"), "hw_firmware_type": "uefi"},
        ):
            self.assert_says(
                "problem", "boot mode", base.case(image=image), "bios only"
            )

    def test_the_image_does_not_say(self):
        self.assert_says(
            "warning", "boot mode", base.case(image=only(None)), "not say"
        )

    def test_a_ramdisk_deploy_starts_no_disk(self):
        self.assert_says(
            "ok",
            "boot mode",
            base.case(image=only(None), node={"deploy_interface": "ramdisk"}),
        )

    def test_instance_info_asks_where_there_is_no_flavor(self):
        for capabilities in ({"boot_mode": "bios"}, '{"boot_mode": "bios"}'):
            judged = base.case(
                node={"instance_info": {"capabilities": capabilities}},
                properties={"capabilities": None},
            )
            self.assert_says("ok", "boot mode", judged, "the flavor")
            self.assert_says(
                "ok",
                "boot mode",
                dataclasses.replace(judged, flavor=None),
                "bios (asked for by instance_info)",
            )

    def test_instance_info_that_is_not_json(self):
        judged = base.case(node={"instance_info": {"capabilities": "{"}})
        self.assert_says(
            "ok", "boot mode", dataclasses.replace(judged, flavor=None), "node"
        )


class TestBootLoader(base.RuleCase):
    def test_a_partition_image_in_bios_mode(self):
        judged = base.case(
            image=base.PARTITION,
            specs=BIOS_SPEC,
            properties={"capabilities": None},
        )
        self.assert_says("problem", "boot loader", judged, "CVE-2026-43003")

    def test_a_partition_image_in_uefi_mode(self):
        self.assert_says("ok", "boot loader", base.case(image=base.PARTITION))

    def test_nobody_installs_one_on_a_whole_disk(self):
        self.assert_silent("boot loader", base.case())


class TestSecureBoot(base.RuleCase):
    def test_signed(self):
        for image in (
            {"os_secure_boot": "required"},
            {"dib_boot_tested": "bios,secure-boot,config-drive"},
        ):
            self.assert_says(
                "ok", "secure boot", base.case(image=image, specs=SECURE)
            )

    def test_nothing_says_so(self):
        self.assert_says(
            "warning", "secure boot", base.case(specs=SECURE), "signed"
        )

    def test_ruled_out(self):
        image = {"os_secure_boot": "disabled"}
        self.assert_says(
            "problem", "secure boot", base.case(image=image, specs=SECURE)
        )

    def test_nobody_asks(self):
        self.assert_silent("secure boot", base.case())
        self.assert_silent(
            "secure boot",
            base.case(specs={"capabilities:secure_boot": "false"}),
        )
        self.assert_says(
            "ok",
            "secure boot",
            base.case(image={"os_secure_boot": "required"}),
            "capabilities:secure_boot=true",
        )
