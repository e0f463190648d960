"""The gate stops what starts and is not fit; each fault by its name.

One Debian tree is built once. Each image is made of it, with one thing wrong
that whoever only looks into the file does not see.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any, ClassVar
import unittest

from tests.integration import service_case, test_service_gate

# An emulated machine has five times as long; a busy host needs some of it.
TIMEOUT = 120
SECONDS = 1500.0
CANCEL_SECONDS = 10.0

CACHE = pathlib.Path("~/.cache/dib-service").expanduser()


class StoppedTest(service_case.ServiceCase):
    changes: ClassVar = {
        "builder": {
            "boot_test_timeout": TIMEOUT,
            "build_timeout": 2 * SECONDS,
        }
    }

    @classmethod
    def setUpClass(cls) -> None:
        cls.changes = {
            "builder": {
                **cls.changes["builder"],
                "engine_environment": f"DIB_TEST_TREE:{debian_tree()}",
            }
        }
        super().setUpClass()
        service_case.wait_for_elements(cls.cloud, "debian-tree", "vm")

    def stopped(self, element: str, code: str) -> dict[str, Any]:
        """The fault of an image with this element, of which nothing is left.

        It has this code.
        """
        build_id = self.create(**wanted(element))
        build = self.wait_for(build_id, seconds=SECONDS)
        log = self.log(build_id)
        self.assertEqual("failed", build["state"], log[-4000:])
        fault: dict[str, Any] = build["fault"]
        self.assertEqual(code, fault["code"], f"{fault}\n{log[-4000:]}")
        self.assertEqual("element", fault["turn"])
        self.assertEqual([], build["image_ids"])
        self.assertEqual([], test_service_gate.images_of(self, build_id))
        self.assert_nothing_left()
        return fault

    def test_a_boot_loader_that_does_not_start(self) -> None:
        fault = self.stopped("gate-no-loader", "boot-no-loader")
        self.assertEqual("bios", fault["firmware"])

    def test_a_baked_host_key(self) -> None:
        fault = self.stopped("gate-baked-key", "boot-host-key")
        self.assertIn("ssh-ed25519", fault["message"])

    def test_a_broken_cloud_init(self) -> None:
        fault = self.stopped("gate-cloud-init", "boot-cloud-init")
        self.assertIn("bootcmd", fault["message"])

    def test_a_unit_that_hangs(self) -> None:
        fault = self.stopped("gate-unit-hangs", "boot-unit-hangs")
        self.assertIn("endless.service", fault["message"])

    def test_a_cancel_does_not_wait_for_the_machines(self) -> None:
        build_id = self.create(**wanted())
        self.wait_for_log(build_id, "bios | ", seconds=SECONDS)
        self.assertEqual("verifying", self.show(build_id)["state"])
        self.assertNotEqual([], self.machines(build_id))
        answer = self.api().post(f"/v1/builds/{build_id}/cancel")
        self.assertEqual(202, answer.status_code, answer.text)
        service_case.wait(
            lambda: not self.machines(build_id),
            seconds=CANCEL_SECONDS,
            what="the end of the machines",
        )
        build = self.wait_for(build_id, seconds=2 * CANCEL_SECONDS)
        self.assertEqual("cancelled", build["state"])
        self.assert_nothing_left()

    def machines(self, build_id: str) -> list[int]:
        """The processes of one build's boot test; others have theirs."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if build_id.encode() in words and b"gate import cell" in words:
                found.append(int(path.parent.name))
        return found


def wanted(*more: str) -> dict[str, Any]:
    """A request for the tree's image with these elements."""
    return {"elements": ["debian-tree", "vm", *more], "skip_base": True}


@functools.cache
def debian_tree() -> pathlib.Path:
    """An archive of a tree of ``debian`` and ``vm``, made for these tests.

    DIB_TEST_TREE may name one that is there already.
    """
    given = os.environ.get("DIB_TEST_TREE")
    if given:
        return pathlib.Path(given)
    # No build sees what is below the host's own temporary directories.
    CACHE.mkdir(parents=True, exist_ok=True)
    holder = tempfile.TemporaryDirectory(prefix="tree-", dir=CACHE)
    unittest.addModuleCleanup(holder.cleanup)
    place = pathlib.Path(holder.name)
    described = place / "spec.json"
    described.write_text(
        json.dumps(
            {
                "version": 1,
                "name": "tree",
                "elements": ["debian", "vm"],
                "formats": ["tar"],
                # A quarter of the size, and as good as the other here.
                "environment": {
                    "DIB_DEBIAN_KERNEL": "linux-image-cloud-amd64"
                },
            }
        )
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dib_service.engine", "build", described),
            *("--output-dir", place, "--workspace", place / "work"),
            *(
                "--cache-dir",
                pathlib.Path("~/.cache/image-create").expanduser(),
            ),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise AssertionError(done.stdout[-4000:])
    return place / "tree.tar"
