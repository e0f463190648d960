"""Nothing of a network_data.json gets further than it should."""

import unittest

from tests.unit.elements import programs
from tests.unit.elements.described import KNOWN, ONE, TWO, Case, phy, static

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import network


class Strange(Case):
    """Whoever wrote it: nothing of it gets further than it should."""

    def test_no_outline(self):
        for data in (
            {"links": {}},
            {"links": ["x"]},
            {"networks": "x"},
            {"services": [[]]},
            {"links": [{}] * 1000},
        ):
            with (
                self.subTest(data),
                self.assertRaises(network.Malformed),
            ):
                network.parse(data, KNOWN, self.fail, self.fail)

    def test_nothing_is_no_fault(self):
        for data in ({}, {"links": None}):
            found = network.parse(data, KNOWN, self.fail, self.fail)
            self.assertEqual([], found)

    def test_one_bad_thing_is_left_out_and_the_others_stay(self):
        for bad in (
            {},
            {"ip_address": None},
            {"ip_address": "192.0.2.8\nGateway=192.0.2.66"},
            {"ip_address": "192.0.2.8/33"},
            {"ip_address": "fe80::8%x\n[Match]\nName=*"},
            {"ip_address": "fe80::8%x\n[Match]\ny/64"},
            {"ip_address": ["192.0.2.8"]},
            {"ip_address": "192.0.2.8", "netmask": "255.0.255.0"},
            {"ip_address": "2001:db8::1", "netmask": "ffff::ffff"},
            {"type": "carrier-pigeon"},
            {"type": ["ipv4"]},
        ):
            with self.subTest(bad):
                told, _ = self.told(
                    links=[phy("p1", ONE)],
                    networks=[
                        {"id": "b\n\x1b[2J", "type": "ipv4", "link": "p1"}
                        | bad,
                        static("p1"),
                    ],
                )
                self.assertEqual(1, len(told), told)
                self.assertTrue(told[0].isprintable())
                [link] = self.links
                self.assertEqual(
                    ["192.0.2.7/24"], list(map(str, link.addresses))
                )

    def test_a_bad_route_or_server_is_left_out(self):
        told, _ = self.told(
            links=[phy("p1", ONE)],
            networks=[
                static(
                    "p1",
                    routes=[
                        "x",
                        {"network": "198.51.100.0/24", "gateway": "2001::1"},
                        {"network": "x", "netmask": "y", "gateway": "z"},
                        {"network": "::/0", "gateway": "fe80::1%x\n[Match]"},
                        {"network": "fe80::%x\n[Match]/64"},
                        {"network": "203.0.113.0/24", "gateway": "192.0.2.1"},
                    ],
                    services=[
                        {"type": "dns", "address": "192.0.2.53\nDNS=9.9.9.9"},
                        {"type": "dns", "address": "fe80::53%x\nDNS=9.9.9.9"},
                        {"type": "ntp", "address": "192.0.2.54"},
                        {"type": "dns", "address": "192.0.2.55"},
                    ],
                )
            ],
        )
        self.assertEqual(7, len(told), told)
        unit = self.unit("ens3.network")
        self.assertEqual(
            ["Destination=203.0.113.0/24", "Gateway=192.0.2.1"],
            unit["Route"],
        )
        self.assertIn("DNS=192.0.2.55", unit["Network"])
        self.assertNotIn("9.9.9.9", str(unit))

    def test_bad_links(self):
        for link in (
            {},
            {"id": "x"},
            phy("x", "52:54:00:00:00:0g"),
            phy("x", 7),
            phy("", TWO),
            phy("p1", TWO),
            phy("other", ONE),
        ):
            with self.subTest(link):
                told, names = self.told(links=[phy("p1", ONE), link])
                self.assertEqual(1, len(told), told)
                self.assertEqual(["ens3"], names)

    def test_a_bad_mtu_is_left_out_alone(self):
        for mtu in (0, 1, "1500\n[Match]", 1e3, True):
            with self.subTest(mtu):
                told, names = self.told(links=[phy("p1", ONE, mtu=mtu)])
                self.assertEqual(1, len(told), told)
                self.assertEqual(["ens3"], names)
                self.assertIsNone(self.links[0].mtu)

    def test_a_gateway_outside_is_told_to_be_on_the_link(self):
        self.parse([phy("p1", ONE)], [static("p1", gateway="198.51.100.1")])
        self.assertIn("GatewayOnLink=yes", self.unit("ens3.network")["Route"])


if __name__ == "__main__":
    unittest.main()
