"""Networks as the metadata describes them, and what becomes of them."""

import configparser
import unittest

from tests.unit.elements import programs

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import keyfile, network, networkd

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
        tell = warn or self.fail
        found = network.parse(data, KNOWN, tell, tell)
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
