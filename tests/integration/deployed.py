"""A machine that Ironic deployed, and what can be asked of it."""

import pathlib
import time
from typing import ClassVar

import testtools
from testtools import content

from tools.lab import baremetal

LOGIN_SECONDS = 1200.0


class Case(testtools.TestCase):
    """The machine is there once ``wait_for_login`` has returned."""

    metal: ClassVar[baremetal.Baremetal]
    machine: ClassVar[baremetal.Machine]
    key: ClassVar[pathlib.Path]

    def setUp(self) -> None:
        super().setUp()
        console = self.metal.rack.console(self.machine)
        self.addDetail(
            "console",
            content.text_content(console.read_text(errors="replace")),
        )

    @classmethod
    def wait_for_login(cls) -> None:
        """Return once the key logs in and the machine has settled.

        :raises AssertionError: that takes too long.
        """
        deadline = time.monotonic() + LOGIN_SECONDS
        while (
            said := cls.metal.ssh(cls.machine, cls.key, "true")
        ).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"no login: {said.stderr}")
            time.sleep(2)
        cls.run_there("cloud-init status --wait")
        cls.metal.ssh(
            cls.machine, cls.key, "systemctl is-system-running --wait"
        )

    @classmethod
    def run_there(cls, command: str) -> str:
        """What a command prints on the machine.

        :raises AssertionError: it failed.
        """
        said = cls.metal.ssh(cls.machine, cls.key, command)
        if said.returncode != 0:
            raise AssertionError(f"{command}: {said.stdout}{said.stderr}")
        return said.stdout
