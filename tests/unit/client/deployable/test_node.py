"""What of the node itself stands in the way."""

from dib_service.client.deployable.node import deploy_images
from tests.unit.client.deployable import base


class TestNode(base.RuleCase):
    def test_deploy_interface(self):
        for name, verdict in (
            ("direct", "ok"),
            (None, "ok"),
            ("ramdisk", "warning"),
            ("anaconda", "warning"),
            ("custom-agent", "warning"),
            ("bootc", "problem"),
        ):
            self.assert_says(
                verdict,
                "deploy interface",
                base.case(node={"deploy_interface": name}),
            )

    def test_deploy_ramdisk(self):
        for info, verdict, words in (
            (base.NODE["driver_info"], "ok", "kernel and ramdisk"),
            ({"deploy_iso": "x"}, "ok", "deploy_iso"),
            ({"deploy_kernel": "x"}, "warning", "only one"),
            ({}, "warning", "none"),
        ):
            self.assert_says(
                verdict,
                "deploy ramdisk",
                base.case(node={"driver_info": info}),
                words,
            )
        self.assert_silent(
            "deploy ramdisk",
            base.case(node={"deploy_interface": "ramdisk"}),
        )

    def test_what_of_it_lies_in_glance(self):
        kernel, ramdisk = base.KERNEL_ID, base.RAMDISK_ID
        for info, found in (
            (
                {"deploy_kernel": kernel, "deploy_ramdisk": ramdisk},
                {"deploy_kernel": kernel, "deploy_ramdisk": ramdisk},
            ),
            (
                {"deploy_kernel": f"glance://{kernel}", "deploy_iso": None},
                {"deploy_kernel": kernel},
            ),
            (
                {"deploy_kernel": kernel, "deploy_iso": ramdisk},
                {"deploy_iso": ramdisk},
            ),
            ({"deploy_kernel": f"https://x/{kernel}"}, {}),
            ({"deploy_kernel": "../../v3/users"}, {}),
            (None, {}),
        ):
            self.assertEqual(found, deploy_images({"driver_info": info}))

    def test_state(self):
        for node, verdict, words in (
            ({}, "ok", "available"),
            ({"provision_state": "active"}, "warning", "active"),
            ({"maintenance": True}, "warning", "no reason"),
            (
                {"maintenance": True, "maintenance_reason": "fan"},
                "warning",
                "fan",
            ),
        ):
            self.assert_says(verdict, "node", base.case(node=node), words)
