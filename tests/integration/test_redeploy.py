"""A newer image is written to the disk, and the machine has its state.

The disk is written as Ironic's agent writes a whole-disk image: both copies of
the partition table are wiped, the image comes from the first byte on, and the
config drive at the end. Three boots of one disk: the first deploy, a redeploy,
and one more after the state's filesystem was destroyed. At a load of seven
that took twenty minutes.
"""

import contextlib
import json
from pathlib import Path
import subprocess
import tempfile
from typing import Any, ClassVar
import uuid

import testtools
from testtools import content

from tests import qemu
from tests.integration import agent_disk, stateful
from tests.qemu import configdrive

MiB = 1 << 20
GiB = 1 << 30
STATE = 512 * MiB
DISK = 5 * GiB
# The agent leaves the last 72 MiB to itself.
START = DISK - 72 * MiB - STATE


class Booted(qemu.Guest):
    """A guest whose disk is as it left it, once it was switched off."""

    def __exit__(self, *failure: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.ssh("sudo poweroff")
            self._process.wait(300)
        disk = self.workspace / "disk.qcow2"
        qemu.end(self._process)
        subprocess.run(["qemu-img", "commit", "-q", disk], check=True)
        super().__exit__(*failure)


class RedeployTest(testtools.TestCase):
    """What each of the boots had to say, for all of these tests."""

    machine: ClassVar[configdrive.Machine]
    folder: ClassVar[Path]
    key: ClassVar[Path]
    first: ClassVar[dict[str, Any]]
    second: ClassVar[dict[str, Any]]
    third: ClassVar[dict[str, Any]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.folder = Path(cls.enterClassContext(holder))
        cls.key = cls.folder / "key"
        cls.machine = configdrive.Machine(
            uuid=str(uuid.uuid4()),
            name="stateful",
            address="10.0.2.77",
            mac="52:54:00:00:00:77",
            public_key=configdrive.new_key(cls.key),
        )
        with (cls.folder / "disk").open("wb") as disk:
            disk.truncate(DISK)
        cls.deploy("1")
        with cls.booted() as guest:
            guest.wait_for_ssh()
            guest.run("cloud-init status --wait")
            stateful.write_state(guest.run)
            cls.first = cls.told(guest)
        cls.deploy("2")
        with cls.booted() as guest:
            cls.second = cls.told(guest)
        cls.destroy()
        cls.deploy("2")
        with cls.booted() as guest:
            cls.third = cls.told(guest)

    def setUp(self) -> None:
        super().setUp()
        for name in ("first", "second", "third"):
            said = getattr(self, name, {}).get("console", "")
            self.addDetail(f"console {name}", content.text_content(said))

    def test_it_is_made_on_the_first_deploy(self) -> None:
        self.assertEqual("made", self.first["status"]["state"])
        self.assertIn(
            "/etc/ssh/ssh_host_ed25519_key", self.second["status"]["kept"]
        )
        self.assertIn("/var/lib/postgresql", self.first["status"]["kept"])

    def test_the_redeploy_is_the_newer_image(self) -> None:
        self.assertEqual(
            ("1", "2"), (self.first["version"], self.second["version"])
        )

    def test_the_state_is_there(self) -> None:
        self.assertEqual("kept", self.second["status"]["state"])
        self.assertEqual("7", self.second["kept"])

    def test_the_host_key_is_the_same(self) -> None:
        self.assertIn("ssh-ed25519 ", self.first["offered"])
        self.assertEqual(self.first["offered"], self.second["offered"])

    def test_the_root_grew_up_to_it(self) -> None:
        for told in (self.first, self.second):
            self.assertGreater(told["root"], (START - 200 * MiB) * 0.93)
            self.assertLess(told["root"], START)

    def test_a_destroyed_one_is_told_and_left_alone(self) -> None:
        told = self.third
        self.assertEqual("degraded", told["status"]["state"])
        self.assertEqual("damaged", told["status"]["code"])
        self.assertRegex(
            told["console"], r"persistent-state: DEGRADED \(damaged\): "
        )
        self.assertIn("DEGRADED (damaged)", told["journal"])
        self.assertIn("has been", told["marker"])
        # It works, with what an image has by itself, and that is another key.
        self.assertEqual("2", told["version"])
        self.assertIn("ssh-ed25519 ", told["offered"])
        self.assertNotEqual(self.first["offered"], told["offered"])
        self.assertEqual(b"", self.beginning().strip(b"\0"))

    def test_no_unit_failed(self) -> None:
        for told in (self.first, self.second, self.third):
            self.assertEqual("", told["failed"])

    @classmethod
    def deploy(cls, version: str) -> None:
        """Write an image of that version as the agent does."""
        image = stateful.image(
            version,
            ("vm",),
            form="raw",
            DIB_PERSISTENT_STATE_SIZE=f"{STATE // MiB}MiB",
        )
        drive = configdrive.write(cls.machine, cls.folder / "drive")
        with agent_disk.loop_disk(cls.folder / "disk") as disk:
            agent_disk.write(disk, image, drive.read_bytes())

    @classmethod
    def destroy(cls) -> None:
        """Zeros over the superblock and what comes after it."""
        with (cls.folder / "disk").open("r+b") as disk:
            disk.seek(START)
            disk.write(b"\0" * MiB)

    @classmethod
    def beginning(cls) -> bytes:
        """Of what was destroyed."""
        with (cls.folder / "disk").open("rb") as disk:
            disk.seek(START)
            return disk.read(MiB)

    @classmethod
    def booted(cls) -> Booted:
        return Booted(
            cls.folder / "disk",
            key=cls.key,
            address=cls.machine.address,
            mac=cls.machine.mac,
            larger=0,
        )

    @classmethod
    def told(cls, guest: qemu.Guest) -> dict[str, Any]:
        """What the machine is now."""
        guest.wait_for_ssh()
        guest.run("cloud-init status --wait")
        guest.run("systemctl is-system-running --wait", accept=(0, 1))
        status = guest.run("sudo persistent-state status", accept=(0, 1))
        marker = "cat /run/persistent-state/degraded 2>/dev/null || true"
        with_state = json.loads(status)["state"] != "degraded"
        return {
            "version": guest.run(stateful.VERSION).strip(),
            "offered": offered(guest.port),
            "kept": stateful.kept(guest.run) if with_state else "",
            "status": json.loads(status),
            "marker": guest.run(marker),
            "journal": guest.run("sudo journalctl -u persistent-state"),
            "console": guest.console_text(),
            "root": int(
                guest.run("df --block-size=1 --output=size / | tail -1")
            ),
            "failed": guest.run("systemctl list-units --failed --no-legend"),
        }


def offered(port: int) -> str:
    """The host key that the ssh server shows."""
    return subprocess.run(
        [
            *("ssh-keyscan", "-t", "ed25519", "-T", "60"),
            *("-p", str(port), "127.0.0.1"),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.partition(" ")[2]
