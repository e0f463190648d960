"""A deploy ramdisk starts, finds its Ironic and answers on its port.

It is made of the unmodified elements of ironic-python-agent-builder on this
project's own ``debian``, with ``mellanox``. The engine has seen it answer
before these tests start it once more.
"""

from collections.abc import Mapping
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, ClassVar
import urllib.error
import urllib.request

import testtools
from testtools import content

from dib_service.engine import elements
from dib_service.engine.gate import ironic
from tests import qemu
from tests.integration import agent, rdma

TESTS = Path(__file__).parents[1]
PORT = 9999
MEMORY_MIB = 3072
HEARTBEAT_SECONDS = 300.0

# systemd's line on the console, with or without colours.
FAILED = re.compile(r"\[[^]]*FAILED.*")
# Fails by design on a machine without a config drive.
NO_DRIVE = "Ironic agent config drive setup"


class TestDeployRamdisk(testtools.TestCase):
    """One ramdisk and one machine that it runs on, for all of these tests."""

    artefacts: ClassVar[Mapping[str, Mapping[str, Any]]]
    manifest: ClassVar[Mapping[str, Any]]
    log: ClassVar[str]
    version: ClassVar[str]
    ironic: ClassVar[ironic.Ironic]
    guest: ClassVar[qemu.Guest]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if os.geteuid() != 0:
            raise AssertionError("a build mounts and chroots: run it as root")
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.addClassCleanup(holder.cleanup)
        place = Path(holder.name)
        cls.version = agent.add_element(place / "elements")
        events = built(place)
        cls.log = "\n".join(event.get("text", "") for event in events)
        cls.artefacts = {
            event["role"]: event
            for event in events
            if event["kind"] == "artefact"
        }
        [cls.manifest] = [
            event["manifest"]
            for event in events
            if event["kind"] == "manifest"
        ]
        # What there is to deploy to.
        disk = place / "disk.raw"
        disk.touch()
        cls.ironic = ironic.Ironic()
        cls.enterClassContext(cls.ironic)
        cls.guest = qemu.Guest(
            disk,
            memory_mib=MEMORY_MIB,
            guest_port=PORT,
            extra=cls.boot_options(),
        )
        cls.enterClassContext(cls.guest)

    @classmethod
    def boot_options(cls) -> tuple[str, ...]:
        line = (
            f"console=ttyS0 ipa-debug=1 ipa-api-url={cls.ironic.url} "
            f"{qemu.KERNEL_OPTIONS}"
        )
        return (
            *("-kernel", cls.artefacts["kernel"]["path"]),
            *("-initrd", cls.artefacts["ramdisk"]["path"]),
            *("-append", line),
        )

    def setUp(self) -> None:
        super().setUp()
        self.addDetail(
            "console", content.text_content(self.guest.console_text())
        )

    def test_kernel_and_ramdisk_are_what_the_build_made(self) -> None:
        self.assertEqual({"kernel", "ramdisk"}, set(self.artefacts))
        names = {
            role: Path(made["path"]).name
            for role, made in self.artefacts.items()
        }
        self.assertEqual(
            {"kernel": "deploy.kernel", "ramdisk": "deploy.initramfs"}, names
        )
        listed = [made["path"] for made in self.manifest["artefacts"]]
        self.assertLessEqual(set(names.values()), set(listed))
        self.assertEqual([], [name for name in listed if "qcow2" in name])

    def test_the_agent_answers_with_its_version(self) -> None:
        status = answer(self.guest, "/v1/status")
        self.assertEqual(self.version, status["version"])

    def test_the_agent_finds_its_ironic(self) -> None:
        answer(self.guest, "/v1/status")
        said = self.ironic.heartbeat(HEARTBEAT_SECONDS)
        self.assertEqual(self.version, said["agent_version"])
        self.assertEqual(
            f"http://{self.guest.address}:{PORT}", said["callback_url"]
        )
        self.assertIn(self.guest.mac, self.ironic.addresses)

    def test_its_boot_test_saw_the_agent_answer(self) -> None:
        [seen] = self.manifest["boot_tests"]
        self.assertEqual("kernel", seen["firmware"])
        self.assertIn(
            f"kernel: the agent answers: version {self.version}", self.log
        )

    def test_the_modules_of_mellanox_are_loaded_and_its_tools_run(
        self,
    ) -> None:
        self.guest.wait_for_console("rdma: done")
        self.assertEqual([], rdma.problems(self.guest.console_text()))

    def test_nothing_failed_to_start(self) -> None:
        answer(self.guest, "/v1/status")
        failed = FAILED.findall(self.guest.console_text())
        self.assertEqual([], [line for line in failed if NO_DRIVE not in line])


def answer(guest: qemu.Guest, path: str) -> dict[str, Any]:
    """What the agent answers, as soon as it does.

    :raises qemu.GuestError: the guest ended, or it takes too long.
    """
    url = f"http://127.0.0.1:{guest.port}{path}"
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as said:
                found: dict[str, Any] = json.load(said)
                return found
        except (OSError, urllib.error.URLError) as exc:
            guest.still_alive(f"no agent yet: {exc}")
        time.sleep(2)


def built(place: Path) -> list[dict[str, Any]]:
    """The events of a build that has made a ramdisk.

    :raises AssertionError: it failed.
    """
    spec = place / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "version": 1,
                "name": "deploy",
                "elements": [*agent.ELEMENTS, "mellanox", "rdma-report"],
                "boot_test": True,
            }
        )
    )
    path = (
        agent.builders_elements(),
        place / "elements",
        TESTS / "elements",
        *elements.default_path(),
    )
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
