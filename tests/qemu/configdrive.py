"""A config drive as Ironic and Nova make it, and what is said on it."""

import base64
import dataclasses
import gzip
import pathlib
import subprocess
from typing import Any

from openstack.baremetal import configdrive

from tests import qemu


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the cloud tells one machine about itself."""

    uuid: str
    name: str
    address: str
    mac: str
    public_key: str
    # A network that is reached by another way than the default one.
    route: str = "198.51.100.0"
    via: str = qemu.GATEWAY

    def meta_data(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "name": self.name,
            "hostname": self.name,
            "public_keys": {"mine": self.public_key},
        }

    def network_data(self) -> dict[str, Any]:
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
                    "ip_address": self.address,
                    "netmask": "255.255.255.0",
                    "routes": [
                        {
                            "network": "0.0.0.0",
                            "netmask": "0.0.0.0",
                            "gateway": qemu.GATEWAY,
                        },
                        {
                            "network": self.route,
                            "netmask": "255.255.255.0",
                            "gateway": self.via,
                        },
                    ],
                }
            ],
            "services": [{"type": "dns", "address": qemu.NAMESERVER}],
        }


def write(machine: Machine, path: pathlib.Path) -> pathlib.Path:
    """Write the machine's drive, an ISO labelled config-2, to path."""
    return pack(path, machine.meta_data(), network_data=machine.network_data())


def pack(
    path: pathlib.Path, meta_data: dict[str, Any], **documents: Any
) -> pathlib.Path:
    """Write a drive with these documents, as openstacksdk calls them."""
    packed = configdrive.build(meta_data, **documents)
    path.write_bytes(gzip.decompress(base64.b64decode(packed)))
    return path


def new_key(path: pathlib.Path) -> str:
    """Make a pair of keys at path and return the public one."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path],
        check=True,
    )
    return path.with_suffix(".pub").read_text().strip()
