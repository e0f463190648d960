"""An image for one purpose: a compute node that its cloud configures.

The image is the one that the service published, boot test and all, downloaded
back from Glance; ``DIB_TEST_NOVA_COMPUTE_IMAGE`` may name another. It boots
with a config drive that has the place and the credentials of a broker and of a
Keystone of another cloud, and is then ``up`` there, in a real Nova whose
conductor and API are of the release in the image. It boots again with another
account, the first one's being gone, and is up again.

One build, started in three machines, and two boots, all emulated: some
14 minutes on two quiet cores.
"""

import atexit
from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
from typing import ClassVar
import uuid

import testtools
from testtools import content

from tests import lab, qemu
from tests.integration import published, service_case
from tests.integration.control_plane import ControlPlane
from tests.qemu import configdrive
from tools.lab import accounts, daemon

ELEMENTS = ("debian", "vm", "nova-compute")
NAME = "node-17"

UP_SECONDS = 600.0
# What Nova and Neutron would be told, and the image cannot know.
TOLD = re.compile(
    r"^\s*(transport_url|auth_url|password|connection|my_ip|host|local_ip)"
    r"\s*=",
    re.MULTILINE,
)


class NovaComputeTest(testtools.TestCase):
    """One node, booted twice, for all of these tests."""

    control: ClassVar[ControlPlane]
    image: ClassVar[pathlib.Path]
    tree: ClassVar[pathlib.Path]
    place: ClassVar[pathlib.Path]
    machine: ClassVar[configdrive.Machine]
    # What was seen in either boot, and the node in its second.
    first: ClassVar[dict[str, str]]
    second: ClassVar[dict[str, str]]
    guest: ClassVar[qemu.Guest]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.place = pathlib.Path(
            cls.enterClassContext(tempfile.TemporaryDirectory())
        )
        cls.image = node_image()
        cls.tree = root_of(cls.image, cls.place)
        cls.control = ControlPlane(
            cls.tree,
            state=lab.new_state(),
            venv=lab.services_venv(),
            gateway=qemu.GATEWAY,
        )
        cls.addClassCleanup(cls.control.stop)
        # Also where the tests are told to end.
        atexit.register(cls.control.stop)
        cls.control.start()
        cls.boot_twice()

    def setUp(self) -> None:
        super().setUp()
        self.addDetail(
            "console", content.text_content(self.guest.console_text())
        )

    @classmethod
    def boot_twice(cls) -> None:
        """Have it up with one account of the broker's, then with another."""
        cls.machine = configdrive.Machine(
            uuid=str(uuid.uuid4()),
            name=NAME,
            address="10.0.2.77",
            mac="52:54:00:00:00:77",
            public_key=configdrive.new_key(cls.place / "key"),
        )
        with cls.started("before") as guest:
            cls.first = seen(guest)
            guest.power_off()
        # With what it was told before, nobody lets it in any more.
        cls.control.rabbitmq.remove_user("before")
        cls.wait_for("down")
        cls.guest = cls.enterClassContext(cls.started("after"))
        cls.second = seen(cls.guest)

    @classmethod
    @contextlib.contextmanager
    def started(cls, account: str) -> Iterator[qemu.Guest]:
        """The node, up in Nova, with this account of the broker's."""
        url = cls.control.rabbitmq.add_user(account)
        drive = configdrive.pack(
            cls.place / "drive.iso",
            cls.machine.meta_data(),
            network_data=cls.machine.network_data(),
            vendor_data={
                "last_mile": {
                    "nova_compute": cls.control.said_to_a_node(url),
                    "neutron_openvswitch_agent": {
                        "transport_url": cls.control.from_there(url)
                    },
                }
            },
        )
        with qemu.Guest(
            cls.image,
            drive=drive,
            key=cls.place / "key",
            address=cls.machine.address,
            mac=cls.machine.mac,
            memory_mib=2048,
            disk=cls.place / "node.qcow2",
        ) as guest:
            guest.wait_for_ssh()
            guest.run("cloud-init status --wait")
            guest.run("systemctl is-system-running --wait", accept=(0, 1))
            try:
                cls.wait_for("up")
            except AssertionError as exc:
                raise AssertionError(f"{exc}\n{journal(guest)}") from exc
            yield guest

    @classmethod
    def wait_for(cls, state: str) -> None:
        """Return once the node's compute service is in that state."""
        service_case.wait(
            lambda: cls.listed().get(NAME) == state,
            seconds=UP_SECONDS,
            what=f"{NAME} to be {state}",
            more=cls.listed,
        )

    @classmethod
    def listed(cls) -> dict[str, str]:
        """The state of each host's compute service, as an operator sees it."""
        said = daemon.output_of(
            [
                *("env", "-i", f"PATH={daemon.PATH}", "LC_ALL=C.UTF-8"),
                *(
                    f"{name}={value}"
                    for name, value in cls.control.cloud.account("admin")
                    .environment()
                    .items()
                ),
                str(service_case.BIN / "openstack"),
                *("compute", "service", "list"),
                *("--service", "nova-compute", "-f", "json"),
            ],
            log=cls.control.cloud.state.path / "listed.log",
        )
        return {row["Host"]: row["State"] for row in json.loads(said)}

    def test_it_is_up(self) -> None:
        """With the second account: the first is no more."""
        self.assertEqual({NAME: "up"}, self.listed())

    def test_what_is_said_now_is_all_that_counts(self) -> None:
        for told, account, other in (
            (self.first, "before", "after"),
            (self.second, "after", "before"),
        ):
            self.assertIn(f"rabbit://{account}:", told["nova"])
            self.assertIn(f"rabbit://{account}:", told["neutron"])
            self.assertNotIn(other, told["nova"] + told["neutron"])

    def test_only_its_service_reads_a_file(self) -> None:
        for told in (self.first, self.second):
            self.assertEqual(
                ["640 root nova", "640 root neutron"],
                told["modes"].splitlines(),
            )

    def test_no_unit_failed(self) -> None:
        for told in (self.first, self.second):
            self.assertEqual("", told["failed"])

    def test_the_network_is_its_agents(self) -> None:
        """Who has made the bridge that instances are plugged into."""
        for told in (self.first, self.second):
            self.assertEqual("active", told["agent"].strip())
            self.assertIn("br-int", told["bridges"].split())

    def test_placement_knows_it(self) -> None:
        with self.control.cloud.account("admin").connect() as cloud:
            answer = cloud.session.get(
                f"/resource_providers?name={NAME}",
                endpoint_filter={
                    "service_type": "placement",
                    "interface": "public",
                    "region_name": accounts.REGION,
                },
            )
        self.assertEqual(1, len(answer.json()["resource_providers"]))

    def test_nothing_of_a_cloud_is_in_the_image(self) -> None:
        for name in ("nova", "neutron"):
            told = self.tree / f"etc/{name}/{name}.conf.d"
            self.assertEqual([], list(told.iterdir()))
            for file in (self.tree / f"etc/{name}").rglob("*.conf"):
                said = TOLD.findall(file.read_text(errors="replace"))
                self.assertEqual([], said, file)
        # All of a lab's passwords begin so.
        found = subprocess.run(
            [
                *("grep", "-rlaE", r"lab-[0-9a-f]{24}|BEGIN .*PRIVATE KEY"),
                *("etc", "home", "root", "var", "usr/local"),
            ],
            cwd=self.tree,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((1, ""), (found.returncode, found.stdout))

    def test_no_identity_of_a_node_is_in_the_image(self) -> None:
        for name in ("nova/compute_id", "openvswitch/conf.db"):
            self.assertFalse((self.tree / "var/lib" / name).exists(), name)
        iscsi = self.tree / "etc/iscsi/initiatorname.iscsi"
        self.assertEqual("GenerateName=yes\n", iscsi.read_text())


COMMANDS = {
    "nova": "sudo cat /etc/nova/nova.conf.d/50-last-mile.conf",
    "neutron": "sudo cat /etc/neutron/neutron.conf.d/50-last-mile.conf",
    "modes": (
        "sudo stat -c '%a %U %G' /etc/nova/nova.conf.d/50-last-mile.conf "
        "/etc/neutron/neutron.conf.d/50-last-mile.conf"
    ),
    "failed": "systemctl list-units --failed --no-legend",
    "agent": "systemctl is-active neutron-openvswitch-agent",
    "bridges": "sudo ovs-vsctl list-br",
}


def seen(guest: qemu.Guest) -> dict[str, str]:
    """What the node says of itself, once its agent has had its time."""
    deadline = time.monotonic() + UP_SECONDS
    while "br-int" not in guest.run(COMMANDS["bridges"]).split():
        if time.monotonic() > deadline:
            raise AssertionError(f"no br-int\n{journal(guest)}")
        time.sleep(5)
    return {name: guest.run(line) for name, line in COMMANDS.items()}


def journal(guest: qemu.Guest) -> str:
    """What the services of the node have said last."""
    units = ("last-mile", "nova-compute", "*-openvswitch-agent")
    return guest.run(
        "sudo journalctl --no-pager -o cat -n 150",
        *(f"-u '{unit}'" for unit in units),
    )


def node_image() -> pathlib.Path:
    """A qcow2 file, which has passed its boot test."""
    given = os.environ.get("DIB_TEST_NOVA_COMPUTE_IMAGE")
    if given:
        return pathlib.Path(given)
    with published.service() as running:
        service_case.wait_for_elements(running.cloud, *ELEMENTS)
        build = published.built(
            running,
            ELEMENTS,
            *("--env", "DIB_DEBIAN_KERNEL=linux-image-cloud-amd64"),
        )
        return published.downloaded(running, build, "node").path


def root_of(image: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """The files of an image's root, below ``place``.

    A mount would stay where the tests are ended.
    """
    raw, tree = place / "root.raw", place / "tree"
    subprocess.run(
        ["qemu-img", "convert", "-O", "raw", str(image), str(raw)], check=True
    )
    listed = subprocess.run(
        ["sfdisk", "--json", str(raw)], check=True, stdout=subprocess.PIPE
    )
    table = json.loads(listed.stdout)["partitiontable"]
    # The root is the largest of them.
    start = max(table["partitions"], key=lambda each: each["size"])["start"]
    root = f"{raw}?offset={start * table['sectorsize']}"
    tree.mkdir()
    subprocess.run(
        ["debugfs", "-R", f"rdump / {tree}", root],
        check=True,
        capture_output=True,
    )
    raw.unlink()
    return tree
