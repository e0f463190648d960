"""Uploads into a real Glance that break off, are refused or come out wrong.

Builds are asked for at once, each under the name of what is to happen to its
upload; the tests look at what became of them.
"""

from collections.abc import Mapping
import pathlib
import threading
from typing import Any, ClassVar, get_args

from tests import lab
from tests.integration import glance_proxy, service_case
from tests.integration.glance_proxy import Fault, Proxy
from tools.lab import daemon
from tools.lab.keystone import answers

SERVE = pathlib.Path(__file__).with_name("serve_streaming.py")

# Names of builds, each with what happens to the first tries of its upload.
FAULTS: Mapping[str, tuple[Fault, ...]] = {
    place: tuple(
        Fault(kind, place) for kind in get_args(glance_proxy.Harmless)
    )
    for place in get_args(glance_proxy.Place)
}
KILLED = "killed"
NEVER = "never"


class Seen:
    """What who asks for images could see of them, all the time."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        # Build, image, status, digest.
        self.images: set[tuple[str, str, str, str | None]] = set()

    def __enter__(self) -> "Seen":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def of(self, build_id: str) -> set[tuple[str, str, str | None]]:
        """The images of a build that were ever seen."""
        return {each[1:] for each in self.images if each[0] == build_id}

    def _look(self) -> None:
        while not self._over.wait(1):
            answer = self._cloud.image.get("/images?limit=200")
            if answer.status_code != 200:
                continue
            for image in answer.json()["images"]:
                self.images.add(
                    (
                        image.get("dib_build_id", ""),
                        image["id"],
                        image["status"],
                        image.get("os_hash_value"),
                    )
                )


class UploadFaultsTest(service_case.ServiceCase):
    """One service, whose builder reaches Glance through the proxy only."""

    proxy: ClassVar[Proxy]
    seen: ClassVar[Seen]
    builds: ClassVar[dict[str, str]]
    glance: ClassVar[daemon.Daemon]

    @classmethod
    def setUpClass(cls) -> None:
        cls.proxy = cls.enterClassContext(
            Proxy(cls._streaming_glance(), kill=cls._kill_glance)
        )
        cls.proxy.faults = {
            **{name: list(faults) for name, faults in FAULTS.items()},
            KILLED: [Fault("kill", "middle")],
            NEVER: [Fault("cut", "middle")] * 1000,
        }
        cls.changes = {
            "glance_upload": {"endpoint_override": cls.proxy.url},
            "builder": {
                "slots": 4,
                "upload_pause": 1,
                # After the death of a Glance; one that is alive stores these
                # few bytes at once.
                "upload_stuck": 3,
            },
            "conductor": {"publish_interval": 0.5, "sweep_interval": 2},
        }
        super().setUpClass()
        cls.seen = cls.enterClassContext(Seen(cls.connect()))
        cls.builds = {name: cls._ask(name) for name in FAULTS}

    @classmethod
    def _ask(cls, name: str) -> str:
        wanted = {**service_case.TINY, "name": name, "formats": ["qcow2"]}
        answer = cls.api().post("/v1/builds", json={"build": wanted})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["build"]["id"])

    @classmethod
    def _streaming_glance(cls) -> int:
        """The port of one more Glance, of the same database and store."""
        cloud = lab.cloud()
        port = daemon.free_port()
        cls.glance = daemon.Daemon(
            name="glance-streaming",
            argv=[
                f"{lab.services_venv()}/bin/python",
                "-I",
                str(SERVE),
                "glance.wsgi.api",
                str(port),
            ],
            state=cloud.state.path,
            env={"OS_GLANCE_CONFIG_DIR": str(cloud.glance.path)},
        )
        cls.addClassCleanup(cls.glance.stop)
        cls.glance.start()
        cls.glance.wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/healthcheck")
        )
        return port

    @classmethod
    def _kill_glance(cls, image_id: str) -> None:
        """Let it die in the middle of storing, and another take its place."""
        with cls.connect("dib-upload") as cloud:
            service_case.wait(
                lambda: cloud.image.get_image(image_id).status == "saving",
                seconds=30,
                what=f"Glance to store {image_id}",
            )
        cls.glance.kill()
        cls.glance.start()

    def test_each_publishes_one_image(self) -> None:
        """The upload is repeated, not the build; the bytes are right."""
        for name in FAULTS:
            with self.subTest(name):
                self.assert_published_once(self.builds[name])

    def test_each_fault_came_about_where_it_was_meant_to(self) -> None:
        """Or else the test above would show nothing."""
        for name, faults in FAULTS.items():
            with self.subTest(name):
                self.wait_for(self.builds[name], seconds=240)
                uploads = self.proxy.uploads_of(name)
                self.assertEqual(
                    [*faults, None], [each.fault for each in uploads]
                )
                for each in uploads:
                    self.assertGreater(each.size, 4 * glance_proxy.PIECE_BYTES)
                    self.assertEqual(each.meant, each.passed)

    def test_an_image_with_wrong_bytes_is_not_used_again(self) -> None:
        """An id cannot be uploaded to twice."""
        for name in FAULTS:
            with self.subTest(name):
                self.wait_for(self.builds[name], seconds=240)
                *_, wrong, last = self.proxy.uploads_of(name)
                self.assertEqual("corrupt", wrong.fault and wrong.fault.kind)
                self.assertNotEqual(wrong.image_id, last.image_id)

    def test_glance_is_killed(self) -> None:
        """Its image stays in ``saving``; another one takes its place."""
        # None of them is to be uploading then.
        for name in FAULTS:
            self.wait_for(self.builds[name], seconds=240)
        build_id = self._ask(KILLED)
        self.assert_published_once(build_id)
        first, *_, last = self.proxy.uploads_of(KILLED)
        self.assertEqual(Fault("kill", "middle"), first.fault)
        self.assertEqual(first.meant, first.passed)
        self.assertNotEqual(first.image_id, last.image_id)

    def test_while_glance_takes_nothing_nobody_sees_anything(self) -> None:
        build_id = self._ask(NEVER)
        service_case.wait(
            lambda: len(self.proxy.uploads_of(NEVER)) > 2,
            seconds=120,
            what="some tries",
        )
        build = self.show(build_id)
        self.assertEqual("publishing", build["state"])
        self.assertEqual(1, len(build["attempts"]))
        self.api().post(f"/v1/builds/{build_id}/cancel")
        build = self.wait_for(build_id)
        self.assertEqual("cancelled", build["state"])
        self.assertEqual([], build["image_ids"])
        self.assertEqual(set(), self.seen.of(build_id))
        for name in FAULTS:
            self.wait_for(self.builds[name], seconds=240)
        self.assert_nothing_left()

    def assert_published_once(self, build_id: str) -> None:
        """One attempt, and one image, of which nobody saw less than all."""
        build = self.assert_complete(build_id, seconds=240)
        self.assertEqual(1, len(build["attempts"]))
        (artefact,) = build["artefacts"]
        (image_id,) = build["image_ids"]
        with self.connect() as cloud:
            found = cloud.image.get_image(image_id)
        self.assertEqual("active", found.status)
        self.assertEqual(artefact["sha512"], found.hash_value)
        self.assertEqual(artefact["size"], found.size)
        service_case.wait(
            lambda: self.seen.of(build_id),
            seconds=60,
            what=f"somebody to see {image_id}",
        )
        self.assertEqual(
            {(image_id, "active", artefact["sha512"])},
            self.seen.of(build_id),
        )
