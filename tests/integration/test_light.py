"""metadata-init and cloud-init make the same machine of one drive.

Two images of Debian differ in who reads the drive. Both are started with the
same one and the same cards, side by side, and asked what became of them.
"""

from collections.abc import Callable
import concurrent.futures
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any, ClassVar
import uuid

import testtools
from testtools import content

from tests import qemu
from tests.qemu import configdrive

# Where one is there already, it is not built: the variable that names it.
GIVEN = {
    "cloud-init": "DIB_TEST_CLOUD_INIT_IMAGE",
    "metadata-init": "DIB_TEST_LIGHT_IMAGE",
}
ELEMENTS = {
    "cloud-init": ("debian", "vm"),
    "metadata-init": ("debian", "metadata-init", "vm"),
}

ADDRESS = "10.0.2.77"
# A card that we come in by, two of a bond, two of another, one with DHCP.
MACS = [f"52:54:00:00:01:0{number}" for number in range(1, 7)]


def meta_data(key: str) -> dict[str, Any]:
    return {
        "uuid": str(uuid.uuid4()),
        "name": "node-7",
        "hostname": "node-7.example.org",
        "public_keys": {"mine": key},
    }


def network_data() -> dict[str, Any]:
    cards = [
        {"id": f"card{number}", "type": "phy", "ethernet_mac_address": mac}
        for number, mac in enumerate(MACS)
    ]
    cards[0]["mtu"] = cards[5]["mtu"] = 1400
    links = [
        *cards,
        {
            "id": "b-ab",
            "type": "bond",
            "ethernet_mac_address": MACS[1],
            "bond_links": ["card1", "card2"],
            "bond_mode": "active-backup",
            "bond_miimon": 100,
            "mtu": 1480,
        },
        {
            "id": "b-lacp",
            "type": "bond",
            "ethernet_mac_address": MACS[3],
            "bond_links": ["card3", "card4"],
            "bond_mode": "802.3ad",
            "bond_miimon": 200,
            "bond_xmit_hash_policy": "layer3+4",
        },
        {
            "id": "v100",
            "type": "vlan",
            "vlan_link": "b-ab",
            "vlan_id": 100,
            "vlan_mac_address": MACS[1],
            "mtu": 1450,
        },
        {
            "id": "v7",
            "type": "vlan",
            "vlan_link": "card0",
            "vlan_id": 7,
            "vlan_mac_address": MACS[0],
        },
    ]
    default = {
        "network": "0.0.0.0",
        "netmask": "0.0.0.0",
        "gateway": qemu.GATEWAY,
    }
    networks = [
        ipv4(
            "card0",
            ADDRESS,
            routes=[default, route("198.51.100.0", "10.0.2.9")],
        ),
        {
            "id": "six",
            "type": "ipv6",
            "link": "card0",
            "ip_address": "2001:db8:7::7",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [
                {
                    "network": "2001:db8:8::",
                    "netmask": "ffff:ffff:ffff::",
                    "gateway": "2001:db8:7::1",
                }
            ],
        },
        ipv4(
            "b-ab",
            "192.0.2.7",
            routes=[route("203.0.113.0", "192.0.2.1")],
            services=[{"type": "dns", "address": "192.0.2.53"}],
        ),
        ipv4("v100", "10.100.0.7"),
        ipv4("b-lacp", "10.200.0.7"),
        ipv4("v7", "10.7.0.7"),
        {"id": "asked", "type": "ipv4_dhcp", "link": "card5"},
    ]
    return {
        "links": links,
        "networks": networks,
        "services": [{"type": "dns", "address": qemu.NAMESERVER}],
    }


def ipv4(link: str, address: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"of-{link}",
        "type": "ipv4",
        "link": link,
        "ip_address": address,
        "netmask": "255.255.255.0",
        **more,
    }


def route(network: str, gateway: str) -> dict[str, str]:
    return {
        "network": network,
        "netmask": "255.255.255.0",
        "gateway": gateway,
    }


class TestSame(testtools.TestCase):
    """Each machine is started once for all of these tests."""

    guests: ClassVar[dict[str, qemu.Guest]]
    key: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if os.geteuid() != 0:
            raise AssertionError("this builds images: run it as root")
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(dir="/var/tmp")
                )
            )
            cls.key = configdrive.new_key(folder / "key")
            drive = configdrive.pack(
                folder / "drive.iso",
                meta_data(cls.key),
                network_data=network_data(),
            )
            cls.guests = {
                agent: stack.enter_context(
                    qemu.Guest(
                        image(agent, folder),
                        drive=drive,
                        key=folder / "key",
                        address=ADDRESS,
                        mac=MACS[0],
                        extra=cards(),
                    )
                )
                for agent in ELEMENTS
            }
            with concurrent.futures.ThreadPoolExecutor() as pool:
                list(pool.map(wait_until_ready, cls.guests.values()))
            cls.addClassCleanup(stack.pop_all().close)

    def setUp(self) -> None:
        super().setUp()
        for agent, guest in self.guests.items():
            self.addDetail(
                f"console with {agent}",
                content.text_content(guest.console_text()),
            )

    def same(self, ask: Callable[[qemu.Guest], Any]) -> Any:
        """What both say, which has to be the same."""
        one, other = (ask(guest) for guest in self.guests.values())
        self.assertEqual(one, other, "cloud-init's and metadata-init's")
        return other

    def test_links_with_their_addresses(self) -> None:
        found = self.same(links)
        self.assertEqual(
            {"bond0", "bond1", "bond0.100"},
            {name for name in found if name.startswith("bond")},
        )
        self.assertIn("192.0.2.7/24", found["bond0"]["addresses"])
        self.assertIn("10.100.0.7/24", found["bond0.100"]["addresses"])
        self.assertEqual(("bond0", 100), found["bond0.100"]["vlan"])
        self.assertEqual(
            (1450, 1480), (found["bond0.100"]["mtu"], found["bond0"]["mtu"])
        )
        ports = [
            name for name, facts in found.items() if facts["master"] == "bond0"
        ]
        self.assertEqual(2, len(ports))

    def test_bonds_as_the_kernel_has_them(self) -> None:
        found = self.same(bonds)
        self.assertEqual("active-backup", found["bond0"]["mode"])
        self.assertEqual("802.3ad", found["bond1"]["mode"])
        self.assertEqual("layer3+4", found["bond1"]["xmit_hash_policy"])

    def test_routes(self) -> None:
        found = self.same(routes)
        self.assertIn(("203.0.113.0/24", "192.0.2.1", "bond0", None), found)
        self.assertIn(
            ("2001:db8:8::/48", "2001:db8:7::1"),
            {each[:2] for each in found},
        )

    def test_name_servers(self) -> None:
        found = self.same(lambda guest: guest.run("resolvectl dns"))
        self.assertIn("192.0.2.53", found)

    def test_names(self) -> None:
        found = self.same(
            lambda guest: guest.run("hostname; hostname -f; hostname -i")
        )
        self.assertEqual(["node-7", "node-7.example.org"], found.split()[:2])

    def test_the_user_with_keys_and_sudo(self) -> None:
        found = self.same(
            lambda guest: guest.run(
                "id -un; id -Gn | tr ' ' '\\n' | sort; echo $SHELL; "
                "sudo -n id -un; cat .ssh/authorized_keys; "
                "stat -c '%a %U %G' .ssh .ssh/authorized_keys; "
                "sudo getent shadow debian | cut -d: -f2"
            )
        )
        self.assertIn(self.key, found)

    def test_no_unit_failed(self) -> None:
        self.assertEqual(
            "",
            self.same(
                lambda guest: guest.run(
                    "systemctl list-units --failed --no-legend"
                )
            ),
        )

    def test_one_has_no_cloud_init(self) -> None:
        guest = self.guests["metadata-init"]
        self.assertEqual("", guest.run("command -v cloud-init || true"))
        result = json.loads(guest.run("cat /run/metadata-init/result.json"))
        self.assertEqual(
            {"source": "config-drive", "errors": [], "warnings": []}, result
        )


def links(guest: qemu.Guest) -> dict[str, Any]:
    """The interfaces by their names, without what changes by itself."""
    found = {}
    for link in asked(guest, "-d address show"):
        about = link.get("linkinfo", {})
        vlan = None
        if about.get("info_kind") == "vlan":
            vlan = (link["link"], about["info_data"]["id"])
        found[link["ifname"]] = {
            "mac": link["address"],
            "mtu": link["mtu"],
            "up": "UP" in link["flags"],
            "carrier": "LOWER_UP" in link["flags"],
            "kind": about.get("info_kind"),
            "vlan": vlan,
            "master": link.get("master"),
            "addresses": sorted(
                f"{each['local']}/{each['prefixlen']}"
                for each in link["addr_info"]
            ),
        }
    return found


def bonds(guest: qemu.Guest) -> dict[str, Any]:
    """The bonds' settings; which port carries it now is left to chance."""
    changing = ("active_slave", "ad_info", "ad_actor_system")
    return {
        link["ifname"]: {
            name: value
            for name, value in link["linkinfo"]["info_data"].items()
            if name not in changing
        }
        for link in asked(guest, "-d link show type bond")
    }


def routes(guest: qemu.Guest) -> set[tuple[Any, ...]]:
    """The routes of both families, without who put them there."""
    return {
        (each["dst"], each.get("gateway"), each["dev"], each.get("metric"))
        for family in ("-4", "-6")
        for each in asked(guest, f"{family} route show")
    }


def asked(guest: qemu.Guest, words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(guest.run(f"ip -json {words}"))
    return found


def cards() -> tuple[str, ...]:
    """QEMU's words for the cards beside the one that we come in by."""
    words = []
    for number, mac in enumerate(MACS[1:], start=1):
        network = "restrict=on"
        if number == 5:
            network = "net=10.0.5.0/24,ipv6=off"
        words += [
            *("-netdev", f"user,id=net{number},{network}"),
            "-device",
            f"virtio-net-pci,netdev=net{number},mac={mac},romfile=",
        ]
    return tuple(words)


def wait_until_ready(guest: qemu.Guest) -> None:
    """Wait until the key lets us in and the boot has come to its end."""
    guest.wait_for_ssh()
    guest.run("systemctl is-system-running --wait", accept=(0, 1))


def image(agent: str, folder: pathlib.Path) -> pathlib.Path:
    """A qcow2 file with this agent in it, not to be written to."""
    given = os.environ.get(GIVEN[agent])
    if given:
        return pathlib.Path(given)
    described = folder / f"{agent}.json"
    described.write_text(
        json.dumps(
            {
                "version": 1,
                "name": agent,
                "elements": ELEMENTS[agent],
                "formats": ["qcow2"],
                # A quarter of the size, and as good as the other here.
                "environment": {
                    "DIB_DEBIAN_KERNEL": "linux-image-cloud-amd64"
                },
            }
        )
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dib_service.engine", "build"),
            *(described, "--output-dir", folder / "out"),
            *("--workspace", folder / "work"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise AssertionError(done.stdout[-4000:])
    return folder / f"out/{agent}.qcow2"
