"""network_data.json becomes interfaces, units and connections."""

import configparser
import pathlib
import tempfile
import unittest

from tests.unit.elements import programs

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import interfaces, keyfile, network, networkd

ONE, TWO, THREE = (f"52:54:00:00:00:0{number}" for number in (1, 2, 3))
KNOWN = {ONE: "ens3", TWO: "ens4", THREE: "ens5"}


def phy(identity, mac, **more):
    return {
        "id": identity,
        "type": "phy",
        "ethernet_mac_address": mac,
        **more,
    }


def static(link, address="192.0.2.7", **more):
    return {
        "id": f"net-{link}",
        "type": "ipv4",
        "link": link,
        "ip_address": address,
        "netmask": "255.255.255.0",
        **more,
    }


BOND = {
    "id": "0a1b",
    "type": "bond",
    "ethernet_mac_address": TWO,
    "bond_links": ["p2", "p3"],
    "bond_mode": "802.3ad",
    "bond_miimon": 100,
    "bond_xmit_hash_policy": "layer3+4",
    "mtu": 9000,
}
VLAN = {
    "id": "v100",
    "type": "vlan",
    "vlan_link": "0a1b",
    "vlan_id": 100,
    "vlan_mac_address": TWO,
    "mtu": 1450,
}
PORTS = [phy("p2", TWO), phy("p3", THREE)]


class Case(unittest.TestCase):
    maxDiff = None

    def parse(self, links=(), networks=(), services=(), warn=None):
        """The links by their names; what is told, fails."""
        data = {
            "links": list(links),
            "networks": list(networks),
            "services": list(services),
        }
        found = network.parse(data, KNOWN, warn or self.fail)
        self.links = found
        return {link.name: link for link in found}

    def told(self, **data):
        """What is told of this data, and the names of what came of it."""
        told = []
        found = self.parse(**data, warn=told.append)
        return told, list(found)

    def unit(self, name):
        """A unit's sections, each a list of its lines."""
        text = networkd.rendered(self.links)[f"10-metadata-{name}"]
        sections = {}
        for line in text.splitlines():
            if line.startswith("["):
                lines = sections.setdefault(line.strip("[]"), [])
            elif line and not line.startswith("#"):
                lines.append(line)
        return sections

    def connection(self, name):
        """A connection as NetworkManager would read it."""
        text = keyfile.rendered(self.links)[f"metadata-{name}.nmconnection"]
        parser = configparser.RawConfigParser(delimiters="=")
        parser.read_string(text)
        return {name: dict(parser[name]) for name in parser.sections()}


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
        self.assertEqual(
            {"method": "link-local", "dns": "2001:db8::53;"}, found["ipv6"]
        )


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
            # They cannot be smaller than the bond.
            self.assertEqual(["MTUBytes=9000"], unit["Link"])
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

    def test_that_are_none(self):
        for changes in (
            {"bond_mode": "fast\nExecStart=x"},
            {"bond_mode": 9},
            {"bond_mode": True},
            {"bond_miimon": -1},
            {"bond_miimon": "100ms"},
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
                network.parse(data, KNOWN, self.fail)

    def test_nothing_is_no_fault(self):
        self.assertEqual([], network.parse({}, KNOWN, self.fail))
        self.assertEqual([], network.parse({"links": None}, KNOWN, self.fail))

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
            phy("x", TWO, mtu=1),
            phy("x", TWO, mtu="1500\n[Match]"),
            phy("x", TWO, mtu=1e3),
            phy("x", TWO, mtu=True),
        ):
            with self.subTest(link):
                told, names = self.told(links=[phy("p1", ONE), link])
                self.assertEqual(1, len(told), told)
                self.assertEqual(["ens3"], names)

    def test_a_gateway_outside_is_told_to_be_on_the_link(self):
        self.parse([phy("p1", ONE)], [static("p1", gateway="198.51.100.1")])
        self.assertIn("GatewayOnLink=yes", self.unit("ens3.network")["Route"])


class Interfaces(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)

    def interface(self, name, address, kind="", **files):
        folder = self.place / name
        folder.mkdir()
        (folder / "address").write_text(f"{address}\n")
        (folder / "uevent").write_text(
            f"DEVTYPE={kind}\nINTERFACE={name}\n" if kind else ""
        )
        for path, text in files.items():
            path = folder / path.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def test_real_ones_by_what_they_had_before_a_bond(self):
        self.interface("lo", "00:00:00:00:00:00")
        self.interface("ens3", ONE.upper())
        self.interface("ens4", TWO, bonding_slave__perm_hwaddr=TWO)
        self.interface("ens5", TWO, bonding_slave__perm_hwaddr=THREE)
        self.interface("bond0", TWO, "bond", bonding__mode="802.3ad 4")
        self.interface("bond0.100", TWO, "vlan")
        # Not a directory at all.
        (self.place / "bonding_masters").write_text("bond0\n")
        self.assertEqual(KNOWN, interfaces.by_mac(self.place))

    def test_infiniband_by_six_of_its_bytes(self):
        gid = "80:00:02:08:fe:80:00:00:00:00:00:00:52:54:00:ff:fe:00:00:01"
        self.interface("ib0", gid)
        self.assertEqual({ONE: "ib0"}, interfaces.by_mac(self.place))


if __name__ == "__main__":
    unittest.main()
