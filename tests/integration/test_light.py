"""metadata-init and cloud-init make the same machine of one drive.

Two images of Debian differ in who reads the drive. Both are started with the
same one and the same cards, side by side, and asked what became of them. Each
also has Puppet's agent and ansible-pull, whose servers the drive names.
"""

import atexit
import concurrent.futures
import contextlib
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any, ClassVar

import testtools
from testtools import content

from tests import authority, configuration_server, qemu, signer
from tests.integration import light_drive
from tests.qemu import configdrive

# Where one is there already, it is not built: the variable that names it.
GIVEN = {
    "cloud-init": "DIB_TEST_CLOUD_INIT_IMAGE",
    "metadata-init": "DIB_TEST_LIGHT_IMAGE",
}
CLIENTS = ("ansible-pull", "puppet-agent")
ELEMENTS = {
    "cloud-init": ("debian", *CLIENTS, "vm"),
    "metadata-init": ("debian", "metadata-init", *CLIENTS, "vm"),
}

FAILED = "systemctl list-units --failed --no-legend"

PLAYBOOK = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - copy:
        content: "by a playbook\\n"
        dest: /etc/ansible-was-here
"""


class TestSame(testtools.TestCase):
    """Each machine is started once for all of these tests.

    Then the one with metadata-init is started again, with another drive.
    """

    before: ClassVar[dict[str, dict[str, Any]]]
    after: ClassVar[dict[str, Any]]
    handed_in: ClassVar[tuple[int, int]]
    consoles: ClassVar[dict[str, str]]
    key: ClassVar[str]
    other_key: ClassVar[str]

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
            cls.other_key = configdrive.new_key(folder / "other-key")
            trusted = authority.create(folder / "ca", f"IP:{qemu.GATEWAY}")
            other = authority.create(folder / "other", f"IP:{qemu.GATEWAY}")
            signing = signer.create(folder / "signer")
            signing.commit(folder / "site", "local.yml", PLAYBOOK)
            server = stack.enter_context(
                configuration_server.running(trusted, folder / "site")
            )
            cls.start(
                folder, server, asked_for(server.server_port, trusted, signing)
            )
            first = len(server.requests)
            cls.start_again(folder, refused(server.server_port, other))
            cls.handed_in = first, len(server.requests) - first

    @classmethod
    def start(
        cls,
        folder: pathlib.Path,
        server: configuration_server.Server,
        asked: dict[str, Any],
    ) -> None:
        """Start both side by side, and ask them."""
        drive = configdrive.pack(
            folder / "drive.iso",
            light_drive.meta_data(cls.key),
            network_data=light_drive.network_data(),
            vendor_data={"last_mile": asked},
        )
        with contextlib.ExitStack() as stack:
            guests = [
                stack.enter_context(
                    qemu.Guest(
                        image(agent),
                        drive=drive,
                        key=folder / "key",
                        address=light_drive.ADDRESS,
                        mac=light_drive.MACS[0],
                        disk=folder / f"{agent}-disk.qcow2",
                        extra=cards(),
                    )
                )
                for agent in ELEMENTS
            ]
            with concurrent.futures.ThreadPoolExecutor() as pool:
                found = pool.map(facts, guests)
                cls.before = dict(zip(ELEMENTS, found, strict=True))
            cls.consoles = {
                agent: guest.console_text()
                for agent, guest in zip(ELEMENTS, guests, strict=True)
            }
            guests[-1].run("sudo cp /dev/null /etc/credentials/mine")
            guests[-1].power_off()

    @classmethod
    def start_again(cls, folder: pathlib.Path, asked: dict[str, Any]) -> None:
        """Start the second one's disk with another drive, and ask it."""
        data = light_drive.network_data()
        data["links"] = data["links"][:1]
        data["networks"] = [
            light_drive.ipv4("card0", light_drive.OTHER_ADDRESS)
        ]
        drive = configdrive.pack(
            folder / "other-drive.iso",
            {**light_drive.meta_data(cls.other_key), "hostname": "node-8"},
            network_data=data,
            vendor_data={"last_mile": asked},
        )
        with qemu.Guest(
            image("metadata-init"),
            drive=drive,
            key=folder / "other-key",
            address=light_drive.OTHER_ADDRESS,
            mac=light_drive.MACS[0],
            disk=folder / "metadata-init-disk.qcow2",
            extra=cards(),
        ) as guest:
            guest.wait_for_ssh()
            guest.run("systemctl is-system-running --wait", accept=(0, 1))
            cls.after = asked_again(guest)
            cls.consoles["metadata-init, again"] = guest.console_text()

    def setUp(self) -> None:
        super().setUp()
        for name, text in self.consoles.items():
            self.addDetail(f"console: {name}", content.text_content(text))

    def same(self, name: str) -> Any:
        """What both say of something, which has to be the same."""
        one, other = (self.before[agent][name] for agent in ELEMENTS)
        self.assertEqual(one, other, "cloud-init's and metadata-init's")
        return other

    def test_links_with_their_addresses(self) -> None:
        found = self.same("links")
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
        for bond in ("bond0", "bond1"):
            masters = [facts["master"] for facts in found.values()]
            self.assertEqual(2, masters.count(bond))

    def test_bonds_as_the_kernel_has_them(self) -> None:
        found = self.same("bonds")
        self.assertEqual("active-backup", found["bond0"]["mode"])
        self.assertEqual("802.3ad", found["bond1"]["mode"])
        self.assertEqual("layer3+4", found["bond1"]["xmit_hash_policy"])

    def test_routes(self) -> None:
        found = self.same("routes")
        self.assertIn(("203.0.113.0/24", "192.0.2.1", "bond0", None), found)
        self.assertIn(
            ("2001:db8:8::/48", "2001:db8:7::1"), {each[:2] for each in found}
        )

    def test_name_servers(self) -> None:
        self.assertIn("192.0.2.53", self.same("name servers"))

    def test_names(self) -> None:
        self.assertEqual(
            ["node-7", "node-7.example.org"], self.same("names").split()[:2]
        )

    def test_the_user_with_keys_and_sudo(self) -> None:
        self.assertIn(self.key, self.same("user"))

    def test_no_unit_failed(self) -> None:
        self.assertEqual("", self.same("failed units"))

    def test_one_has_no_cloud_init(self) -> None:
        self.assertEqual("", self.before["metadata-init"]["cloud-init"])
        self.assertNotEqual("", self.before["cloud-init"]["cloud-init"])

    def test_credentials(self) -> None:
        self.assertEqual("640 root adm\nsecret\n", self.same("credentials"))

    def test_puppets_agent_handed_in_its_request(self) -> None:
        self.assertIn("node-7.example.org.pem", self.same("puppet"))

    def test_a_signed_playbook_was_run(self) -> None:
        self.assertEqual("by a playbook\n", self.same("ansible"))

    def test_another_drive_makes_another_machine(self) -> None:
        self.assertEqual(f"{self.other_key}\n", self.after["keys"])
        self.assertEqual("node-8", self.after["name"])
        found = self.after["links"]
        self.assertEqual(
            [], [name for name in found if name.startswith("bond")]
        )
        addresses = [
            address
            for facts in found.values()
            for address in facts["addresses"]
            if address.startswith("10.")
        ]
        self.assertEqual([f"{light_drive.OTHER_ADDRESS}/24"], addresses)
        # What somebody else put there stays.
        self.assertEqual("mine\n", self.after["credentials"])
        self.assertEqual("", self.after["failed units"])

    def test_a_server_that_another_authority_vouches_for_is_refused(
        self,
    ) -> None:
        self.assertGreaterEqual(self.handed_in[0], 2)
        self.assertEqual(0, self.handed_in[1])
        self.assertIn("certificate verify failed", self.after["puppet"])

    def test_a_client_without_a_server_is_not_started(self) -> None:
        self.assertEqual("inactive", self.after["ansible"])


def asked_for(
    port: int, trusted: authority.Authority, signing: signer.Signer
) -> dict[str, Any]:
    """What the first drive wants besides a network and a key."""
    return {
        "files": [
            {
                "path": "/etc/credentials/service/password",
                "content": "secret\n",
                "owner": "root:adm",
                "mode": "0640",
            }
        ],
        "puppet": {
            "server": qemu.GATEWAY,
            "port": port,
            "ca_certificate": trusted.certificate,
        },
        "ansible_pull": {
            "url": f"https://{qemu.GATEWAY}:{port}"
            + configuration_server.REPOSITORY,
            "ca_certificate": trusted.certificate,
            "signing_key": signing.public_key,
            "checkout": "main",
        },
    }


def refused(port: int, other: authority.Authority) -> dict[str, Any]:
    """What the second drive wants: a server that is somebody else."""
    return {
        "puppet": {
            "server": qemu.GATEWAY,
            "port": port,
            "ca_certificate": other.certificate,
        }
    }


def facts(guest: qemu.Guest) -> dict[str, Any]:
    """What became of a machine, once its boot has come to its end."""
    guest.wait_for_ssh()
    guest.run("systemctl is-system-running --wait", accept=(0, 1))
    found: dict[str, Any] = {
        "links": links(guest),
        "bonds": bonds(guest),
        "routes": routes(guest),
        "name servers": guest.run("resolvectl dns"),
        "names": guest.run("hostname; hostname -f; hostname -i"),
        "user": guest.run(
            "id -un; id -Gn | tr ' ' '\\n' | sort; echo $SHELL; "
            "sudo -n id -un; cat .ssh/authorized_keys; "
            "stat -c '%a %U %G' .ssh .ssh/authorized_keys; "
            "sudo getent shadow debian | cut -d: -f2"
        ),
        "failed units": guest.run(FAILED),
        "cloud-init": guest.run("command -v cloud-init || true"),
        "credentials": guest.run(
            "cd /etc/credentials/service; stat -c '%a %U %G' password; "
            "sudo cat password"
        ),
    }
    # These are slow, and go on after the boot.
    requests = "/var/lib/puppet/ssl/certificate_requests"
    # A pattern would be the user's shell's to expand, who may not look there.
    wait_for(guest, f"sudo ls {requests} | grep -F .pem")
    found["puppet"] = guest.run(f"sudo ls {requests}")
    wait_for(guest, "cat /etc/ansible-was-here")
    found["ansible"] = guest.run("cat /etc/ansible-was-here")
    return found


def asked_again(guest: qemu.Guest) -> dict[str, Any]:
    """What is different after another boot."""
    wait_for(guest, "sudo journalctl -b -u puppet | grep verify.failed")
    return {
        "keys": guest.run("cat .ssh/authorized_keys"),
        "name": guest.run("hostname").strip(),
        "links": links(guest),
        "credentials": guest.run(
            "sudo find /etc/credentials -type f -printf '%f\\n'"
        ),
        "puppet": guest.run("sudo journalctl -b -u puppet -o cat"),
        "ansible": guest.run(
            "systemctl is-active ansible-pull.timer", accept=(3,)
        ).strip(),
        "failed units": guest.run(FAILED),
    }


def wait_for(guest: qemu.Guest, command: str) -> None:
    """Return when the command succeeds in the guest."""
    while guest.ssh(command).returncode:
        guest.still_alive(f"this does not succeed: {command}")
        time.sleep(5)


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
    for number, mac in enumerate(light_drive.MACS[1:], start=1):
        # What a router would say at any time is not what is compared here.
        network = "net=10.0.5.0/24" if number == 5 else "restrict=on"
        words += [
            *("-netdev", f"user,id=net{number},ipv6=off,{network}"),
            "-device",
            f"virtio-net-pci,netdev=net{number},mac={mac},romfile=",
        ]
    return tuple(words)


@functools.cache
def image(agent: str) -> pathlib.Path:
    """A qcow2 file with this agent in it, not to be written to."""
    given = os.environ.get(GIVEN[agent])
    if given:
        return pathlib.Path(given)
    folder = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    atexit.register(shutil.rmtree, folder)
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
