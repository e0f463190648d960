"""What the cloud says of a machine is so after each boot, and no longer.

Two machines are made of one image file: one has a config drive and no metadata
service, the other a metadata service and no drive, in another network. Nova's
own code makes the drive and answers for the service. Each is booted three
times: with what it was told, with something else in its place, and with nobody
telling it anything. The image is the one that the service published;
``DIB_TEST_IMAGE`` may name another.

Six boots, two at a time: some 6 minutes on two quiet cores, emulated.
"""

import base64
from collections.abc import Iterator
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
from typing import ClassVar

import testtools
from testtools import content

from tests import qemu
from tests.integration import published
from tests.qemu import configdrive

NOVA = pathlib.Path(__file__).with_name("nova_metadata.py")
SERVICE = "169.254.169.254"

# A person's own doing, which nobody has to take back.
ONCE = "#!/bin/sh\necho once >>/var/log/told-once\n"
KEPT = "did not answer: the machine keeps"


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the cloud tells one machine, and Nova's code is given."""

    uuid: str
    name: str
    address: str
    network: str
    gateway: str
    nameserver: str
    route: str
    via: str
    public_key: str
    mac: str
    user_data: str = base64.b64encode(ONCE.encode()).decode()


FIRST_DRIVE = Machine(
    uuid="6f5c1a52-0000-4000-8000-000000000071",
    name="drive-1.one.example.org",
    address="10.0.2.71",
    network="10.0.2.0/24",
    gateway="10.0.2.2",
    nameserver="10.0.2.3",
    route="198.51.100.0/24",
    via="10.0.2.2",
    public_key="",
    mac="52:54:00:00:00:71",
)
FIRST_SERVICE = Machine(
    uuid="6f5c1a52-0000-4000-8000-000000000081",
    name="service-1.two.example.net",
    address="169.254.0.81",
    network="169.254.0.0/16",
    gateway="169.254.0.2",
    nameserver="169.254.0.3",
    route="192.0.2.0/24",
    via="169.254.0.4",
    public_key="",
    mac="52:54:00:00:00:81",
)
# What changes while the machine is off; it stays the same instance.
LATER = {
    FIRST_DRIVE: {
        "name": "drive-2.one.example.org",
        "address": "10.0.2.72",
        "route": "203.0.113.0/24",
    },
    FIRST_SERVICE: {
        "name": "service-2.two.example.net",
        "address": "169.254.0.82",
        "route": "203.0.113.0/24",
    },
}


@dataclasses.dataclass
class Boot:
    """One boot, and what was seen in it."""

    told: Machine
    console: str
    # Which of the keys let somebody in: the first, the second, one's own.
    keys: dict[str, bool]
    # What each of these commands said.
    said: dict[str, str]


COMMANDS = {
    "name": "hostname -f",
    "addresses": "ip -json -4 address show",
    "routes": "ip -json -4 route show",
    "dns": "resolvectl dns",
    "hosts": "cat /etc/hosts",
    "mine": "cat .ssh/authorized_keys",
    "host-keys": "cat /etc/ssh/ssh_host_*_key.pub",
    "failed": "systemctl list-units --failed --no-legend",
}
OF_CLOUD_INIT = {
    "roots": "sudo cat /root/.ssh/authorized_keys",
    "result": "cat /run/cloud-init/result.json",
    "once": "cat /var/log/told-once",
    "log": "journalctl -b -o cat -u cloud-init-refresh-keys",
}


class Story:
    """A machine through three boots, on a disk of its own."""

    commands: ClassVar[dict[str, str]] = {**COMMANDS, **OF_CLOUD_INIT}

    def __init__(
        self, image: pathlib.Path, folder: pathlib.Path, first: Machine
    ) -> None:
        self.image = image
        self.folder = folder
        self.described = folder / "described.json"
        folder.mkdir()
        names = ("first", "second", "own", "strange")
        self.public = {
            name: configdrive.new_key(folder / name) for name in names
        }
        self.first = dataclasses.replace(
            first, public_key=self.public["first"]
        )
        self.second = dataclasses.replace(
            first,
            **LATER[first],
            public_key=self.public["second"],
        )

    def tell(self, machine: Machine) -> None:
        self.described.write_text(json.dumps(dataclasses.asdict(machine)))

    def boot(
        self,
        told: Machine,
        key: str,
        *,
        drive: pathlib.Path | None = None,
        netdev: str = f"net={qemu.NETWORK}",
        extra: tuple[str, ...] = (),
    ) -> Boot:
        with qemu.Guest(
            self.image,
            drive=drive,
            key=self.folder / key,
            address=told.address,
            mac=told.mac,
            disk=self.folder / "disk.qcow2",
            netdev=netdev,
            extra=extra,
        ) as guest:
            guest.wait_for_ssh()
            self.settle(guest)
            said = {
                name: guest.run(command)
                for name, command in self.commands.items()
            }
            keys = {name: lets_in(guest, name) for name in self.public}
            guest.run(add_line(self.public["own"]))
            guest.power_off()
            return Boot(told, guest.console_text(), keys, said)

    def settle(self, guest: qemu.Guest) -> None:
        """Return when the guest has become what it was told."""
        # 2 is that something could be better.
        guest.run("cloud-init", "status", "--wait", accept=(0, 2))

    def by_drive(self) -> list[Boot]:
        """Booted with a drive, with another in its place, and without."""
        self.tell(self.first)
        first = self.boot(self.first, "first", drive=self.drive("first"))
        self.tell(self.second)
        second = self.boot(self.second, "second", drive=self.drive("second"))
        return [first, second, self.boot(self.second, "second")]

    def drive(self, name: str) -> pathlib.Path:
        """Nova's own config drive, as it is told now."""
        path = self.folder / f"{name}.iso"
        subprocess.run(
            [nova_python(), NOVA, "drive", self.described, path],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        return path

    def by_service(self) -> list[Boot]:
        """Booted with a service, with news at it, and without one."""
        firmware = (
            *("-uuid", self.first.uuid),
            *("-smbios", "type=1,product=OpenStack Nova"),
        )
        with self.service() as port:
            netdev = service_network(port)
            self.tell(self.first)
            first = self.boot(
                self.first, "first", netdev=netdev, extra=firmware
            )
            self.tell(self.second)
            second = self.boot(
                self.second, "second", netdev=netdev, extra=firmware
            )
        third = self.boot(self.second, "second", netdev=netdev, extra=firmware)
        return [first, second, third]

    @contextlib.contextmanager
    def service(self) -> Iterator[int]:
        """Nova's own metadata service, on a port of 127.0.0.1."""
        self.tell(self.first)
        with (self.folder / "service.log").open("wb") as log:
            process = subprocess.Popen(
                [nova_python(), NOVA, "serve", self.described],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            qemu.end(process)


def nova_python() -> pathlib.Path:
    return pathlib.Path(os.environ["DIB_SERVICES_VENV"], "bin/python")


def service_network(port: int) -> str:
    """QEMU's network, with the service where a cloud has it."""
    relay = f"socat STDIO TCP:127.0.0.1:{port}"
    return (
        "net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,"
        f"dhcpstart=169.254.0.15,guestfwd=tcp:{SERVICE}:80-cmd:{relay}"
    )


def lets_in(guest: qemu.Guest, key: str) -> bool:
    """Whether this key of the story's is one for the default user."""
    path = guest.key
    assert path
    guest.key = path.with_name(key)
    try:
        said = guest.ssh("true")
    finally:
        guest.key = path
    if said.returncode:
        assert "Permission denied (publickey)" in said.stderr, said.stderr
    return said.returncode == 0


def add_line(public_key: str) -> str:
    """What a person types to have a key of one's own."""
    return (
        f"grep -qxF '{public_key}' .ssh/authorized_keys"
        f" || echo '{public_key}' >>.ssh/authorized_keys"
    )


class Stories:
    """Holds what is so of each machine, and is not run itself."""

    class Case(testtools.TestCase):
        """``stories`` are three boots each, by their names."""

        stories: ClassVar[dict[str, list[Boot]]]

        def setUp(self) -> None:
            super().setUp()
            for name, boots in self.stories.items():
                for number, boot in enumerate(boots, start=1):
                    self.addDetail(
                        f"{name} {number}", content.text_content(boot.console)
                    )

        def boots(self) -> list[Boot]:
            return [boot for boots in self.stories.values() for boot in boots]

        def test_the_key_is_the_default_users_and_no_other_is(self) -> None:
            for first, second, third in self.stories.values():
                wanted = {"first": True, "second": False, "own": False}
                self.assertEqual({**wanted, "strange": False}, first.keys)
                # What a person added is not the cloud's to take.
                wanted = {"first": False, "second": True, "own": True}
                self.assertEqual({**wanted, "strange": False}, second.keys)
                self.assertEqual({**wanted, "strange": False}, third.keys)

        def test_the_name_is_the_one_it_was_told(self) -> None:
            for boot in self.boots():
                self.assertEqual(boot.told.name, boot.said["name"].strip())
            for first, second, third in self.stories.values():
                for boot in (second, third):
                    self.assertNotIn(first.told.name, boot.said["hosts"])

        def test_the_addresses_are_those_it_was_told(self) -> None:
            for boot in self.boots():
                prefix = int(boot.told.network.partition("/")[2])
                found = [
                    (address["local"], address["prefixlen"])
                    for link in json.loads(boot.said["addresses"])
                    if link["ifname"] != "lo"
                    for address in link["addr_info"]
                ]
                self.assertEqual([(boot.told.address, prefix)], found)
                self.assertIn(boot.told.nameserver, boot.said["dns"])

        def test_the_routes_are_those_it_was_told(self) -> None:
            for boot in self.boots():
                told = boot.told
                self.assertEqual(
                    {
                        ("default", told.gateway),
                        (told.route, told.via),
                        (told.network, None),
                    },
                    {
                        (route["dst"], route.get("gateway"))
                        for route in json.loads(boot.said["routes"])
                    },
                )

        def test_host_keys_stay_what_they_are(self) -> None:
            for boots in self.stories.values():
                first, *later = (
                    set(boot.said["host-keys"].split("\n")) for boot in boots
                )
                self.assertEqual([first, first], later)

        def test_no_unit_failed(self) -> None:
            for boot in self.boots():
                self.assertEqual("", boot.said["failed"])


class TestLastMile(Stories.Case):
    """Both stories, told once for all of these tests."""

    drive: ClassVar[list[Boot]]
    service: ClassVar[list[Boot]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        image = published.debian_image()
        before = sha256(image)
        folder = pathlib.Path(
            cls.enterClassContext(tempfile.TemporaryDirectory(dir="/var/tmp"))
        )
        one = Story(image, folder / "drive", FIRST_DRIVE)
        two = Story(image, folder / "service", FIRST_SERVICE)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            by_drive = pool.submit(one.by_drive)
            by_service = pool.submit(two.by_service)
            cls.drive = by_drive.result()
            cls.service = by_service.result()
        cls.stories = {"drive": cls.drive, "service": cls.service}
        # The same file for both clouds, and still what it was.
        assert before == sha256(image)

    def test_the_old_key_is_gone_from_all_files(self) -> None:
        for first, second, third in (self.drive, self.service):
            old = first.told.public_key.split()[1]
            new = second.told.public_key.split()[1]
            for file in ("mine", "roots"):
                self.assertIn(old, first.said[file])
                for boot in (second, third):
                    self.assertNotIn(old, boot.said[file])
                    self.assertIn(new, boot.said[file])

    def test_host_keys_are_a_machines_own(self) -> None:
        one, two = (
            {line.split()[1] for line in boots[0].said["host-keys"].split("\n")
             if line}
            for boots in (self.drive, self.service)
        )  # fmt: skip
        self.assertEqual(3, len(one))
        self.assertEqual(set(), one & two)

    def test_cloud_init_had_no_fault(self) -> None:
        for boot in self.boots():
            self.assertEqual(
                [], json.loads(boot.said["result"])["v1"]["errors"]
            )

    def test_each_took_it_from_its_own_source(self) -> None:
        for name, boots in (
            ("DataSourceConfigDrive", self.drive),
            ("DataSourceOpenStack", self.service),
        ):
            for boot in boots:
                self.assertIn(name, boot.said["result"])

    def test_a_script_for_the_instance_ran_once(self) -> None:
        for boot in self.boots():
            self.assertEqual("once\n", boot.said["once"])

    def test_that_nobody_answered_is_said(self) -> None:
        for first, second, third in (self.drive, self.service):
            for boot in (first, second):
                self.assertNotIn(KEPT, boot.said["log"] + boot.console)
            self.assertIn(KEPT, third.said["log"])
            self.assertIn(KEPT, third.console)


def sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
