"""Our verdicts on images beside those of Ironic's own functions."""

from collections.abc import Iterator
import dataclasses
import itertools
import json
import pathlib
import subprocess
from typing import Any
import unittest

from dib_service.client import deployable
from dib_service.client.deployable.case import MIB, Case, Finding
from tests import lab
from tests.unit.client.deployable import base

SCRIPT = pathlib.Path(__file__).with_name("ironic_verdicts.py")
KERNEL_AND_RAMDISK = {
    "kernel_id": base.KERNEL_ID,
    "ramdisk_id": base.RAMDISK_ID,
}
GPU = "trait:CUSTOM_GPU"


def cases() -> Iterator[Case]:
    """Everything that Ironic decides on, each with each of its kind."""
    for image_type, linked, interface in itertools.product(
        (None, "whole-disk", "partition", "raid"),
        ({}, {"kernel_id": base.KERNEL_ID}, KERNEL_AND_RAMDISK,
         {"boot_iso_id": base.KERNEL_ID}),
        ("direct", "ramdisk"),
    ):  # fmt: skip
        yield base.case(
            image={"img_type": image_type, **linked},
            node={"deploy_interface": interface},
        )
    for visibility, owner, members, admin in itertools.product(
        ("public", "community", "shared", "private"),
        (base.ASKER, base.BARE_METAL),
        ({}, {base.BARE_METAL: "accepted"}, {base.ASKER: "accepted"}),
        (False, True),
    ):
        yield base.case(
            image={"visibility": visibility, "owner": owner},
            members={base.IMAGE_ID: members},
            admin=admin,
        )
    for status in ("active", "queued", "saving", "killed", "deactivated"):
        yield base.case(image={"status": status})
    for disk_format in ("raw", "gpt", "qcow2", "iso", "vmdk", "vhd", "vdi"):
        for size in (100 * MIB, 600 * MIB):
            yield base.case(
                image={"disk_format": disk_format, "size": size},
                properties={"memory_mb": 512},
            )
    for asked, secure, own in itertools.product(
        (None, "bios", "uefi", "UEFI"),
        (None, "true", "false"),
        (None, "boot_mode:bios", "x:y,boot_mode:uefi", "boot_mode:a:b"),
    ):
        capabilities = {"boot_mode": asked, "secure_boot": secure}
        yield base.case(
            node={
                "instance_info": {
                    "capabilities": {
                        k: v for k, v in capabilities.items() if v
                    }
                }
            },
            properties={"capabilities": own},
        )
    for has in ([], ["CUSTOM_GPU"]):
        yield base.case(image={GPU: "required"}, node={"traits": has})


class IronicTest(unittest.TestCase):
    """One question to Ironic's Python for the whole table."""

    judged: list[tuple[Case, dict[str, Any]]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        asked = [dataclasses.replace(case, flavor=None) for case in cases()]
        done = subprocess.run(
            [f"{lab.services_venv()}/bin/python", "-I", str(SCRIPT)],
            input=json.dumps([question(case) for case in asked]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        cls.judged = list(zip(asked, json.loads(done.stdout), strict=True))

    def compare(self, question: str, ours: Any) -> None:
        """What we say is what Ironic says, in every case of the table."""
        answers = set()
        for case, verdicts in self.judged:
            with self.subTest(image=case.image, node=case.node):
                self.assertEqual(verdicts[question], ours(case))
            answers.add(verdicts[question])
        # A table in which all is well would compare nothing.
        self.assertGreater(len(answers), 1)

    def test_the_kind_of_image(self) -> None:
        self.compare("whole_disk", lambda case: case.whole_disk)

    def test_who_may_read_it(self) -> None:
        self.compare("readable", without_problem("access"))

    def test_the_status(self) -> None:
        self.compare("active", without_problem("status"))

    def test_the_format(self) -> None:
        self.compare("permitted", without_problem("format"))

    def test_the_boot_mode(self) -> None:
        def ours(case: Case) -> str | None:
            (said,) = findings(case, "boot mode")
            mode = said.reason.split(" ")[0]
            return None if "Ironic takes no other" in said.reason else mode

        self.compare("boot_mode", ours)

    def test_memory(self) -> None:
        """Ours is a warning: conductors that stream all let it through."""

        def ours(case: Case) -> bool:
            return all(f.verdict == "ok" for f in findings(case, "memory"))

        self.compare("fits_memory", ours)

    def test_traits(self) -> None:
        """Ours is a warning: without Nova, Ironic is told of none."""

        def ours(case: Case) -> bool:
            return all(f.verdict == "ok" for f in findings(case, "traits"))

        self.compare("traits", ours)

    def test_kernel_and_ramdisk(self) -> None:
        """Ironic looks for them later where it sees a whole disk.

        A ramdisk deploy of one passes its validation and fails when
        ironic.drivers.modules.image_utils.prepare_boot_iso finds no kernel.
        """
        ours = without_problem("kernel", "ramdisk", "kernel and ramdisk")
        self.compare(
            "linked",
            lambda case: (
                ours(case) or (case.whole_disk and case.interface == "ramdisk")
            ),
        )


def question(case: Case) -> dict[str, Any]:
    """The case in Ironic's words; the traits are Nova's to hand over."""
    node = dict(case.node or {})
    asked = [
        key.removeprefix("trait:")
        for key in case.image
        if key.startswith("trait:")
    ]
    node["instance_info"] = {**node["instance_info"], "traits": asked}
    return {
        "image": case.image,
        "node": node,
        "members": list(case.members.get(base.IMAGE_ID, ())),
        "project_id": case.project_id,
        "admin": case.admin,
    }


def findings(case: Case, *checks: str) -> list[Finding]:
    """What we say of it under these headings."""
    return [f for f in deployable.judge(case) if f.check in checks]


def without_problem(*checks: str) -> Any:
    """A judge: we see no problem under these headings."""
    return lambda case: all(
        finding.verdict != "problem" for finding in findings(case, *checks)
    )
