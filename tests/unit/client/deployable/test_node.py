"""What of the node itself stands in the way."""

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
