"""A config drive as Ironic gets it, and what is said on it to one machine."""

import dataclasses
import json
from pathlib import Path
import shutil
from typing import Any

from dib_service.engine import process
from dib_service.engine.gate.faults import Found

# What QEMU's own network offers; its first lease is the address in any case.
NETMASK, GATEWAY = "255.255.255.0", "10.0.2.2"
NAMESERVER, ADDRESS = "10.0.2.3", "10.0.2.15"

# openstacksdk's choices: one program by three names.
PROGRAMS = ("genisoimage", "mkisofs", "xorrisofs")
VERSIONS = ("2012-08-10", "latest")

SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the cloud tells one machine about itself."""

    uuid: str
    name: str
    mac: str
    public_key: str

    def meta_data(self) -> dict[str, Any]:
        """Nova's words for it."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "hostname": self.name,
            "public_keys": {"mine": self.public_key},
        }

    def network_data(self) -> dict[str, Any]:
        """Neutron's words for its one port."""
        route = {
            "network": "0.0.0.0",  # noqa: S104 (a route, and no socket)
            "netmask": "0.0.0.0",  # noqa: S104
            "gateway": GATEWAY,
        }
        return {
            "links": [
                {
                    "id": "port0",
                    "type": "phy",
                    "ethernet_mac_address": self.mac,
                    "mtu": 1400,
                }
            ],
            "networks": [
                {
                    "id": "network0",
                    "type": "ipv4",
                    "link": "port0",
                    "ip_address": ADDRESS,
                    "netmask": NETMASK,
                    "routes": [route],
                }
            ],
            "services": [{"type": "dns", "address": NAMESERVER}],
        }


def write(machine: Machine, folder: Path) -> Path:
    """The machine's drive, an ISO labelled config-2, in a new folder."""
    content = folder / "content"
    for version in VERSIONS:
        place = content / "openstack" / version
        place.mkdir(parents=True)
        for name, data in (
            ("meta_data.json", machine.meta_data()),
            ("network_data.json", machine.network_data()),
        ):
            (place / name).write_text(json.dumps(data))
    path = folder / "config-2.iso"
    process.run(
        [
            *(_program(), "-o", path, "-ldots", "-allow-lowercase"),
            *("-allow-multidot", "-l", "-publisher", "ironic", "-quiet"),
            *("-J", "-r", "-V", "config-2", content),
        ],
        deadline=SECONDS,
    )
    return path


def new_key(path: Path) -> str:
    """Make a pair of keys at path; the public one."""
    process.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path],
        deadline=SECONDS,
    )
    return path.with_suffix(".pub").read_text().strip()


def _program() -> str:
    for name in PROGRAMS:
        if shutil.which(name, path=process.BASE_ENV["PATH"]):
            return name
    raise Found(
        "boot-test-host",
        f"none of {', '.join(PROGRAMS)} is on this host, and a config drive "
        "is made with one of them",
    )
