"""The openstack command against the whole API, over a socket."""

from collections.abc import Iterator
import contextlib
import io
import json
import logging
import os
import threading
import time
from typing import Any
import unittest
from unittest import mock
import warnings

from cheroot import wsgi
from openstackclient import shell
from osc_lib import clientmanager

from dib_service import conf
from dib_service.api import app
from dib_service.conductor import rpcapi
from tests.functional import api

IMAGE = "11111111-1111-4111-8111-111111111111"
NO_SUCH = "00000000-0000-4000-8000-000000000000"


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """Keep the service's logging and the command's apart."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers
    root.handlers = []
    try:
        yield
    finally:
        root.level, root.handlers = level, handlers


class TestOpenstackCommand(unittest.TestCase):
    """Each test has an API of its own, on a port of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.service = api.Builds()
        self.service.start_fixture()
        self.addCleanup(self.service.stop_fixture)
        server = wsgi.Server(
            ("127.0.0.1", 0), app.application(conf.CONF), numthreads=2
        )
        server.prepare()
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.url = "http://{}:{}".format(*server.bind_addr)

    def openstack(
        self, *words: str, status: int = 0, version: str = "1"
    ) -> str:
        """What ``openstack image WORDS`` prints on stdout."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        self.said = io.StringIO()
        argv = [
            *("--os-auth-type", "none", "--os-endpoint", self.url),
            *("--os-image-build-api-version", version),
            *("image", *words),
        ]
        clean = {k: v for k, v in os.environ.items() if k[:3] != "OS_"}
        # A process of the command's has one client; ours has many.
        vars(clientmanager.ClientManager)["image_build"]._handle = None
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            stack.enter_context(own_logging())
            for patch in (
                mock.patch.dict(os.environ, clean, clear=True),
                mock.patch("sys.stdout", out),
                mock.patch("sys.stderr", self.said),
            ):
                stack.enter_context(patch)
            try:
                exit_status = shell.main(argv)
            except SystemExit as exc:
                exit_status = exc.code
        self.out = out.buffer.getvalue()  # type: ignore[attr-defined]
        self.assertEqual(status, exit_status, self.said.getvalue())
        return self.out.decode()

    def json(self, *words: str) -> Any:
        return json.loads(self.openstack(*words, "-f", "json"))

    def create(self, *words: str) -> Any:
        return self.json(
            "build", "create", "--element", "debian", "--element", "tools",
            *words,
        )  # fmt: skip

    def test_a_build_is_made_found_cancelled_and_deleted(self):
        made = self.create(
            *("web", "--env", "DIB_RELEASE=bookworm", "--format", "raw"),
            *("--disk-size", "4", "--image-name", "Web"),
            *("--property", "os_distro=debian", "--visibility", "shared"),
        )
        self.assertEqual("queued", made["state"])
        found = self.json("build", "show", "web")
        for fact, value in (
            ("id", made["id"]),
            ("elements", ["debian", "tools"]),
            ("environment", {"DIB_RELEASE": "bookworm"}),
            ("formats", ["raw"]),
            ("disk_size_gib", 4),
            (
                "image",
                {
                    "name": "Web",
                    "visibility": "shared",
                    "properties": {"os_distro": "debian"},
                    "members": [],
                    "protected": False,
                    "tags": [],
                    "traits": [],
                    "targets": ["glance"],
                },
            ),
        ):
            self.assertEqual(value, found[fact])
        self.assertEqual(
            ["base", "bootloader", "debian", "tools"],
            [each["name"] for each in found["resolved_elements"]],
        )
        rung = rpcapi.ring.call_count
        self.openstack("build", "cancel", "web")
        self.assertEqual(rung + 1, rpcapi.ring.call_count)
        self.assertEqual(
            "cancelled", self.json("build", "show", made["id"])["state"]
        )
        self.openstack("build", "delete", made["id"])
        self.openstack("build", "show", made["id"], status=1)

    def test_a_list_of_all_projects_goes_over_its_pages(self):
        self.service.config.config(group="api", max_limit=2)
        rows = self.json("build", "list", "--all-projects")
        self.assertGreaterEqual(len(rows), 7)
        ids = [row["ID"] for row in rows]
        self.assertEqual(len(ids), len(set(ids)))
        (row,) = (r for r in rows if r["ID"] == os.environ["COMPLETE"])
        self.assertEqual(
            ("mine-complete", "complete", [IMAGE]),
            (row["Name"], row["State"], row["Image IDs"]),
        )

    def test_a_list_can_be_narrowed(self):
        rows = self.json(
            "build", "list", "--all-projects", "--state", "complete",
            "--name", "theirs-complete", "--limit", "1",
        )  # fmt: skip
        self.assertEqual([os.environ["OTHER"]], [row["ID"] for row in rows])

    def test_a_complete_build_names_its_image(self):
        shown = self.json("build", "show", os.environ["COMPLETE"])
        self.assertEqual([IMAGE], shown["image_ids"])
        self.assertEqual("builder-1", shown["attempts"][0]["builder_name"])
        self.assertEqual("qcow2", shown["artefacts"][0]["format"])

    def test_the_log_comes_whole_and_in_part(self):
        build = os.environ["COMPLETE"]
        self.openstack("build", "log", build)
        self.assertEqual(api.LOG, self.out)
        self.openstack("build", "log", "--follow", "--offset", "95", build)
        self.assertEqual(api.LOG[95:], self.out)

    def test_events_in_their_order(self):
        rows = self.json("build", "event", "list", os.environ["COMPLETE"])
        self.assertEqual(
            [("root.d", "start"), ("root.d", "end"), ("install.d", "start")],
            [(row["Phase"], row["State"]) for row in rows],
        )
        (last,) = self.json(
            "build", "event", "list", os.environ["COMPLETE"],
            "--marker", str(rows[1]["ID"]),
        )  # fmt: skip
        self.assertEqual(rows[2], last)

    def test_a_dry_run_shows_hooks_and_makes_nothing(self):
        before = self.json("build", "list")
        plan = self.create("--dry-run")
        phases = {row["phase"]: row for row in plan["phases"]}
        self.assertEqual(
            [
                {"element": "base", "hook": "00-base"},
                {"element": "debian", "hook": "9-early"},
            ],
            phases["install.d"]["hooks"],
        )
        self.assertTrue(phases["install.d"]["inside"])
        self.assertEqual(before, self.json("build", "list"))

    def test_builders_and_elements(self):
        (builder,) = self.json("builder", "list")
        self.assertEqual("builder-1", builder["Name"])
        self.assertEqual(["x86_64"], builder["Architectures"])
        elements = {
            row["Name"]: row for row in self.json("element", "list", "--long")
        }
        self.assertEqual(["operating-system"], elements["debian"]["Provides"])
        self.assertEqual(["bootloader"], elements["tools"]["Dependencies"])

    def test_waiting_for_a_cancelled_build_fails(self):
        thread = threading.Thread(target=self.cancel_the_queued)
        thread.start()
        self.addCleanup(thread.join)
        text = self.openstack(
            "build", "create", "waits", "--element", "debian", "--wait",
            "-f", "value", "-c", "state", status=1,
        )  # fmt: skip
        self.assertEqual("cancelled\n", text)
        self.assertIn("was cancelled", self.said.getvalue())

    def cancel_the_queued(self) -> None:
        # Who waits would wait for ever if this came too early.
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            for build in api.Build.list(name="waits", limit=1):
                build.request_cancel()
                return
            time.sleep(0.1)

    def test_what_the_service_refuses_is_said_in_its_words(self):
        for words, said in (
            (("--element", "nope"), "element 'nope' not found"),
            (("--element", "tools"), "no base distribution element"),
            (
                ("--element", "debian", "--element", "ubuntu"),
                "'operating-system' is provided by more than one element",
            ),
            (("--element", "debian", "--env", "PATH=/x"), "environment.PATH"),
            (("--element", "debian", "--format", "vmdk"), "vmdk"),
            (("--element", "debian", "--arch", "sparc"), "sparc"),
        ):
            with self.subTest(words):
                self.openstack("build", "create", *words, status=1)
                self.assertIn(said, self.said.getvalue())
        self.openstack("build", "show", NO_SUCH, status=1)
        self.assertIn("No Build found", self.said.getvalue())
        self.openstack("build", "delete", os.environ["BUILDING"], status=1)
        self.assertIn("1 of 1 builds failed", self.said.getvalue())

    def test_an_unknown_microversion_is_refused(self):
        for version, status in (("1.0", 0), ("1.99", 1)):
            self.openstack("build", "list", status=status, version=version)
        self.assertIn("1.99", self.said.getvalue())
