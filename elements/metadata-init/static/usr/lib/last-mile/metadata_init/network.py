"""What network_data.json means, as values that a renderer can trust.

Whatever is in a Link was checked or made here: no text of the metadata gets
any further than this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import functools
import ipaddress
from typing import Any, Union

from metadata_reader.data import shown

from metadata_init import bonding, values
from metadata_init.values import MOST, Address

# Python 3.9 has no "|" for these.
Interface = Union[  # noqa: UP007
    ipaddress.IPv4Interface, ipaddress.IPv6Interface
]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007

# What the kernel takes for a name.
LONGEST_NAME = 15

DHCP4 = ("ipv4_dhcp", "dhcp4")
STATEFUL = ("ipv6_dhcp", "ipv6_dhcpv6-stateful", "dhcp6")
STATELESS = ("ipv6_dhcpv6-stateless",)
SLAAC = ("ipv6_slaac",)
STATIC = ("ipv4", "ipv6", "static", "static6")

NOWHERE = {4: ipaddress.IPv4Address(0), 6: ipaddress.IPv6Address(0)}

BOND, VLAN = "bond", "vlan"


class Malformed(Exception):
    """This is no description of a network."""


@dataclasses.dataclass(frozen=True)
class Route:
    """To a network, by way of a gateway if there is one."""

    to: Network
    via: Address | None = None
    metric: int | None = None


@dataclasses.dataclass
class Link:
    """One interface and what it has to become.

    ``master`` is the bond that it is a port of, ``primary`` whether it is
    the one to prefer; ``parent`` is the interface that a VLAN lies on. ``ra``
    is whether router advertisements are taken; nothing leaves that to the
    system.
    """

    name: str
    kind: str = "physical"
    mac: str = ""
    mtu: int | None = None
    present: bool = True
    bond: bonding.Bond | None = None
    master: str | None = None
    primary: bool = False
    vlan: int | None = None
    parent: str | None = None
    dhcp4: bool = False
    dhcp6: bool = False
    ra: bool | None = None
    link_local4: bool = False
    addresses: list[Interface] = dataclasses.field(default_factory=list)
    routes: list[Route] = dataclasses.field(default_factory=list)
    dns: list[Address] = dataclasses.field(default_factory=list)

    @property
    def configured(self) -> bool:
        """Whether it has addresses of its own."""
        return bool(self.addresses or self.dhcp4 or self.dhcp6 or self.ra)


def parse(
    data: Mapping[str, Any],
    known: Mapping[str, str],
    warn: Callable[[str], object],
    note: Callable[[str], object],
) -> list[Link]:
    """The interfaces that it describes, those first that others lie on.

    ``known`` are the names of this machine's interfaces by their MAC
    addresses. What is not understood is left out, and ``warn`` told; what is
    good and of no use here, ``note``.

    :raises Malformed: not even its outline is what it should be.
    """
    described = {
        key: _objects(data, key) for key in ("links", "networks", "services")
    }
    reading = _Reading(known, warn, note)
    reading.links(described["links"])
    for each in described["networks"]:
        reading.network(each)
    reading.services(described["services"])
    return list(reading.found.values())


def everywhere(known: Mapping[str, str]) -> list[Link]:
    """Every interface asks for an address, where nobody says anything."""
    return [
        Link(name=name, mac=mac, dhcp4=True, ra=True, link_local4=True)
        for mac, name in sorted(known.items(), key=lambda pair: pair[1])
    ]


class _Reading:
    """Links by the ids that they have in the metadata, as they are found."""

    def __init__(
        self,
        known: Mapping[str, str],
        warn: Callable[[str], object],
        note: Callable[[str], object],
    ) -> None:
        self.found: dict[str, Link] = {}
        self._known = known
        self._warn = warn
        self._note = note

    def links(self, described: list[dict[str, Any]]) -> None:
        """Take all links, each after those that it lies on."""
        by_kind: dict[str, list[dict[str, Any]]] = {}
        for each in described:
            kind = each.get("type")
            kind = kind if kind in (BOND, VLAN) else "physical"
            by_kind.setdefault(kind, []).append(each)
        for each in by_kind.get("physical", []):
            self._guarded("link", each, self._physical)
        # They are counted whether they are any good or not.
        for number, each in enumerate(by_kind.get(BOND, [])):
            self._guarded(
                "bond", each, functools.partial(self._bond, number=number)
            )
        waiting = by_kind.get(VLAN, [])
        # A VLAN may lie on a VLAN that comes later in the list.
        while waiting:
            ready = [one for one in waiting if one.get("vlan_link") in self]
            for each in ready or waiting:
                self._guarded("VLAN", each, self._vlan)
            waiting = [one for one in waiting if one not in ready]
            if not ready:
                break

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and identity in self.found

    def network(self, each: dict[str, Any]) -> None:
        """Take one network onto its link."""
        link = self.found.get(values.text(each.get("link")))
        if link is None:
            self._warn(f"network {values.called(each)}: its link is not known")
        elif link.master:
            self._warn(
                f"network {values.called(each)}: {link.name} is a port of "
                f"{link.master}, and has no address of its own"
            )
        else:
            self._guarded(
                "network", each, lambda one: self._addresses(one, link)
            )

    def services(self, described: list[dict[str, Any]]) -> None:
        """Take the DNS servers of all, onto each link with addresses.

        What asks for its address asks for these as well: only if all do,
        they are given to those, too.
        """
        found = list(self._dns(described))
        links = [link for link in self.found.values() if link.configured]
        fixed = [link for link in links if link.addresses]
        for link in fixed or links:
            link.dns += [one for one in found if one not in link.dns]

    def _guarded(
        self,
        what: str,
        each: dict[str, Any],
        take: Callable[[dict[str, Any]], object],
    ) -> None:
        try:
            take(each)
        except ValueError as exc:
            self._warn(f"{what} {values.called(each)}: {shown(exc)}: left out")

    def _add(self, each: dict[str, Any], link: Link) -> None:
        identity = values.text(each.get("id"))
        if not identity:
            raise ValueError("it has no id")
        if identity in self.found:
            raise ValueError("there is another with its id")
        if any(link.name == one.name for one in self.found.values()):
            raise ValueError(f"there is another for {link.name}")
        self.found[identity] = link

    def _physical(self, each: dict[str, Any]) -> None:
        mac = values.mac(each.get("ethernet_mac_address"))
        name = self._known.get(mac)
        self._add(
            each,
            Link(
                name=name or f"mac-{mac.replace(':', '')}",
                mac=mac,
                mtu=self._mtu(each),
                present=name is not None,
            ),
        )

    def _bond(self, each: dict[str, Any], number: int) -> None:
        name = f"bond{number}"
        members = each.get("bond_links")
        if not isinstance(members, list) or not members:
            raise ValueError("it has no bond_links")
        ports = []
        for identity in members[:MOST]:
            port = self.found.get(values.text(identity))
            if port is None or port.kind != "physical" or port.master:
                raise ValueError(f"{shown(identity)} cannot be its port")
            ports.append(port)
        mac = each.get("ethernet_mac_address")
        bond = bonding.parse(each, self._warn, self._note)
        link = Link(
            name=name,
            kind=BOND,
            mac=values.mac(mac) if mac else "",
            mtu=self._mtu(each),
            bond=bond,
        )
        self._add(each, link)
        primary = self._primary(each, bond.mode, ports)
        for port in ports:
            port.master = name
            port.primary = port is primary
            # A port cannot be smaller than what lies on it.
            port.mtu = port.mtu or link.mtu

    def _primary(
        self, each: dict[str, Any], mode: str, ports: list[Link]
    ) -> Link | None:
        wanted = each.get("bond_primary")
        if not wanted:
            return None
        port = self.found.get(values.text(wanted))
        name = values.called(each)
        if port not in ports:
            self._warn(f"bond {name}: its bond_primary is not a port of it")
            return None
        if mode not in bonding.ONE_ACTIVE:
            self._note(f"bond {name}: {mode} has no use for bond_primary")
            return None
        return port

    def _mtu(self, each: dict[str, Any]) -> int | None:
        """What is to be sent at once, in bytes; a wrong one is none."""
        try:
            return values.number(each, "mtu", 68, 65535)
        except ValueError as exc:
            self._warn(
                f"{values.called(each)}: {shown(exc)}: that alone is left out"
            )
            return None

    def _vlan(self, each: dict[str, Any]) -> None:
        parent = self.found.get(values.text(each.get("vlan_link")))
        if parent is None:
            raise ValueError("its vlan_link is not known")
        if parent.master:
            raise ValueError(f"{parent.name} is a port of {parent.master}")
        number = values.number(each, "vlan_id", 1, 4094)
        if number is None:
            raise ValueError("it has no vlan_id")
        mac = each.get("vlan_mac_address") or each.get("ethernet_mac_address")
        name = f"{parent.name}.{number}"
        self._add(
            each,
            Link(
                name=name if len(name) <= LONGEST_NAME else f"vlan{number}",
                kind=VLAN,
                mac=values.mac(mac) if mac else "",
                mtu=self._mtu(each),
                vlan=number,
                parent=parent.name,
            ),
        )

    def _addresses(self, each: dict[str, Any], link: Link) -> None:
        kind = each.get("type")
        if kind in STATIC:
            _static(each, link)
        elif kind in DHCP4:
            link.dhcp4 = True
        elif kind in STATEFUL:
            link.dhcp6 = link.ra = True
        elif kind in SLAAC or kind in STATELESS:
            link.ra = True
        else:
            raise ValueError(f"its type is {shown(kind)!r}")
        for route in self._routes(each):
            if route not in link.routes:
                link.routes.append(route)
        own = [
            *values.several(each, "services"),
            *values.several(each, "dns_nameservers"),
        ]
        for server in self._dns(own):
            if server not in link.dns:
                link.dns.append(server)

    def _routes(self, each: dict[str, Any]) -> Iterator[Route]:
        if _gateway(each):
            yield _route({"gateway": each["gateway"]})
        for one in values.several(each, "routes"):
            try:
                yield _route(one)
            except ValueError as exc:
                self._warn(
                    f"a route of network {values.called(each)}: {shown(exc)}: "
                    "left out"
                )

    def _dns(self, described: list[Any]) -> Iterator[Address]:
        for each in described:
            address: Any = each
            if isinstance(each, dict):
                if each.get("type", "dns") not in ("dns", "nameserver"):
                    continue
                address = each.get("address")
            for one in address if isinstance(address, list) else [address]:
                try:
                    yield values.address(one)
                except ValueError as exc:
                    self._warn(f"a DNS server: {shown(exc)}: left out")


def _static(each: dict[str, Any], link: Link) -> None:
    text = values.unscoped(each.get("ip_address"))
    mask = each.get("netmask")
    if "/" not in text and mask not in (None, ""):
        text = f"{text}/{_prefix(mask)}"
    address = ipaddress.ip_interface(text)
    if address not in link.addresses:
        link.addresses.append(address)
    if address.version == 6 and link.ra is None:
        # All is said of it: what a router says besides is not asked for.
        link.ra = False


def _route(each: object) -> Route:
    if not isinstance(each, dict):
        raise ValueError("it is no object")
    via = _gateway(each)
    destination = values.unscoped(each.get("network"))
    if not destination:
        destination = str(NOWHERE[via.version if via else 4])
    if "/" not in destination:
        mask = each.get("netmask")
        default = 0 if destination in map(str, NOWHERE.values()) else ""
        prefix = default if mask in (None, "") else _prefix(mask)
        destination = f"{destination}/{prefix}".rstrip("/")
    to = ipaddress.ip_network(destination, strict=False)
    if via is not None and via.version != to.version:
        raise ValueError(f"{via} is no way to {to}")
    return Route(to, via, values.number(each, "metric", 0, 2**32 - 1))


def _gateway(each: Mapping[str, Any]) -> Address | None:
    """Who it goes by; nobody's address says that it is on the link itself."""
    gateway = each.get("gateway")
    found = values.address(gateway) if gateway else None
    return None if found in NOWHERE.values() else found


def _prefix(mask: object) -> str:
    """The length of a mask in any of its forms.

    ipaddress knows those of IPv4; of IPv6 Neutron gives the whole mask.
    """
    text = str(mask) if isinstance(mask, int) else values.text(mask)
    if ":" not in text:
        return text
    bits = int(ipaddress.IPv6Address(text))
    length = bin(bits).count("1")
    if bits != (2**length - 1) << (128 - length):
        raise ValueError(f"{text} is no mask")
    return str(length)


def _objects(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = data.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > MOST:
        raise Malformed(f"{key} is not a list of at most {MOST}")
    if not all(isinstance(each, dict) for each in found):
        raise Malformed(f"{key} is not a list of objects")
    return found
