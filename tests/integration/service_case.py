"""The whole service on a real cloud, for tests of it."""

from collections.abc import Mapping, Sequence
import functools
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any, ClassVar
import unittest

from keystoneauth1 import adapter
import openstack.connection

from dib_service.builder import leftovers
from tests import lab
from tools.lab import daemon
from tools.lab.cloud import Cloud
from tools.lab.service import Service

BIN = pathlib.Path(sys.executable).parent

ENDED = ("complete", "failed", "cancelled")

# The least that makes an image: seconds to build. No machine can start it.
TINY = {"elements": ["tiny"], "skip_base": True, "boot_test": False}

# Lets a member ask for what cannot start.
POLICY = pathlib.Path(__file__).with_name("policy.yaml")


class ServiceCase(unittest.TestCase):
    """One configuration of the service, started for the class.

    ``changes`` are options that differ, by section; ``start_service`` says
    which processes there are.
    """

    changes: ClassVar[Mapping[str, Mapping[str, object]]] = {}
    cloud: ClassVar[Cloud]
    service: ClassVar[Service]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.cloud = lab.cloud()
        elements = ("elements", "tests/elements")
        cls.service = Service(
            cls.cloud,
            BIN,
            name=cls.__name__,
            changes={
                **cls.changes,
                "oslo_policy": {"policy_file": POLICY},
                "builder": {
                    "element_path": ",".join(
                        str(lab.CHECKOUT / name) for name in elements
                    ),
                    "poll_interval": 1,
                    **cls.changes.get("builder", {}),
                },
            },
        )
        cls.service.prepare()
        cls.start_service()

    @classmethod
    def start_service(cls) -> None:
        """Start the processes, and see to their end."""
        process = cls.service.all_in_one
        cls.addClassCleanup(process.stop)
        process.start()
        cls.service.wait_until_ready(process)
        wait_for_elements(cls.cloud, "tiny")

    @classmethod
    def api(cls, user: str = "demo") -> adapter.Adapter:
        """The service as that user's programs see it; no call raises."""
        return api_of(cls.cloud, user)

    @classmethod
    def connect(cls, user: str = "demo") -> openstack.connection.Connection:
        """The cloud as that user sees it."""
        return cls.cloud.account(user).connect()

    def create(self, user: str = "demo", **wanted: Any) -> str:
        """The id of a new build."""
        answer = self.api(user).post("/v1/builds", json={"build": wanted})
        self.assertEqual(202, answer.status_code, answer.text)
        return str(answer.json()["build"]["id"])

    def show(self, build_id: str, user: str = "demo") -> dict[str, Any]:
        """The build, as the API shows it."""
        answer = self.api(user).get(f"/v1/builds/{build_id}")
        self.assertEqual(200, answer.status_code, answer.text)
        build: dict[str, Any] = answer.json()["build"]
        return build

    def log(self, build_id: str) -> str:
        """All that the build has said so far."""
        return str(self.api().get(f"/v1/builds/{build_id}/log").text)

    def wait_for(
        self,
        build_id: str,
        states: Sequence[str] = ENDED,
        *,
        seconds: float = 120.0,
    ) -> dict[str, Any]:
        """The build, once it is in one of these states."""
        seen: dict[str, Any] = {}

        def there() -> bool:
            seen.update(self.show(build_id))
            return seen["state"] in states

        try:
            wait(there, seconds=seconds, what=f"build {build_id} {states}")
        except AssertionError as exc:
            raise AssertionError(
                f"{exc}: {seen}\n{self.log(build_id)}"
            ) from exc
        return seen

    def wait_for_log(
        self, build_id: str, text: str, *, seconds: float = 60.0
    ) -> None:
        """Return once the build has said so."""
        wait(
            lambda: text in self.log(build_id),
            seconds=seconds,
            what=f"{text!r} in the log of {build_id}",
        )

    def assert_complete(self, build_id: str, **kwargs: Any) -> dict[str, Any]:
        """The build ends complete; its log is the failure otherwise."""
        build = self.wait_for(build_id, **kwargs)
        self.assertEqual(
            "complete", build["state"], f"{build}\n{self.log(build_id)}"
        )
        return build

    def assert_nothing_left(self) -> None:
        """No mount, loop device, process, workspace or staged image."""
        wait(
            lambda: not self.left_over(),
            seconds=30,
            what="the end of all leftovers",
            more=self.left_over,
        )

    def left_over(self) -> list[str]:
        """What a build has left behind, in words."""
        state = (self.service.path / "builder").resolve()
        left = [f"process {pid}" for pid in leftovers.processes(state)]
        left += [f"process {pid}" for pid in processes("86321")]
        left += [f"mount {path}" for path in leftovers.mounts(state)]
        left += [f"loop {path}" for path in leftovers.loops(state)]
        left += [f"workspace {path}" for path in (state / "builds").glob("*")]
        return left + [f"image {name}" for name in self.staged_images()]

    def staged_images(self) -> list[str]:
        """The images that the staging project has, hidden or not."""
        with self.connect("dib-upload") as cloud:
            project = cloud.current_project_id
        with self.connect("admin") as cloud:
            return [
                image.id
                for hidden in (True, False)
                for image in cloud.image.images(
                    owner=project, is_hidden=hidden
                )
            ]

    def openstack(
        self,
        *words: str,
        user: str = "demo",
        status: int = 0,
        environment: Mapping[str, str] = {},
    ) -> Any:
        """What the real command answers, from its JSON if it has some."""
        done = subprocess.run(
            [str(BIN / "openstack"), *words],
            env={
                "PATH": daemon.PATH,
                "LC_ALL": "C.UTF-8",
                "HOME": os.environ.get("HOME", "/"),
                **self.cloud.account(user).environment(),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{done.stdout}\n{done.stderr}"
        self.assertEqual(status, done.returncode, f"{words}: {said}")
        return json.loads(done.stdout) if "json" in words else said


@functools.cache
def api_of(cloud: Cloud, user: str = "demo") -> adapter.Adapter:
    """The image-build service for that user; no call raises."""
    return adapter.Adapter(
        cloud.account(user).connect().session,
        service_type="image-build",
        interface="public",
        raise_exc=False,
    )


def wait_for_elements(cloud: Cloud, *names: str) -> None:
    """Return once a builder has registered these."""
    api = api_of(cloud)

    def registered() -> bool:
        rows = api.get("/v1/elements").json().get("elements", [])
        return set(names) <= {row["name"] for row in rows}

    wait(registered, seconds=60, what=f"elements {names}")


def processes(word: str) -> list[int]:
    """The processes that have this word in their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            found.append(int(path.parent.name))
    return found


def wait(
    ready: Any, *, seconds: float, what: str, more: Any = lambda: ""
) -> None:
    """Return once ``ready`` says so.

    :raises AssertionError: it does not in all that time.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {seconds:.0f} s in vain for {what} {more()}"
            )
        time.sleep(0.25)
