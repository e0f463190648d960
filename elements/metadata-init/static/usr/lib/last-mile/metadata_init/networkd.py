"""Interfaces as units of systemd-networkd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import subprocess

from metadata_init.bonding import Bond
from metadata_init.network import Link, Route

FOLDER = Path("/etc/systemd/network")
# Ours are known by it, and come before any that a package brings.
PREFIX = "10-metadata-"
MODE = 0o644

# A section of a unit: its name and its lines.
Section = tuple[str, list[tuple[str, object]]]


def rendered(links: list[Link]) -> dict[str, str]:
    """The units by their names."""
    units = {}
    somebody = any(link.configured for link in links)
    for link in links:
        if link.kind != "physical":
            units[f"{PREFIX}{link.name}.netdev"] = _text(_netdev(link))
        vlans = [each.name for each in links if each.parent == link.name]
        # Who has an address is waited for, if anybody has.
        awaited = link.configured or not somebody
        units[f"{PREFIX}{link.name}.network"] = _text(
            _network(link, vlans, awaited=awaited)
        )
    return units


def reload() -> None:
    """Have a networkd that is running take what was changed."""
    subprocess.run(["networkctl", "reload"], check=True, timeout=60)


def _netdev(link: Link) -> Iterator[Section]:
    lines: list[tuple[str, object]] = [
        ("Name", link.name),
        ("Kind", link.kind),
    ]
    if link.mac:
        lines.append(("MACAddress", link.mac))
    yield "NetDev", lines
    if link.bond:
        yield "Bond", list(_bond(link.bond))
    if link.vlan:
        yield "VLAN", [("Id", link.vlan)]


def _bond(bond: Bond) -> Iterator[tuple[str, object]]:
    yield "Mode", bond.mode
    for key, milliseconds in (
        ("MIIMonitorSec", bond.miimon),
        ("UpDelaySec", bond.updelay),
        ("DownDelaySec", bond.downdelay),
        ("ARPIntervalSec", bond.arp_interval),
    ):
        if milliseconds is not None:
            yield key, f"{milliseconds}ms"
    for key, word in (
        ("ARPIPTargets", " ".join(map(str, bond.arp_targets)) or None),
        ("ARPValidate", bond.arp_validate),
        ("ARPAllTargets", bond.arp_all_targets),
        ("TransmitHashPolicy", bond.policy),
        ("LACPTransmitRate", bond.lacp_rate),
        ("AdSelect", bond.ad_select),
        ("MinLinks", bond.min_links),
        ("PrimaryReselectPolicy", bond.reselect),
        ("FailOverMACPolicy", bond.fail_over_mac),
    ):
        if word is not None:
            yield key, word


def _network(
    link: Link, vlans: list[str], *, awaited: bool
) -> Iterator[Section]:
    if link.present:
        yield "Match", [("Name", link.name)]
    else:
        # Its name will be known when it comes.
        yield "Match", [("PermanentMACAddress", link.mac)]
    lines: list[tuple[str, object]] = []
    if link.mtu:
        lines.append(("MTUBytes", link.mtu))
    if not awaited:
        lines.append(("RequiredForOnline", "no"))
    if lines:
        yield "Link", lines
    yield "Network", list(_settings(link, vlans))
    for route in link.routes:
        yield "Route", list(_route(route, link))
    if link.dhcp4:
        # The name is the metadata's; the rest is as netplan has it.
        yield (
            "DHCPv4",
            [("UseHostname", "no"), ("UseMTU", "yes"), ("RouteMetric", 100)],
        )


def _settings(link: Link, vlans: list[str]) -> Iterator[tuple[str, object]]:
    if link.master:
        yield "Bond", link.master
        if link.primary:
            yield "PrimarySlave", "yes"
        yield "LinkLocalAddressing", "no"
        return
    yield "DHCP", _dhcp(link)
    # A lease that does not come leaves an address for the metadata service.
    yield "LinkLocalAddressing", "yes" if link.link_local4 else "ipv6"
    if link.ra is not None:
        yield "IPv6AcceptRA", "yes" if link.ra else "no"
    for address in link.addresses:
        yield "Address", address
    for server in link.dns:
        yield "DNS", server
    for name in vlans:
        yield "VLAN", name
    if link.kind != "physical":
        # What it is made of may come up later, or without a partner.
        yield "ConfigureWithoutCarrier", "yes"


def _dhcp(link: Link) -> str:
    if link.dhcp4 and link.dhcp6:
        return "yes"
    if link.dhcp4:
        return "ipv4"
    return "ipv6" if link.dhcp6 else "no"


def _route(route: Route, link: Link) -> Iterator[tuple[str, object]]:
    yield "Destination", route.to
    if route.via is not None:
        yield "Gateway", route.via
        if not within(route, link):
            yield "GatewayOnLink", "yes"
    else:
        yield "Scope", "link"
    if route.metric is not None:
        yield "Metric", route.metric


def within(route: Route, link: Link) -> bool:
    """Whether the gateway is known to be reached without being told how."""
    if route.via is None or route.via.is_link_local:
        return True
    of_kind = [
        each for each in link.addresses if each.version == route.via.version
    ]
    return not of_kind or any(route.via in each.network for each in of_kind)


def _text(sections: Iterator[Section]) -> str:
    text = "# Written by metadata-init at every boot.\n"
    for name, lines in sections:
        text += f"\n[{name}]\n"
        text += "".join(f"{key}={value}\n" for key, value in lines)
    return text
