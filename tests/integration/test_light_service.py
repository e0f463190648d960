"""A machine without cloud-init, whose metadata come from the service alone.

As in test_last_mile, Nova's own code answers; the machine is booted with what
it was told, with something else in its place, and with nobody there. One
build and three boots, emulated: some 6 minutes.
"""

import pathlib
import tempfile
from typing import ClassVar

from tests import qemu
from tests.integration import test_last_mile as last_mile
from tests.integration import test_light as light

NOBODY = "no metadata service has answered"


class Story(last_mile.Story):
    commands: ClassVar[dict[str, str]] = {
        **last_mile.COMMANDS,
        "log": "journalctl -b -o cat -t metadata-init",
        "cloud-init": "command -v cloud-init || true",
        "result": "cat /run/metadata-init/result.json",
    }

    def settle(self, guest: qemu.Guest) -> None:
        guest.run("systemctl is-system-running --wait", accept=(0, 1))


class TestLightService(last_mile.Stories.Case):
    """One story, told once for all of these tests."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = pathlib.Path(
            cls.enterClassContext(tempfile.TemporaryDirectory(dir="/var/tmp"))
        )
        story = Story(
            light.image("metadata-init"),
            folder / "service",
            last_mile.FIRST_SERVICE,
        )
        cls.stories = {"service": story.by_service()}

    def test_the_old_key_is_gone(self) -> None:
        first, second, third = self.boots()
        old = first.told.public_key.split()[1]
        self.assertIn(old, first.said["mine"])
        for boot in (second, third):
            self.assertNotIn(old, boot.said["mine"])

    def test_there_is_no_cloud_init(self) -> None:
        for boot in self.boots():
            self.assertEqual("", boot.said["cloud-init"])

    def test_that_nobody_answered_is_said(self) -> None:
        first, second, third = self.boots()
        for boot in (first, second):
            self.assertNotIn(NOBODY, boot.said["log"])
            self.assertIn('"errors": []', boot.said["result"])
        self.assertIn(NOBODY, third.said["log"])
        self.assertIn(NOBODY, third.console)
