"""A partition image, started by its own kernel and ramdisk from outside.

The one that is built has ``mellanox`` and ``local-config``, so that few
machines show much: the engine's boot test starts two, and this test a third
one to look into.
"""

from collections.abc import Mapping
import copy
import hashlib
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any, ClassVar
import uuid

import testtools
from testtools import content

from tests import qemu
from tests.integration import rdma
from tests.qemu import configdrive

CHECKOUT = Path(__file__).parents[2]
ELEMENTS = (
    *("debian", "baremetal", "mellanox", "rdma-report"),
    "local-config",
)
PROXY = "http://proxy.example.com:3128"


class TestPartitionImage(testtools.TestCase):
    """One image and one machine of it, for all of these tests."""

    files: ClassVar[Mapping[str, Path]]
    manifest: ClassVar[Mapping[str, Any]]
    log: ClassVar[str]
    guest: ClassVar[qemu.Guest]
    # The key that the image was asked for with.
    asked: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if os.geteuid() != 0:
            raise AssertionError("a build mounts and chroots: run it as root")
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.addClassCleanup(holder.cleanup)
        place = Path(holder.name)
        cls.asked = place / "asked"
        events = built(place, ssh_key=configdrive.new_key(cls.asked))
        cls.log = "\n".join(event.get("text", "") for event in events)
        cls.files = {
            event["role"]: Path(event["path"])
            for event in events
            if event["kind"] == "artefact"
        }
        [cls.manifest] = [
            event["manifest"]
            for event in events
            if event["kind"] == "manifest"
        ]
        key = place / "key"
        machine = configdrive.Machine(
            uuid=str(uuid.uuid4()),
            name="node-1.example.org",
            address="10.0.2.71",
            mac="52:54:00:00:00:01",
            public_key=configdrive.new_key(key),
        )
        cls.guest = qemu.Guest(
            cls.files["image"],
            drive=configdrive.write(machine, place / "drive.iso"),
            key=key,
            address=machine.address,
            mac=machine.mac,
            extra=cls.boot_options(),
        )
        cls.enterClassContext(cls.guest)
        cls.guest.wait_for_ssh()

    @classmethod
    def boot_options(cls) -> tuple[str, ...]:
        # As Ironic's configuration for a network boot has it.
        root = f"root=UUID={cls.manifest['image']['root_uuid']} ro"
        return (
            *("-kernel", str(cls.files["kernel"])),
            *("-initrd", str(cls.files["ramdisk"])),
            *("-append", f"{root} console=ttyS0 {qemu.KERNEL_OPTIONS}"),
        )

    def setUp(self) -> None:
        super().setUp()
        self.addDetail(
            "console", content.text_content(self.guest.console_text())
        )

    def test_kernel_and_ramdisk_are_beside_the_image(self) -> None:
        self.assertEqual(
            {
                "image": "bm.raw",
                "kernel": "bm.vmlinuz",
                "ramdisk": "bm.initrd",
            },
            {role: path.name for role, path in self.files.items()},
        )

    def test_its_boot_test_started_two_machines(self) -> None:
        seen = self.manifest["boot_tests"]
        self.assertEqual(
            ["kernel", "kernel"], [each["firmware"] for each in seen]
        )
        self.assertTrue(all(each["config_drive"] for each in seen))
        for number in (1, 2):
            self.assertIn(f"kernel-{number}: passed after", self.log)

    def test_what_is_beside_it_is_what_it_has(self) -> None:
        release = self.guest.run("uname", "-r").strip()
        for role, name in (("kernel", "vmlinuz"), ("ramdisk", "initrd.img")):
            inside = self.guest.run(
                "sudo", "sha256sum", f"/boot/{name}-{release}"
            )
            with self.files[role].open("rb") as file:
                outside = hashlib.file_digest(file, "sha256").hexdigest()
            self.assertEqual(outside, inside.split()[0], role)

    def test_modules_are_loaded_and_tools_run(self) -> None:
        said = self.guest.run("sudo", "/usr/local/sbin/rdma-report")
        self.assertEqual([], rdma.problems(said))

    def test_the_initramfs_can_reach_a_root_behind_a_card(self) -> None:
        # In the machine it would take minutes. It is one archive, without
        # a microcode before it.
        listed = subprocess.run(
            [
                *("bash", "-o", "pipefail", "-c"),
                *('zstd -dc "$0" | cpio -t --quiet', self.files["ramdisk"]),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        names = {Path(line).name.split(".")[0] for line in listed.split()}
        self.assertEqual(set(), set(rdma.MODULES) - names)

    def test_the_key_that_was_asked_for_is_one_more_of_the_user(self) -> None:
        options = ("-oIdentitiesOnly=yes", f"-i{self.asked}")
        guest = copy.copy(self.guest)
        guest.key = None
        said = guest.ssh("id", "-un", options=options)
        self.assertEqual("debian\n", said.stdout, said)
        guest.user = "root"
        said = guest.ssh("true", options=options)
        self.assertIn("Permission denied", said.stderr)

    def test_the_proxy_that_was_asked_for_is_that_of_sessions(self) -> None:
        session = self.guest.run("env").splitlines()
        for name in ("http_proxy", "HTTPS_PROXY"):
            self.assertIn(f"{name}={PROXY}", session)
        self.assertIn(
            f'Acquire::http::Proxy "{PROXY}";',
            self.guest.run("apt-config dump").splitlines(),
        )

    def test_no_unit_failed(self) -> None:
        failed = self.guest.run("systemctl list-units --failed --no-legend")
        self.assertEqual("", failed)


def built(place: Path, *, ssh_key: str) -> list[dict[str, Any]]:
    """The events of a build whose boot test has passed.

    :raises AssertionError: it failed.
    """
    spec = place / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "version": 1,
                "name": "bm",
                "elements": list(ELEMENTS),
                "formats": ["raw"],
                "environment": {
                    "DIB_LOCAL_CONFIG_HTTP_PROXY": PROXY,
                    "DIB_LOCAL_CONFIG_HTTPS_PROXY": PROXY,
                    "DIB_LOCAL_CONFIG_SSH_KEYS": ssh_key,
                },
                "boot_test": True,
            }
        )
    )
    path = (CHECKOUT / "elements", CHECKOUT / "tests/elements")
    said = subprocess.run(
        [
            *(sys.executable, "-m", "dib_service.engine", "build", spec),
            *("--output-dir", place / "made"),
            *("--workspace", place / "work"),
            *("--cache-dir", Path("~/.cache/image-create").expanduser()),
            *("--element-path", ":".join(map(str, path))),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    events = [json.loads(line) for line in said.stdout.splitlines()]
    if said.returncode:
        lines = [event.get("text", "") for event in events[-40:]]
        raise AssertionError("\n".join([*lines, str(events[-1])]))
    return events
