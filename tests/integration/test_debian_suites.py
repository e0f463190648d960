"""Debian in each of its suites, built from the mirror and started for real.

``debian-minimal`` is looked at as a tree. ``debian`` goes through the boot
gate, and then becomes one more machine in which the global portion is asked
for: sshd, root, the time, the serial lines. With three boots for every suite
this takes its time.
"""

from collections.abc import Mapping
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
from typing import Any, ClassVar
import unittest
import uuid

from tests import qemu
from tests.integration import test_boot
from tests.qemu import configdrive

CACHE = pathlib.Path("~/.cache/image-create").expanduser()
# A quarter of the size.
KERNEL = "linux-image-cloud-amd64"


class Suites:
    """Holds what each suite's class is made of, and is not run itself."""

    class Suite(unittest.TestCase):
        maxDiff = None
        release: ClassVar[str]
        # What os-release says, among other things.
        identity: ClassVar[str]
        suites: ClassVar[tuple[str, ...]]
        environment: ClassVar[Mapping[str, str]] = {}
        # The service that keeps the time, and the servers it is told of.
        time_service: ClassVar[str] = "systemd-timesyncd"
        time_servers: ClassVar[tuple[str, ...]] = ()

        def setUp(self) -> None:
            super().setUp()
            if os.geteuid() != 0:
                self.fail("images are built here: be root")
            # Not below /tmp, which may be small.
            holder = tempfile.TemporaryDirectory(dir="/var/tmp")
            self.addCleanup(holder.cleanup)
            self.place = pathlib.Path(holder.name)

        def build(self, *elements: str, **options: object) -> dict[str, Any]:
            """Build it in this suite; the manifest."""
            described = self.place / "spec.json"
            described.write_text(
                json.dumps(
                    {
                        "version": 1,
                        "name": "image",
                        "elements": elements,
                        "environment": {
                            "DIB_RELEASE": self.release,
                            "DIB_DEBIAN_KERNEL": KERNEL,
                            **self.environment,
                        },
                        **options,
                    }
                )
            )
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "dib_service.engine", "build"),
                    *(described, "--output-dir", self.place),
                    *("--workspace", self.place / "work"),
                    *("--cache-dir", CACHE),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.assertEqual(0, done.returncode, done.stdout[-4000:])
            told = [json.loads(line) for line in done.stdout.splitlines()]
            (manifest,) = (
                event["manifest"]
                for event in told
                if event["kind"] == "manifest"
            )
            return manifest  # type: ignore[no-any-return]

        def test_the_tree_of_debian_minimal(self) -> None:
            self.build("debian-minimal", formats=["tar"])
            with tarfile.open(self.place / "image.tar") as tree:
                names = set(tree.getnames())
                for link in ("bin", "lib", "sbin"):
                    member = tree.getmember(f"./{link}")
                    self.assertEqual(f"usr/{link}", member.linkname)
                release = text(tree, "usr/lib/os-release")
                sources = text(tree, "etc/apt/sources.list").splitlines()
                shadow = text(tree, "etc/shadow").splitlines()
                status = text(tree, "var/lib/dpkg/status").splitlines()
            self.assertIn(self.identity, release)
            self.assertEqual(
                list(self.suites), [line.split()[3] for line in sources]
            )
            for line in sources:
                self.assertIn(" [signed-by=/", line)
            (root,) = (line for line in shadow if line.startswith("root:"))
            self.assertIn(root.split(":")[1][0], "!*")
            self.assertNotIn("./usr/sbin/sshd", names)
            self.assertEqual(
                {"Status: install ok installed"},
                {line for line in status if line.startswith("Status: ")},
            )

        def test_debian_through_the_gate_and_as_a_machine(self) -> None:
            manifest = self.build(
                "debian", "vm", formats=["qcow2"], boot_test=True
            )
            self.assertEqual(
                ["bios", "secure-boot"],
                sorted(test["firmware"] for test in manifest["boot_tests"]),
            )
            self.assertEqual("debian", manifest["image"]["os_admin_user"])
            with self.machine(self.place / "image.qcow2") as guest:
                self.assertIn(
                    self.identity,
                    guest.run("cat /etc/os-release"),
                )
                self.assertEqual(
                    "", guest.run("systemctl list-units --failed --no-legend")
                )
                self.look_at_sshd(guest)
                self.look_at_host_keys(guest)
                self.look_at_time(guest)
                self.look_at_serial_lines(guest)

        @contextlib.contextmanager
        def machine(self, image: pathlib.Path) -> Any:
            key = self.place / "key"
            described = configdrive.Machine(
                uuid=str(uuid.uuid4()),
                name="node-1.example.org",
                address="10.0.2.71",
                mac="52:54:00:00:00:01",
                public_key=configdrive.new_key(key),
            )
            with qemu.Guest(
                image,
                drive=configdrive.write(described, self.place / "drive.iso"),
                key=key,
                address=described.address,
                mac=described.mac,
                firmware="uefi",
                # One more line, which the kernel has no console on.
                extra=("-serial", "null"),
            ) as guest:
                test_boot.wait_until_ready(guest)
                yield guest

        def look_at_sshd(self, guest: qemu.Guest) -> None:
            for user in ("root", "debian", "nobody"):
                said = guest.run(
                    f"sudo sshd -T -C user={user},host=x,addr=192.0.2.1"
                )
                # Newer servers write large letters, and the newer word.
                settings = (
                    said.lower()
                    .replace("without-password", "prohibit-password")
                    .splitlines()
                )
                for line in (
                    "passwordauthentication no",
                    "kbdinteractiveauthentication no",
                    "permitemptypasswords no",
                    "permitrootlogin prohibit-password",
                ):
                    self.assertIn(line, settings)
            locked = guest.run("sudo passwd --status root").split()
            self.assertEqual("L", locked[1])
            # Right ones, so that only sshd can be who refuses.
            for user in ("root", "debian"):
                guest.run(f"echo {user}:{test_boot.PASSWORD} | sudo chpasswd")
                guest.user = user
                end = guest.ssh(
                    "true", **test_boot.by_password(guest.workspace)
                )
                guest.user = "debian"
                self.assertEqual(255, end.returncode, end)
                self.assertIn("Permission denied (publickey)", end.stderr)

        def look_at_host_keys(self, guest: qemu.Guest) -> None:
            listed = guest.run("ls /etc/ssh").split()
            self.assertEqual(
                [f"ssh_host_{kind}_key" for kind in test_boot.TYPES],
                sorted(
                    name
                    for name in listed
                    if name.startswith("ssh_host_")
                    and not name.endswith(".pub")
                ),
            )
            self.assertIn(
                "/etc/ssh/ssh_host_*_key*",
                guest.run("cat /usr/lib/persistent-state.d/*.conf"),
            )

        def look_at_time(self, guest: qemu.Guest) -> None:
            said = guest.run(
                "timedatectl show --property=Timezone --property=NTP"
            )
            self.assertRegex(said, r"Timezone=(Etc/)?UTC\n")
            # Whatever keeps the time, systemd knows of it.
            self.assertIn("NTP=yes", said)
            self.assertEqual("+0000\n", guest.run("date +%z"))
            self.assertEqual(
                "active\n",
                guest.run(f"systemctl is-active {self.time_service}"),
            )
            if self.time_servers:
                asked = guest.run("sudo chronyc -n -c sources").splitlines()
                self.assertEqual(
                    list(self.time_servers),
                    sorted(line.split(",")[2] for line in asked),
                )

        def look_at_serial_lines(self, guest: qemu.Guest) -> None:
            words = guest.run("cat /proc/cmdline").split()
            self.assertEqual(
                ["console=tty0", "console=ttyS0,115200"],
                [word for word in words if word.startswith("console=")],
            )
            for line in ("ttyS0", "ttyS1"):
                self.assertEqual(
                    "active\n",
                    guest.run(f"systemctl is-active serial-getty@{line}"),
                )
            self.assertIn("node-1 login:", guest.console_text())
            # What the prompt hands over to, which nothing depends on.
            guest.run("test -x /bin/login")


class TestBookworm(Suites.Suite):
    release = "bookworm"
    identity = "VERSION_CODENAME=bookworm\n"
    suites = ("bookworm", "bookworm-updates", "bookworm-security")
    # Its cloud kernel has no driver for the drive of a machine with UEFI.
    environment: ClassVar = {"DIB_DEBIAN_KERNEL": "linux-image-amd64"}


class TestTrixie(Suites.Suite):
    release = "trixie"
    identity = "VERSION_CODENAME=trixie\n"
    suites = ("trixie", "trixie-updates", "trixie-security")
    # The other of the two that keep the time.
    time_service = "chrony"
    time_servers = ("192.0.2.7", "192.0.2.8")
    environment: ClassVar = {
        "DIB_TIME_SYNC": "chrony",
        "DIB_NTP_SERVERS": ",".join(time_servers),
    }


class TestSid(Suites.Suite):
    release = "sid"
    # Its code name is that of the release to come.
    identity = '/sid"\n'
    suites = ("sid",)


def text(tree: tarfile.TarFile, name: str) -> str:
    member = tree.extractfile(f"./{name}")
    assert member
    return member.read().decode()
