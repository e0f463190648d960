"""network_data.json becomes interfaces, units and connections."""

import unittest

from tests.unit.elements import programs
from tests.unit.elements.described import (
    BOND,
    KNOWN,
    ONE,
    PORTS,
    TWO,
    VLAN,
    Case,
    phy,
    static,
)

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import network


class Static(Case):
    def setUp(self):
        super().setUp()
        self.parse(
            [phy("p1", ONE.upper(), mtu=1400)],
            [
                static(
                    "p1",
                    routes=[
                        {
                            "network": "0.0.0.0",
                            "netmask": "0.0.0.0",
                            "gateway": "192.0.2.1",
                        },
                        {
                            "network": "198.51.100.0",
                            "netmask": "255.255.255.0",
                            "gateway": "192.0.2.2",
                        },
                    ],
                    services=[{"type": "dns", "address": "192.0.2.53"}],
                )
            ],
            [{"type": "dns", "address": "2001:db8::53"}],
        )

    def test_a_unit(self):
        self.assertEqual(
            {
                "Match": ["Name=ens3"],
                "Link": ["MTUBytes=1400"],
                "Network": [
                    "DHCP=no",
                    "LinkLocalAddressing=ipv6",
                    "Address=192.0.2.7/24",
                    "DNS=192.0.2.53",
                    "DNS=2001:db8::53",
                ],
                # Of the second route, since sections of one name are one here.
                "Route": [
                    "Destination=0.0.0.0/0",
                    "Gateway=192.0.2.1",
                    "Destination=198.51.100.0/24",
                    "Gateway=192.0.2.2",
                ],
            },
            self.unit("ens3.network"),
        )

    def test_a_connection(self):
        found = self.connection("ens3")
        self.assertEqual("ens3", found["connection"]["interface-name"])
        self.assertEqual(
            {"mac-address": ONE, "mtu": "1400"}, found["ethernet"]
        )
        self.assertEqual(
            {
                "method": "manual",
                "address1": "192.0.2.7/24",
                "dns": "192.0.2.53;",
                "route1": "0.0.0.0/0,192.0.2.1",
                "route2": "198.51.100.0/24,192.0.2.2",
            },
            found["ipv4"],
        )
        # NetworkManager takes no server without an address of its kind.
        self.assertEqual({"method": "link-local"}, found["ipv6"])

    def test_what_is_reached_without_a_gateway(self):
        self.parse(
            [phy("p1", ONE)],
            [
                static(
                    "p1",
                    gateway="0.0.0.0",
                    routes=[
                        {"network": "198.51.100.0/24", "gateway": "0.0.0.0"},
                        {"network": "2001:db8:1::/48", "gateway": "::"},
                    ],
                )
            ],
        )
        self.assertEqual(
            [
                *("Destination=198.51.100.0/24", "Scope=link"),
                *("Destination=2001:db8:1::/48", "Scope=link"),
            ],
            self.unit("ens3.network")["Route"],
        )
        found = self.connection("ens3")
        self.assertEqual("198.51.100.0/24", found["ipv4"]["route1"])
        self.assertEqual("2001:db8:1::/48", found["ipv6"]["route1"])


class Sixth(Case):
    def six(self, kind, **more):
        found = self.parse(
            [phy("p1", ONE)],
            [{"id": "n", "type": kind, "link": "p1", **more}],
        )
        return found["ens3"]

    def test_static_with_the_whole_mask(self):
        self.six(
            "ipv6",
            ip_address="2001:db8::7",
            netmask="ffff:ffff:ffff:ffff::",
            routes=[
                {"network": "::", "netmask": "::", "gateway": "fe80::1"},
                {"network": "2001:db8:1::/48", "gateway": "2001:db8::9"},
            ],
        )
        unit = self.unit("ens3.network")
        self.assertIn("Address=2001:db8::7/64", unit["Network"])
        self.assertIn("IPv6AcceptRA=no", unit["Network"])
        self.assertEqual(
            [
                *("Destination=::/0", "Gateway=fe80::1"),
                *("Destination=2001:db8:1::/48", "Gateway=2001:db8::9"),
            ],
            unit["Route"],
        )
        found = self.connection("ens3")
        self.assertEqual("manual", found["ipv6"]["method"])
        self.assertEqual("::/0,fe80::1", found["ipv6"]["route1"])
        self.assertEqual({"method": "disabled"}, found["ipv4"])

    def test_static_with_a_prefix(self):
        for more in ({"netmask": "64"}, {"netmask": 64}, {}):
            address = "2001:db8::7" + ("" if more else "/64")
            link = self.six("ipv6", ip_address=address, **more)
            self.assertEqual("2001:db8::7/64", str(link.addresses[0]))

    def test_the_ways_to_ask_for_one(self):
        for kind, dhcp in (
            ("ipv6_slaac", "DHCP=no"),
            ("ipv6_dhcpv6-stateless", "DHCP=no"),
            ("ipv6_dhcpv6-stateful", "DHCP=ipv6"),
            ("ipv6_dhcp", "DHCP=ipv6"),
        ):
            with self.subTest(kind):
                self.six(kind)
                settings = self.unit("ens3.network")["Network"]
                self.assertIn("IPv6AcceptRA=yes", settings)
                self.assertIn(dhcp, settings)
                self.assertEqual(
                    "auto", self.connection("ens3")["ipv6"]["method"]
                )


class Asked(Case):
    def test_by_dhcp(self):
        self.parse(
            [phy("p1", ONE)],
            [{"id": "n", "type": "ipv4_dhcp", "link": "p1"}],
        )
        self.assertIn("DHCP=ipv4", self.unit("ens3.network")["Network"])
        self.assertEqual("auto", self.connection("ens3")["ipv4"]["method"])

    def test_for_its_name_servers_too(self):
        asked = {"id": "n", "type": "ipv4_dhcp", "link": "p1"}
        links = [phy("p1", ONE), phy("p2", TWO)]
        servers = [{"type": "dns", "address": "192.0.2.53"}]
        found = self.parse(links, [asked, static("p2")], servers)
        self.assertEqual([], found["ens3"].dns)
        self.assertEqual(1, len(found["ens4"].dns))
        # Where nobody has an address, they are not lost.
        found = self.parse(links, [asked], servers)
        self.assertEqual(1, len(found["ens3"].dns))
        self.assertEqual([], found["ens4"].dns)

    def test_by_both(self):
        self.parse(
            [phy("p1", ONE)],
            [
                {"id": "n", "type": "ipv4_dhcp", "link": "p1"},
                {"id": "m", "type": "ipv6_dhcp", "link": "p1"},
            ],
        )
        self.assertIn("DHCP=yes", self.unit("ens3.network")["Network"])

    def test_on_every_interface_where_nobody_says_anything(self):
        self.links = network.everywhere(KNOWN)
        self.assertEqual(
            ["ens3", "ens4", "ens5"], [link.name for link in self.links]
        )
        settings = self.unit("ens4.network")["Network"]
        for line in ("DHCP=ipv4", "LinkLocalAddressing=yes"):
            self.assertIn(line, settings)

    def test_an_interface_that_is_not_there_is_waited_for(self):
        mac = "52:54:00:00:00:99"
        found = self.parse([phy("p9", mac)], [static("p9")])
        [link] = found.values()
        self.assertFalse(link.present)
        self.assertEqual(
            [f"PermanentMACAddress={mac}"],
            self.unit("mac-525400000099.network")["Match"],
        )
        self.assertNotIn(
            "interface-name",
            self.connection("mac-525400000099")["connection"],
        )


class Bonds(Case):
    def test_of_two_ports(self):
        self.parse([*PORTS, BOND], [static("0a1b")])
        self.assertEqual(
            {
                "NetDev": ["Name=bond0", "Kind=bond", f"MACAddress={TWO}"],
                "Bond": [
                    "Mode=802.3ad",
                    "MIIMonitorSec=100ms",
                    "TransmitHashPolicy=layer3+4",
                ],
            },
            self.unit("bond0.netdev"),
        )
        for port in ("ens4", "ens5"):
            unit = self.unit(f"{port}.network")
            self.assertEqual(
                ["Bond=bond0", "LinkLocalAddressing=no"], unit["Network"]
            )
            # They cannot be smaller than the bond, and have no address that
            # anybody could wait for.
            self.assertEqual(
                ["MTUBytes=9000", "RequiredForOnline=no"], unit["Link"]
            )
        self.assertEqual(
            [
                *("DHCP=no", "LinkLocalAddressing=ipv6"),
                *("Address=192.0.2.7/24", "ConfigureWithoutCarrier=yes"),
            ],
            self.unit("bond0.network")["Network"],
        )

    def test_as_connections(self):
        self.parse([*PORTS, BOND], [static("0a1b")])
        found = self.connection("bond0")
        self.assertEqual("bond", found["connection"]["type"])
        self.assertEqual(
            {
                "mode": "802.3ad",
                "miimon": "100",
                "xmit_hash_policy": "layer3+4",
            },
            found["bond"],
        )
        self.assertEqual(TWO, found["ethernet"]["cloned-mac-address"])
        port = self.connection("ens5")
        self.assertEqual("bond0", port["connection"]["master"])
        self.assertEqual("bond", port["connection"]["slave-type"])
        self.assertNotIn("ipv4", port)

    def test_with_one_to_prefer(self):
        bond = {
            **BOND,
            "bond_mode": "active-backup",
            "bond_primary": "p3",
            "bond_xmit_hash_policy": None,
        }
        # Its ports may be told after it.
        self.parse([bond, *PORTS])
        self.assertIn("PrimarySlave=yes", self.unit("ens5.network")["Network"])
        self.assertNotIn(
            "PrimarySlave=yes", self.unit("ens4.network")["Network"]
        )
        self.assertEqual(
            {"mode": "active-backup", "primary": "ens5", "miimon": "100"},
            self.connection("bond0")["bond"],
        )

    def test_modes_as_the_kernel_counts_them(self):
        for said, mode in ((4, "802.3ad"), ("1", "active-backup")):
            found = self.parse([*PORTS, {**BOND, "bond_mode": said}])
            self.assertEqual(mode, found["bond0"].bond.mode)

    def test_no_address_on_a_port(self):
        told, _ = self.told(links=[*PORTS, BOND], networks=[static("p2")])
        self.assertIn("ens4 is a port of bond0", told[0])
        self.assertNotIn("Address=", str(self.unit("ens4.network")))

    def bond(self, **changes):
        """What is told of a bond with these options, and its settings."""
        told = []
        found = self.parse([*PORTS, {**BOND, **changes}], warn=told.append)
        return told, found["bond0"].bond

    def test_an_option_that_is_none_is_left_out_alone(self):
        for changes, words in (
            ({"bond_miimon": -1}, "bond_miimon is -1"),
            ({"bond_miimon": "100ms"}, "bond_miimon is"),
            ({"bond_xmit_hash_policy": "x\ny"}, "bond_xmit_hash_policy is"),
            ({"bond_lacp_rate": "soon"}, "bond_lacp_rate is"),
            ({"bond_arp_ip_target": ["x"]}, "bond_arp_ip_target: "),
            ({"bond_num_grat_arp": 3}, "bond_num_grat_arp is not known"),
            ({"mtu": 0}, "mtu is 0"),
            ({"bond_primary": "p3"}, "802.3ad has no use for bond_primary"),
            ({"bond_arp_interval": 100}, "has no use for bond_arp_interval"),
            ({"bond_miimon": 0, "bond_updelay": 9}, "nothing is delayed"),
            (
                {"bond_mode": "balance-xor", "bond_lacp_rate": "fast"},
                "balance-xor has no use for bond_lacp_rate",
            ),
        ):
            with self.subTest(changes):
                told, bond = self.bond(**changes)
                self.assertEqual(1, len(told), told)
                self.assertIn(words, told[0])
                self.assertTrue(told[0].isprintable())
                self.assertEqual(
                    changes.get("bond_mode", "802.3ad"), bond.mode
                )

    def test_a_cable_that_is_pulled_out_is_noticed(self):
        # Of itself the kernel would look after nothing.
        _, bond = self.bond(bond_miimon=None, bond_mode="active-backup")
        self.assertEqual(100, bond.miimon)
        _, bond = self.bond(bond_miimon=0)
        self.assertEqual(0, bond.miimon)

    def test_looked_after_by_arp(self):
        told, bond = self.bond(
            bond_mode="active-backup",
            bond_miimon=None,
            bond_xmit_hash_policy=None,
            bond_arp_interval="250",
            bond_arp_ip_target="192.0.2.1,192.0.2.2",
            bond_arp_validate="active",
            bond_arp_all_targets="any",
            bond_fail_over_mac="follow",
        )
        self.assertEqual([], told)
        self.assertIsNone(bond.miimon)
        self.assertEqual(
            [
                *("Mode=active-backup", "ARPIntervalSec=250ms"),
                *("ARPIPTargets=192.0.2.1 192.0.2.2", "ARPValidate=active"),
                *("ARPAllTargets=any", "FailOverMACPolicy=follow"),
            ],
            self.unit("bond0.netdev")["Bond"],
        )
        found = self.connection("bond0")["bond"]
        self.assertEqual("250", found["arp_interval"])
        self.assertEqual("192.0.2.1,192.0.2.2", found["arp_ip_target"])

    def test_that_are_none(self):
        for changes in (
            {"bond_mode": "fast\nExecStart=x"},
            {"bond_mode": 9},
            {"bond_mode": True},
            {"bond_links": []},
            {"bond_links": "p2"},
            {"bond_links": ["p2", "nobody"]},
            {"bond_links": [["p2"]]},
            {"ethernet_mac_address": "no"},
        ):
            with self.subTest(changes):
                told, names = self.told(links=[*PORTS, {**BOND, **changes}])
                self.assertEqual(1, len(told), told)
                # The ports stay what they are.
                self.assertEqual(["ens4", "ens5"], names)
                self.assertIsNone(self.links[0].master)


class Vlans(Case):
    def test_on_an_interface(self):
        self.parse(
            [phy("p1", ONE), {**VLAN, "vlan_link": "p1"}], [static("v100")]
        )
        self.assertEqual(
            {
                "NetDev": [
                    *("Name=ens3.100", "Kind=vlan", f"MACAddress={TWO}"),
                ],
                "VLAN": ["Id=100"],
            },
            self.unit("ens3.100.netdev"),
        )
        self.assertIn("VLAN=ens3.100", self.unit("ens3.network")["Network"])
        self.assertIn(
            "Address=192.0.2.7/24", self.unit("ens3.100.network")["Network"]
        )

    def test_on_a_bond(self):
        # In the worst order.
        found = self.parse(
            [VLAN, BOND, *PORTS],
            [
                static("v100"),
                {"id": "n", "type": "ipv4_dhcp", "link": "0a1b"},
            ],
        )
        self.assertEqual(
            ["ens4", "ens5", "bond0", "bond0.100"], sorted(found, key=len)
        )
        self.assertIn("VLAN=bond0.100", self.unit("bond0.network")["Network"])
        self.assertEqual(
            ["MTUBytes=1450"], self.unit("bond0.100.network")["Link"]
        )
        self.assertEqual(
            {"id": "100", "parent": "bond0"},
            self.connection("bond0.100")["vlan"],
        )

    def test_on_a_vlan_that_comes_later(self):
        inner = {**VLAN, "id": "inner", "vlan_link": "v100", "vlan_id": "7"}
        found = self.parse([inner, VLAN, BOND, *PORTS])
        self.assertEqual("bond0.100", found["bond0.100.7"].parent)

    def test_a_name_that_the_kernel_would_not_take(self):
        inner = {**VLAN, "id": "inner", "vlan_link": "v100", "vlan_id": 4094}
        last = {**VLAN, "id": "last", "vlan_link": "inner", "vlan_id": 12}
        found = self.parse([*PORTS, BOND, VLAN, inner, last])
        self.assertIn("bond0.100.4094", found)
        self.assertIn("vlan12", found)

    def test_that_are_none(self):
        for changes in (
            {"vlan_id": 0},
            {"vlan_id": 4095},
            {"vlan_id": None},
            {"vlan_id": "1]\n[Match"},
            {"vlan_link": "nobody"},
            {"vlan_link": "v100"},
            {"vlan_link": "p2"},
            {"vlan_mac_address": "x"},
        ):
            with self.subTest(changes):
                told, names = self.told(
                    links=[*PORTS, BOND, {**VLAN, **changes}]
                )
                self.assertEqual(1, len(told), told)
                self.assertEqual(["ens4", "ens5", "bond0"], names)


if __name__ == "__main__":
    unittest.main()
