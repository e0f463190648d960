"""How the ports of a bond work together, as the metadata has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import ipaddress
from typing import Any

from metadata_reader.data import shown

from metadata_init import values

MODES = (
    *("balance-rr", "active-backup", "balance-xor", "broadcast"),
    *("802.3ad", "balance-tlb", "balance-alb"),
)
# These look at the ports' carrier alone.
NO_ARP = ("802.3ad", "balance-tlb", "balance-alb")
# In these one port can be preferred.
ONE_ACTIVE = ("active-backup", "balance-tlb", "balance-alb")
POLICIES = (
    *("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"),
    "vlan+srcmac",
)
RATES = ("slow", "fast")
SELECTIONS = ("stable", "bandwidth", "count")
RESELECTIONS = ("always", "better", "failure")
VALIDATIONS = (
    *("none", "active", "backup", "all"),
    *("filter", "filter_active", "filter_backup"),
)
TARGETS = ("any", "all")
MAC_POLICIES = ("none", "active", "follow")

# The kernel takes no more.
MOST_ARP_TARGETS = 16
# Of itself the kernel would look after no port: a cable that is pulled out
# would go on being used.
MIIMON = 100
# What is read elsewhere.
OUTLINE = ("bond_links", "bond_mode", "bond_primary")


@dataclasses.dataclass(frozen=True)
class Bond:
    """A bond's settings; what is nothing is the kernel's own choice.

    ``miimon``, the delays and ``arp_interval`` are in milliseconds.
    """

    mode: str = "balance-rr"
    miimon: int | None = None
    updelay: int | None = None
    downdelay: int | None = None
    arp_interval: int | None = None
    arp_targets: tuple[ipaddress.IPv4Address, ...] = ()
    arp_validate: str | None = None
    arp_all_targets: str | None = None
    policy: str | None = None
    lacp_rate: str | None = None
    ad_select: str | None = None
    min_links: int | None = None
    reselect: str | None = None
    fail_over_mac: str | None = None


def parse(
    each: Mapping[str, Any],
    warn: Callable[[str], object],
    note: Callable[[str], object],
) -> Bond:
    """The settings of a bond.

    ``warn`` is told of those that are wrong, ``note`` of those that are left
    out for another reason.

    :raises ValueError: its mode is none, and without that its ports would
        not fit what they are plugged into.
    """
    mode = values.choice(each, "bond_mode", MODES) or MODES[0]
    read = _Options(each, warn, note)
    found = Bond(
        mode=mode,
        miimon=read.number("bond_miimon", 0, 60000),
        updelay=read.number("bond_updelay", 0, 600000),
        downdelay=read.number("bond_downdelay", 0, 600000),
        arp_interval=read.number("bond_arp_interval", 0, 60000) or None,
        arp_targets=read.arp_targets("bond_arp_ip_target"),
        arp_validate=read.choice("bond_arp_validate", VALIDATIONS),
        arp_all_targets=read.choice("bond_arp_all_targets", TARGETS),
        policy=read.choice("bond_xmit_hash_policy", POLICIES),
        lacp_rate=read.choice("bond_lacp_rate", RATES),
        ad_select=read.choice("bond_ad_select", SELECTIONS),
        min_links=read.number("bond_min_links", 0, 1024),
        reselect=read.choice("bond_primary_reselect", RESELECTIONS),
        fail_over_mac=read.choice("bond_fail_over_mac", MAC_POLICIES),
    )
    read.others()
    return _fitting(found, read)


def _fitting(bond: Bond, read: _Options) -> Bond:
    """The bond without what its mode has no use for.

    NetworkManager would take none of it then.
    """
    if bond.lacp_rate and bond.mode != "802.3ad":
        read.note(f"{bond.mode} has no use for bond_lacp_rate")
        bond = dataclasses.replace(bond, lacp_rate=None)
    if bond.arp_interval is None:
        return _by_carrier(bond, read)
    why = ""
    if bond.mode in NO_ARP:
        why = f"{bond.mode} has no use for bond_arp_interval"
    elif bond.miimon:
        why = "bond_arp_interval stands beside bond_miimon"
    elif not bond.arp_targets:
        why = "bond_arp_interval has no bond_arp_ip_target"
    if why:
        read.note(why)
        return _by_carrier(bond, read)
    return dataclasses.replace(bond, miimon=None, updelay=None, downdelay=None)


def _by_carrier(bond: Bond, read: _Options) -> Bond:
    """The bond, which looks after its ports by whether they have a carrier."""
    bond = dataclasses.replace(
        bond,
        miimon=MIIMON if bond.miimon is None else bond.miimon,
        arp_interval=None,
        arp_targets=(),
        arp_validate=None,
        arp_all_targets=None,
    )
    if bond.miimon == 0 and (bond.updelay or bond.downdelay):
        read.note("without bond_miimon nothing is delayed")
        bond = dataclasses.replace(bond, updelay=None, downdelay=None)
    return bond


class _Options:
    """Reads one after the other: what is wrong is told and left out."""

    def __init__(
        self,
        each: Mapping[str, Any],
        warn: Callable[[str], object],
        note: Callable[[str], object],
    ) -> None:
        self._each = each
        self._warn = warn
        self._note = note
        self._known = set(OUTLINE)

    def warn(self, why: object) -> None:
        """Tell of an option that is wrong."""
        self._warn(self._without(why))

    def note(self, why: object) -> None:
        """Tell of one that is of no use."""
        self._note(self._without(why))

    def _without(self, why: object) -> str:
        name = values.called(self._each)
        return f"bond {name}: {shown(why)}: that alone is left out"

    def number(self, key: str, least: int, most: int) -> int | None:
        """A whole number in these bounds."""
        self._known.add(key)
        try:
            return values.number(self._each, key, least, most)
        except ValueError as exc:
            self.warn(exc)
            return None

    def choice(self, key: str, among: tuple[str, ...]) -> str | None:
        """One of these words."""
        self._known.add(key)
        try:
            return values.choice(self._each, key, among)
        except ValueError as exc:
            self.warn(exc)
            return None

    def arp_targets(self, key: str) -> tuple[ipaddress.IPv4Address, ...]:
        """Addresses, in a list or with commas between them."""
        self._known.add(key)
        return tuple(self._addresses(key))

    def _addresses(self, key: str) -> Iterator[ipaddress.IPv4Address]:
        words = values.several(self._each, key)
        words = words or values.text(self._each.get(key)).split(",")
        for word in filter(None, words[:MOST_ARP_TARGETS]):
            try:
                yield ipaddress.IPv4Address(values.text(word))
            except ValueError as exc:
                self.warn(f"{key}: {exc}")

    def others(self) -> None:
        """Tell of what nobody has asked for."""
        for key in self._each:
            if key.startswith("bond_") and key not in self._known:
                self.note(f"{shown(key, 60)} is not known here")
