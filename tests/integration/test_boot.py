"""The image starts, and becomes the machine that its config drive describes.

Three machines are started from one image side by side, each with another
firmware; what one has to be is asked of all. The image is the one that the
service published, downloaded back from Glance; ``DIB_TEST_IMAGE`` may name
another.
"""

from collections.abc import Callable
import concurrent.futures
import contextlib
import json
import pathlib
import tempfile
from typing import Any, ClassVar
import uuid

import testtools
from testtools import content

from tests import qemu
from tests.integration import published
from tests.qemu import configdrive

# The machine's root gets more than the 8 GiB whose group descriptors lie in
# one block.
LARGER = 8 << 30
PASSWORD = "correct-horse"

TYPES = ("ecdsa", "ed25519", "rsa")

FIRMWARES: tuple[qemu.Firmware, ...] = ("bios", "secure-boot", "uefi")

LOCKED_DOWN = "Kernel is locked down from EFI Secure Boot"


class TestFirstBoot(testtools.TestCase):
    """A machine of each firmware, started once for all of these tests."""

    image: ClassVar[pathlib.Path]
    guests: ClassVar[list[qemu.Guest]]
    machines: ClassVar[list[configdrive.Machine]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.image = published.debian_image()
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(
                stack.enter_context(tempfile.TemporaryDirectory())
            )
            key = folder / "key"
            public_key = configdrive.new_key(key)
            cls.machines = [
                configdrive.Machine(
                    uuid=str(uuid.uuid4()),
                    name=f"node-{number}.example.org",
                    address=f"10.0.2.{70 + number}",
                    mac=f"52:54:00:00:00:0{number}",
                    public_key=public_key,
                )
                for number, _ in enumerate(FIRMWARES, start=1)
            ]
            cls.guests = [
                stack.enter_context(
                    qemu.Guest(
                        cls.image,
                        drive=configdrive.write(
                            machine, folder / f"{machine.name}.iso"
                        ),
                        key=key,
                        address=machine.address,
                        mac=machine.mac,
                        larger=LARGER,
                        firmware=firmware,
                    )
                )
                for machine, firmware in zip(
                    cls.machines, FIRMWARES, strict=True
                )
            ]
            cls.together(wait_until_ready)
            cls.addClassCleanup(stack.pop_all().close)

    def setUp(self) -> None:
        super().setUp()
        for machine, guest in zip(self.machines, self.guests, strict=True):
            # Kept with the test, and shown when it fails.
            self.addDetail(
                f"console of {machine.name}",
                content.text_content(guest.console_text()),
            )

    def test_host_name_is_the_drives(self) -> None:
        for machine, guest in zip(self.machines, self.guests, strict=True):
            self.assertEqual(machine.name, guest.run("hostname -f").strip())

    def test_address_and_routes_are_the_drives(self) -> None:
        for machine, guest in zip(self.machines, self.guests, strict=True):
            # We came in by the address; no other may be there besides.
            addresses = json.loads(guest.run("ip -json -4 address show"))
            self.assertEqual(
                [(machine.address, 24)],
                [
                    (address["local"], address["prefixlen"])
                    for link in addresses
                    if link["ifname"] != "lo"
                    for address in link["addr_info"]
                ],
            )
            routes = {
                (route["dst"], route.get("gateway"))
                for route in json.loads(guest.run("ip -json -4 route show"))
            }
            self.assertEqual(
                {
                    ("default", qemu.GATEWAY),
                    (f"{machine.route}/24", machine.via),
                    (qemu.NETWORK, None),
                },
                routes,
            )
            self.assertIn(qemu.NAMESERVER, guest.run("resolvectl dns"))

    def test_password_login_is_refused(self) -> None:
        guest = self.guests[0]
        settings = guest.run("sudo sshd -T").splitlines()
        for line in (
            "passwordauthentication no",
            "kbdinteractiveauthentication no",
            "permitemptypasswords no",
            "permitrootlogin without-password",
        ):
            self.assertIn(line, settings)
        # One that would be right, so that only sshd can be who refuses.
        guest.run(f"echo debian:{PASSWORD} | sudo chpasswd")
        said = guest.ssh("true", **by_password(guest.workspace))
        self.assertEqual(255, said.returncode, said)
        self.assertIn("Permission denied (publickey)", said.stderr)

    def test_root_has_no_password(self) -> None:
        for guest in self.guests:
            shadow = guest.run("sudo getent shadow root").split(":")
            self.assertIn(shadow[1][0], "!*")

    def test_no_unit_failed(self) -> None:
        for guest in self.guests:
            self.assertEqual(
                "", guest.run("systemctl list-units --failed --no-legend")
            )

    def test_cloud_init_found_the_drive_and_no_fault(self) -> None:
        for guest in self.guests:
            result = json.loads(guest.run("cat /run/cloud-init/result.json"))
            self.assertIn("ConfigDrive", result["v1"]["datasource"])
            self.assertEqual([], result["v1"]["errors"])

    def test_root_filesystem_fills_the_larger_disk(self) -> None:
        disk = qemu.virtual_size(self.image) + LARGER
        for guest in self.guests:
            told = guest.run("df --block-size=1 --output=size / | tail -1")
            # ext4 keeps a part for itself: 1/64 at 256 bytes for each 16 KiB.
            self.assertGreater(int(told), disk * 0.93)

    def test_each_was_started_by_its_firmware(self) -> None:
        bios, secure_boot, uefi = self.guests
        for guest in (bios, uefi):
            self.assertNotIn(LOCKED_DOWN, guest.run("sudo dmesg"))
        self.assertEqual("", bios.run("ls -d /sys/firmware/efi || true"))
        self.assertIn("vars", uefi.run("ls /sys/firmware/efi"))
        self.assertIn(LOCKED_DOWN, secure_boot.run("sudo dmesg"))
        self.assertIn(
            "SecureBoot enabled", secure_boot.run("mokutil --sb-state")
        )

    def test_the_efi_system_partition_is_there_for_updates(self) -> None:
        for guest in self.guests:
            self.assertIn(
                "BOOTX64.EFI", guest.run("sudo ls /boot/efi/EFI/BOOT")
            )
            self.assertEqual(
                "vfat", guest.run("findmnt -no FSTYPE /boot/efi").strip()
            )

    def test_two_machines_have_nothing_secret_in_common(self) -> None:
        first, second, _ = self.guests
        for path in (
            "/etc/machine-id",
            *(f"/etc/ssh/ssh_host_{kind}_key.pub" for kind in TYPES),
        ):
            one = first.run(f"cat {path}").split()[:2]
            other = second.run(f"cat {path}").split()[:2]
            self.assertNotEqual([], one, path)
            self.assertNotEqual(one, other, path)
        listing = "ls /etc/ssh | grep host"
        self.assertEqual(6, len(first.run(listing).split()))

    def test_nothing_of_the_build_is_left(self) -> None:
        guest = self.guests[0]
        found = guest.run(
            "ls -d /usr/sbin/policy-rc.d /usr/local/bin/* /etc/resolv.conf.*"
            " /etc/apt/apt.conf.d/*dib* /etc/dpkg/dpkg.cfg.d/*dib*"
            " /usr/sbin/update-initramfs.dib 2>/dev/null || true"
        )
        self.assertEqual("", found)
        self.assertIn(
            "root=LABEL=cloudimg-rootfs", guest.run("cat /proc/cmdline")
        )

    @classmethod
    def together(cls, task: Callable[[qemu.Guest], None]) -> None:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(task, cls.guests))


def wait_until_ready(guest: qemu.Guest) -> None:
    """Wait until the key lets us in and cloud-init has done its work."""
    guest.wait_for_ssh()
    guest.run("cloud-init status --wait")
    # It is the last but for the last units of the boot.
    guest.run("systemctl is-system-running --wait", accept=(0, 1))


def by_password(folder: pathlib.Path) -> dict[str, Any]:
    """How ssh is told to offer a password and nothing else."""
    answer = folder / "answer"
    answer.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    answer.chmod(0o700)
    return {
        "options": (
            "-oPubkeyAuthentication=no",
            "-oPreferredAuthentications=password,keyboard-interactive",
            "-oNumberOfPasswordPrompts=1",
        ),
        "environment": {
            "SSH_ASKPASS": str(answer),
            "SSH_ASKPASS_REQUIRE": "force",
        },
    }
