"""The tempest plugin against the services that quickstart starts."""

from collections.abc import Mapping
import re
import subprocess
from typing import Any, ClassVar

from tests import lab
from tests.integration import service_case
from tools.lab import tempest

TESTS = lab.CHECKOUT / "dib_service/tempest_plugin/tests"
TOTALS = re.compile(r"^ - (Passed|Skipped|Failed): (\d+)$", re.MULTILINE)


class TempestTest(service_case.ServiceCase):
    """``tempest run``, with an image that takes seconds."""

    image: ClassVar[Mapping[str, Any]] = {
        "elements": ",".join(service_case.TINY["elements"]),
        "skip_base": True,
        # A tree of a few files does not start.
        "boot_test": False,
        "build_interval": 1,
    }

    def test_every_test_passes(self) -> None:
        runner = tempest.Tempest(
            self.cloud,
            lab.services_venv(),
            changes={"image_build": self.image},
        )
        runner.prepare()
        done = runner.start(
            *("run", "--regex", tempest.OURS, "--concurrency", "2"),
            stdout=subprocess.PIPE,
        )
        totals = {name: int(n) for name, n in TOTALS.findall(done.stdout)}
        self.assertEqual(
            {"Passed": len(ids()), "Skipped": 0, "Failed": 0},
            totals,
            done.stdout,
        )
        self.assertEqual(0, done.returncode, done.stdout)
        self.assert_nothing_left()
        self.assert_no_image_left()

    def test_every_test_has_an_id_of_its_own(self) -> None:
        # By which results are compared when a test gets another name.
        written = [
            line
            for file in TESTS.rglob("test_*.py")
            for line in file.read_text().splitlines()
            if line.startswith("    def test_")
        ]
        self.assertEqual(len(written), len(set(ids())))

    def assert_no_image_left(self) -> None:
        """The tests delete what they made."""
        with self.connect("admin") as admin:
            self.assertEqual(
                [],
                [
                    image.name
                    for image in admin.image.images()
                    if image.name.startswith("tempest-")
                ],
            )


def ids() -> list[str]:
    """The ids of all tests of the plugin."""
    return [
        found
        for file in TESTS.rglob("test_*.py")
        for found in re.findall(
            r'@decorators.idempotent_id\("([0-9a-f-]{36})"\)',
            file.read_text(),
        )
    ]
