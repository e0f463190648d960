"""Interfaces as connections of NetworkManager."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
import subprocess
import uuid

from metadata_init.bonding import Bond
from metadata_init.network import NOWHERE, Interface, Link, Route

FOLDER = Path("/etc/NetworkManager/system-connections")
PREFIX = "metadata-"
# It passes over files that others can read.
MODE = 0o600

# A name made of the interface's: the same at every boot.
NAMESPACE = uuid.UUID("1f4d5c0e-8a1b-4c5e-9d27-6b0f3a52e871")

Section = tuple[str, list[tuple[str, object]]]


def rendered(links: list[Link]) -> dict[str, str]:
    """The connections by their files' names."""
    return {
        f"{PREFIX}{link.name}.nmconnection": _text(_connection(link, links))
        for link in links
    }


def reload() -> None:
    """Have a NetworkManager that is running take what was changed."""
    subprocess.run(["nmcli", "connection", "reload"], check=True, timeout=60)
    # Ports come up with their bond, which has to be there before its VLANs:
    # without the files' ending it is sorted so.
    found = FOLDER.glob(f"{PREFIX}*.nmconnection")
    for name in sorted(path.stem for path in found):
        subprocess.run(
            ["nmcli", "--wait", "30", "connection", "up", name],
            timeout=60,
        )


def _connection(link: Link, links: list[Link]) -> Iterator[Section]:
    lines: list[tuple[str, object]] = [
        ("id", f"{PREFIX}{link.name}"),
        ("uuid", uuid.uuid5(NAMESPACE, link.name)),
        ("type", "ethernet" if link.kind == "physical" else link.kind),
        # What a person or a package brings for it counts less.
        ("autoconnect-priority", 100),
    ]
    if link.present:
        lines.append(("interface-name", link.name))
    if link.master:
        lines += [("master", link.master), ("slave-type", "bond")]
    yield "connection", lines
    yield "ethernet", list(_ethernet(link))
    if link.bond:
        ports = [each for each in links if each.master == link.name]
        yield "bond", list(_bond(link.bond, ports))
    if link.vlan:
        yield "vlan", [("id", link.vlan), ("parent", _parent(link, links))]
    if not link.master:
        yield "ipv4", list(_ipv4(link))
        yield "ipv6", list(_ipv6(link))


def _parent(link: Link, links: list[Link]) -> object:
    parent = next(each for each in links if each.name == link.parent)
    # One that is not there yet is known by its connection.
    if parent.present:
        return parent.name
    return uuid.uuid5(NAMESPACE, parent.name)


def _ethernet(link: Link) -> Iterator[tuple[str, object]]:
    if link.mac and link.kind == "physical":
        yield "mac-address", link.mac
    elif link.mac:
        yield "cloned-mac-address", link.mac
    if link.mtu:
        yield "mtu", link.mtu


def _bond(bond: Bond, ports: list[Link]) -> Iterator[tuple[str, object]]:
    yield "mode", bond.mode
    for port in ports:
        if port.primary and port.present:
            yield "primary", port.name
    for key, value in (
        ("miimon", bond.miimon),
        ("updelay", bond.updelay),
        ("downdelay", bond.downdelay),
        ("arp_interval", bond.arp_interval),
        ("arp_ip_target", ",".join(map(str, bond.arp_targets)) or None),
        ("arp_validate", bond.arp_validate),
        ("arp_all_targets", bond.arp_all_targets),
        ("xmit_hash_policy", bond.policy),
        ("lacp_rate", bond.lacp_rate),
        ("ad_select", bond.ad_select),
        ("min_links", bond.min_links),
        ("primary_reselect", bond.reselect),
        ("fail_over_mac", bond.fail_over_mac),
    ):
        if value is not None:
            yield key, value


def _ipv4(link: Link) -> Iterator[tuple[str, object]]:
    addresses = [each for each in link.addresses if each.version == 4]
    if link.dhcp4:
        yield "method", "auto"
        yield "dhcp-send-hostname", "true"
        if link.link_local4:
            # 3 is "fallback"; versions that do not know it pass over it.
            yield "link-local", 3
    else:
        yield "method", "manual" if addresses else "disabled"
    yield from _common(link, addresses, 4)


def _ipv6(link: Link) -> Iterator[tuple[str, object]]:
    addresses = [each for each in link.addresses if each.version == 6]
    if link.ra:
        # It looks to the advertisement for whether there is DHCP.
        yield "method", "auto"
    elif link.dhcp6:
        yield "method", "dhcp"
    else:
        yield "method", "manual" if addresses else "link-local"
    yield from _common(link, addresses, 6)


def _common(
    link: Link, addresses: Sequence[Interface], version: int
) -> Iterator[tuple[str, object]]:
    for number, address in enumerate(addresses, start=1):
        yield f"address{number}", address
    servers = [str(each) for each in link.dns if each.version == version]
    # Without an address of its kind a server is out of reach, and
    # NetworkManager would take nothing of the connection.
    asked = link.dhcp4 if version == 4 else link.dhcp6 or link.ra
    if servers and (addresses or asked):
        yield "dns", "".join(f"{each};" for each in servers)
    routes = [each for each in link.routes if each.to.version == version]
    for number, route in enumerate(routes, start=1):
        yield f"route{number}", _route(route)


def _route(route: Route) -> str:
    words = [str(route.to)]
    if route.via is not None or route.metric is not None:
        words.append(str(route.via or NOWHERE[route.to.version]))
    if route.metric is not None:
        words.append(str(route.metric))
    return ",".join(words)


def _text(sections: Iterator[Section]) -> str:
    text = "# Written by metadata-init at every boot.\n"
    for name, lines in sections:
        if lines:
            text += f"\n[{name}]\n"
            text += "".join(f"{key}={value}\n" for key, value in lines)
    return text
