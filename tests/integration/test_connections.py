"""NetworkManager itself takes what metadata-init writes for it.

Its own nmcli reads each connection, in a tree of its own: on the host it would
run the host's network. That tree takes some 20 s.
"""

import subprocess
import tempfile
from typing import ClassVar
import unittest

from tests.conformance import bookworm
from tests.integration import light_drive
from tests.unit.elements import programs
from tests.unit.elements.described import BOND, PORTS, phy, static

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import keyfile, network

KNOWN = {mac: f"ens{number}" for number, mac in enumerate(light_drive.MACS, 3)}
ONE, TWO, THREE = light_drive.MACS[:3]
IPV6 = {
    "id": "six",
    "type": "ipv6",
    "link": "p1",
    "ip_address": "2001:db8::7/64",
    "gateway": "2001:db8::1",
}
BOTH_KINDS = [
    {"type": "dns", "address": address}
    for address in ("192.0.2.53", "2001:db8::53")
]


class TestConnections(unittest.TestCase):
    tree: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.tree = cls.enterClassContext(
            tempfile.TemporaryDirectory(dir="/var/tmp")
        )
        subprocess.run(
            [
                *("mmdebstrap", "--variant=extract", "--quiet"),
                "--include=network-manager",
                *("bookworm", cls.tree, "-"),
            ],
            input=bookworm.sources(),
            check=True,
            text=True,
        )

    def nmcli(self, text: str) -> tuple[int, str]:
        """How it ends with a connection, and what it says then."""
        done = subprocess.run(
            [
                *("chroot", self.tree, "nmcli", "--offline"),
                *("connection", "modify", "connection.autoconnect", "yes"),
            ],
            input=text,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    def taken(self, told: int = 0, **described: object) -> None:
        """All connections of this network, and so many warnings."""
        warnings: list[str] = []
        links = network.parse(
            described, KNOWN, warnings.append, warnings.append
        )
        self.assertEqual(told, len(warnings), warnings)
        self.assertTrue(links)
        for name, text in keyfile.rendered(links).items():
            self.assertEqual((0, ""), self.nmcli(text), f"{name}:\n{text}")

    def test_a_wrong_one_is_refused(self) -> None:
        [text] = keyfile.rendered(network.everywhere({ONE: "ens3"})).values()
        self.assertEqual((0, ""), self.nmcli(text))
        code, said = self.nmcli(text.replace("method=auto", "method=perhaps"))
        self.assertNotEqual(0, code)
        self.assertIn("method", said)

    def test_all_that_the_light_drive_has(self) -> None:
        self.taken(**light_drive.network_data())

    def test_a_server_of_the_other_kind(self) -> None:
        links = [phy("p1", ONE)]
        for networks in ([static("p1")], [IPV6]):
            with self.subTest(networks):
                self.taken(links=links, networks=networks, services=BOTH_KINDS)

    def test_bonds(self) -> None:
        ports = [phy("p2", TWO), phy("p3", THREE)]
        self.assertEqual(["p2", "p3"], [each["id"] for each in PORTS])
        for warned, options in (
            (0, {"bond_mode": "802.3ad", "bond_lacp_rate": "fast"}),
            (1, {"bond_mode": "balance-rr", "bond_lacp_rate": "fast"}),
            (0, {"bond_mode": "active-backup", "bond_primary": "p3"}),
            (0, {"bond_mode": "balance-alb", "bond_primary": "p3"}),
            (1, {"bond_mode": "802.3ad", "bond_primary": "p3"}),
            (1, {"bond_miimon": 0, "bond_updelay": 100}),
            (0, {"bond_updelay": 100, "bond_downdelay": 100}),
            (0, {"bond_xmit_hash_policy": "vlan+srcmac"}),
            (
                0,
                {
                    "bond_mode": "active-backup",
                    "bond_miimon": None,
                    "bond_arp_interval": 100,
                    "bond_arp_ip_target": ["192.0.2.1", "192.0.2.2"],
                    "bond_arp_validate": "filter_active",
                    "bond_arp_all_targets": "all",
                    "bond_fail_over_mac": "active",
                },
            ),
        ):
            with self.subTest(options):
                bond = {**BOND, "ethernet_mac_address": TWO, **options}
                self.taken(
                    warned, links=[*ports, bond], networks=[static("0a1b")]
                )


if __name__ == "__main__":
    unittest.main()
