"""The drive of which two agents have to make the same machine."""

from typing import Any
import uuid

from tests import qemu

ADDRESS, OTHER_ADDRESS = "10.0.2.77", "10.0.2.78"
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
        ),
        ipv4("v100", "10.100.0.7"),
        ipv4("b-lacp", "10.200.0.7"),
        ipv4("v7", "10.7.0.7"),
        {"id": "asked", "type": "ipv4_dhcp", "link": "card5"},
    ]
    return {
        "links": links,
        "networks": networks,
        "services": [
            {"type": "dns", "address": address}
            for address in (qemu.NAMESERVER, "192.0.2.53")
        ],
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
