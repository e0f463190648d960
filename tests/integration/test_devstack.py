"""The devstack plugin through all its phases, on real servers.

devstack's functions are stood in for by tests/devstack/acting.bash.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
from typing import Any, ClassVar
import unittest

from tests import lab
from tests.devstack import host
from tests.devstack.machine import VENV, Machine, processes

POLICY = pathlib.Path(__file__).with_name("policy.yaml")

PROCESSES = ("dib-api", "dib-builder", "dib-conductor")


class DevstackTest(unittest.TestCase):
    """A host with everything, and one that only builds."""

    # Two inventories are long.
    maxDiff = None
    machine: ClassVar[Machine]

    @classmethod
    def setUpClass(cls) -> None:
        ending = cls.enterClassContext(contextlib.ExitStack())
        cls.machine = Machine(lab.state().path / "devstack")
        cls.machine.start(ending)

    def test_from_nothing_to_nothing(self) -> None:
        self.all = self.machine.made_host(
            "all",
            DIB_SERVICE_BUILDER="first",
            DIB_SERVICE_ELEMENT_PATH=str(host.CHECKOUT / "tests/elements"),
            DIB_SERVICE_SAMPLE_IMAGE="sample",
            DIB_SERVICE_SAMPLE_ELEMENTS="tiny devstack-sample",
            DIB_SERVICE_SAMPLE_OPTIONS="--skip-base --no-boot-test",
        )
        self.builder = self.machine.made_host(
            "builder",
            DIB_SERVICE_BUILDER="second",
            ENABLED_SERVICES="dib-builder",
        )
        for one in (self.all, self.builder):
            self.addCleanup(end_all, one)
        before = self.machine.inventory(self.all, self.builder)

        self.stack_the_first()
        self.stack_the_builder()
        self.unstack_keeps_what_the_servers_hold()
        for one in (self.builder, self.all):
            one.run("unstack", UNSTACK_ALL="-1")
            one.run("clean")

        after = self.machine.inventory(self.all, self.builder)
        self.assertEqual(before, after)

    def stack_the_first(self) -> None:
        """As stack.sh does on the host that has everything."""
        self.all.run("stack", "pre-install")
        self.all.run("stack", "install")
        self.all.run("stack", "post-config")
        made = self.machine.inventory()
        self.assert_accounts(made)
        self.assert_stored(made)
        self.assertEqual(["first"], self.builders())
        # [[post-config|$DIB_SERVICE_CONF]] of a local.conf.
        with (self.all.conf / "dib-service.conf").open("a") as file:
            file.write(f"\n[oslo_policy]\npolicy_file = {POLICY}\n")

        self.all.run("stack", "extra")
        self.assertEqual([], self.openstack("image", "build", "list"))
        self.all.run("stack", "test-config")
        self.assert_running(self.all, *PROCESSES)
        with self.machine.account("demo").connect() as demo:
            (image,) = demo.image.images()
            self.assertEqual("sample", image.name)
            self.assertEqual(demo.current_project_id, image.owner)

    def stack_the_builder(self) -> None:
        """As stack.sh does on a host with dib-builder alone."""
        # Twice: it is known then, and enrols again.
        self.builder.run("stack", "post-config")
        self.builder.run("stack", "post-config")
        self.builder.run("stack", "extra")
        self.builder.run("stack", "test-config")
        self.assert_running(self.builder, "dib-builder")
        self.assertEqual(
            ["dib-builder.conf"],
            [path.name for path in self.builder.conf.iterdir()],
        )
        self.assertEqual(["first", "second"], self.builders())

    def unstack_keeps_what_the_servers_hold(self) -> None:
        """Only the processes end."""
        for one in (self.all, self.builder):
            one.run("unstack")
            self.assert_running(one)
        kept = self.machine.inventory()
        self.assert_accounts(kept)
        self.assert_stored(kept)
        self.assertEqual(["first", "second"], self.builders())

    def assert_accounts(self, made: dict[str, list[str]]) -> None:
        """What create_dib_service_accounts is for."""
        url = f"http://127.0.0.1:{self.machine.web_port}/image-build"
        self.assertIn(url, made["endpoints"])
        self.assertIn("image-build", made["services"])
        self.assertIn("dib-staging", made["projects"])
        self.assertEqual({"admin", "service"}, self.roles("dib", "service"))
        self.assertEqual({"member"}, self.roles("dib-upload", "dib-staging"))
        self.assertEqual(set(), self.roles("dib-upload", "service"))

    def assert_stored(self, made: dict[str, list[str]]) -> None:
        """Database, vhost, files."""
        self.assertIn("dib_service", made["databases"])
        self.assertIn("dib-service", made["vhosts"])
        self.assertEqual(
            {"dib-api-uwsgi.ini", "dib-builder.conf", "dib-service.conf"},
            {path.name for path in self.all.conf.iterdir()},
        )
        self.assertIn("sites-enabled/dib-api.conf", made["sites"])

    def assert_running(self, one: host.Host, *names: str) -> None:
        """These processes, and none but them, have the host's name."""
        running = processes(one)
        for name in names:
            self.assertTrue(
                [line for line in running if name in line],
                f"{name} is not among {running}",
            )
        if not names:
            self.assertEqual([], running)

    def builders(self) -> list[str]:
        """The names of those that are enrolled."""
        return self.machine.query("SELECT name FROM builders", "dib_service")

    def roles(self, user: str, project: str) -> set[str]:
        """What a user may be in a project."""
        keystone = self.machine.admin.identity
        return {
            keystone.get_role(one.role["id"]).name
            for one in keystone.role_assignments(
                user_id=keystone.find_user(user).id,
                scope_project_id=keystone.find_project(project).id,
            )
        }

    def openstack(self, *words: str) -> Any:
        """What the command answers to the user demo."""
        done = subprocess.run(
            [VENV / "bin/openstack", *words, "-f", "json"],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.all.path),
                **self.machine.account("demo").environment(),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout)


def end_all(one: host.Host) -> None:
    """End what a test that failed has left running; the plugin may be why."""
    for file in (one.path / "status").glob("*.pid"):
        with contextlib.suppress(ProcessLookupError):
            # Each has a session of its own.
            os.killpg(int(file.read_text()), signal.SIGKILL)
