"""API, conductor and builder as three processes over RabbitMQ, PostgreSQL.

And what becomes of a build when the broker or the conductor goes away in the
middle of it.
"""

import pathlib
import sys
import time
from typing import Any, ClassVar

from tests import lab
from tests.integration import service_case
from tools.lab.rabbitmq import RabbitMQ

KILLED = pathlib.Path(__file__).with_name("killed_conductor.py")


class ProcessesTest(service_case.ServiceCase):
    """Three processes, none of which may be missed for long."""

    broker: ClassVar[RabbitMQ]

    @classmethod
    def setUpClass(cls) -> None:
        cls.broker = lab.rabbitmq()
        cls.changes = {
            "DEFAULT": {"transport_url": cls.broker.transport_url},
            "oslo_messaging_rabbit": {"rabbit_quorum_queue": "true"},
            "database": {"connection": lab.postgresql().database("processes")},
            # Short, so that a killed conductor's work is soon another's,
            # and who waits for its answer asks again.
            "messaging": {"call_timeout": 5},
            "conductor": {"publish_lock_seconds": 2, "sweep_interval": 2},
        }
        super().setUpClass()

    @classmethod
    def start_service(cls) -> None:
        """One of each, the builder with a configuration of its own."""
        cls.service.enrol("lab")
        cls.processes = {
            command: cls.service.process(command)
            for command in ("dib-api", "dib-conductor", "dib-builder")
        }
        for process in cls.processes.values():
            cls.addClassCleanup(process.stop)
            process.start()
        cls.service.wait_until_ready(cls.processes["dib-api"])
        service_case.wait_for_elements(cls.cloud, "tiny")

    def test_a_build_runs_to_its_end(self) -> None:
        build = self.assert_complete(self.create(**service_case.TINY))
        self.assert_published(build)
        self.assert_nothing_left()

    def test_with_the_broker_down_a_build_is_taken_and_runs_later(
        self,
    ) -> None:
        self.broker.stop()
        try:
            begun = time.monotonic()
            build_id = self.create(**service_case.TINY)
            took = time.monotonic() - begun
            self.assertEqual("queued", self.show(build_id)["state"])
        finally:
            self.broker.start()
        self.assertLess(took, 1.0)
        self.assert_complete(build_id)
        self.assert_nothing_left()

    def test_a_conductor_killed_when_the_hash_is_checked(self) -> None:
        build_id, image_id = self.kill_conductor_at("checked")
        self.assertFalse(self.show(build_id).get("image_ids"))
        self.assert_staged(image_id)
        self.assert_seen_by_nobody(build_id, image_id)
        self.assert_goes_on(build_id)

    def test_a_conductor_killed_when_the_release_is_decided(self) -> None:
        build_id, image_id = self.kill_conductor_at("decided")
        self.assert_staged(image_id)
        answer = self.api().post(f"/v1/builds/{build_id}/cancel")
        self.assertEqual(409, answer.status_code, answer.text)
        self.assert_goes_on(build_id)

    def test_a_conductor_killed_when_the_image_is_given(self) -> None:
        build_id, image_id = self.kill_conductor_at("given")
        with self.connect() as demo:
            image = demo.image.get_image(image_id)
            self.assertTrue(image.is_hidden)
        self.assertEqual("publishing", self.show(build_id)["state"])
        self.assert_goes_on(build_id)

    def test_a_conductor_killed_when_the_image_is_shown(self) -> None:
        build_id, image_id = self.kill_conductor_at("shown")
        with self.connect() as demo:
            image = demo.image.get_image(image_id)
            self.assertEqual(demo.current_project_id, image.owner)
        self.assertEqual("publishing", self.show(build_id)["state"])
        self.assert_goes_on(build_id)

    def test_a_conductor_killed_before_the_build_is_complete(self) -> None:
        build_id, _ = self.kill_conductor_at("handed-over")
        self.assertEqual("publishing", self.show(build_id)["state"])
        self.assert_goes_on(build_id)

    def kill_conductor_at(self, point: str) -> tuple[str, str]:
        """A build whose conductor died there, and the id of its image.

        No conductor runs on return.
        """
        self.processes["dib-conductor"].stop()
        self.addCleanup(self.processes["dib-conductor"].start)
        doomed = self.service.process(
            "dib-conductor", sys.executable, str(KILLED), point
        )
        doomed.start()
        self.addCleanup(doomed.stop)
        build_id = self.create(**service_case.TINY)
        service_case.wait(
            lambda: not doomed.alive(),
            seconds=90,
            what=f"the conductor's end at {point}",
            more=lambda: self.log(build_id),
        )
        publications = self.show(build_id)["publications"]
        return build_id, publications[0]["image_id"]

    def assert_goes_on(self, build_id: str) -> None:
        """With a conductor again the build is complete, once."""
        self.processes["dib-conductor"].start()
        build = self.assert_complete(build_id)
        self.assertEqual(1, len(build["attempts"]), build)
        self.assert_published(build)
        self.assert_nothing_left()

    def assert_published(self, build: dict[str, Any]) -> None:
        """One image, active, of the project that asked, and of its hash."""
        (image_id,) = build["image_ids"]
        (artefact,) = build["artefacts"]
        with self.connect() as demo:
            image = demo.image.get_image(image_id)
            self.assertEqual("active", image.status)
            self.assertEqual(demo.current_project_id, image.owner)
            self.assertEqual(artefact["sha512"], image.hash_value)
            same = [i for i in demo.image.images() if i.name == image.name]
        with self.connect("dib-upload") as uploader:
            # What the builder had in hand is good for nothing any more.
            glance = uploader.session
            url = f"{self.cloud.glance.url}/v2/images/{image_id}"
            for method in ("GET", "DELETE"):
                answer = glance.request(url, method, raise_exc=False)
                self.assertEqual(404, answer.status_code, method)
        self.assertEqual(1, len([i for i in same if i.id == image_id]), same)

    def assert_staged(self, image_id: str) -> None:
        """The bytes are there and belong to the staging project."""
        with self.connect("admin") as admin:
            image = admin.image.get_image(image_id)
            self.assertEqual("active", image.status)
            self.assertTrue(image.is_hidden)
            self.assertEqual("private", image.visibility)
        self.assertIn(image_id, self.staged_images())

    def assert_seen_by_nobody(self, build_id: str, image_id: str) -> None:
        """Another project sees neither; who asked does not see the image."""
        answer = self.api("other").get(f"/v1/builds/{build_id}")
        self.assertEqual(404, answer.status_code, answer.text)
        for user in ("demo", "other"):
            with self.connect(user) as cloud:
                answer = cloud.session.get(
                    f"{self.cloud.glance.url}/v2/images/{image_id}",
                    raise_exc=False,
                )
                self.assertEqual(404, answer.status_code, user)


class KilledBuilderTest(service_case.ServiceCase):
    """The whole service in one process, killed in the middle of a build."""

    changes: ClassVar = {
        "conductor": {
            "lease_seconds": 6,
            "retry_delay": 1,
            "sweep_interval": 2,
        },
        "builder": {"heartbeat_interval": 1, "fence_after": 5},
    }

    def test_nothing_is_left_and_the_build_ends(self) -> None:
        build_id = self.create(elements=["tiny", "slow"], skip_base=True)
        self.wait_for_log(build_id, "slow: at work")
        process = self.service.all_in_one
        process.kill()
        service_case.wait(
            lambda: not service_case.processes("86321"),
            seconds=10,
            what="the end of what the build had started",
        )
        process.start()
        self.service.wait_until_ready(process)
        # It is tried again, which is right; and so it is ended by hand.
        service_case.wait(
            lambda: len(self.show(build_id)["attempts"]) == 2,
            seconds=60,
            what="a second attempt",
            more=lambda: self.show(build_id),
        )
        first, _ = self.show(build_id)["attempts"]
        self.assertEqual("lost", first["outcome"])
        self.api().post(f"/v1/builds/{build_id}/cancel")
        self.assertEqual("cancelled", self.wait_for(build_id)["state"])
        self.assert_nothing_left()

    def test_a_build_after_it_is_complete(self) -> None:
        self.service.all_in_one.kill()
        self.service.all_in_one.start()
        self.service.wait_until_ready(self.service.all_in_one)
        self.assert_complete(self.create(**service_case.TINY))
        self.assert_nothing_left()


class CancelTest(service_case.ServiceCase):
    """A build that somebody no longer wants."""

    def test_every_process_ends_within_ten_seconds(self) -> None:
        build_id = self.create(elements=["tiny", "slow"], skip_base=True)
        self.wait_for_log(build_id, "slow: at work")
        self.assertGreaterEqual(len(service_case.processes("86321")), 4)
        answer = self.api().post(f"/v1/builds/{build_id}/cancel")
        self.assertEqual(202, answer.status_code, answer.text)
        service_case.wait(
            lambda: not service_case.processes("86321"),
            seconds=10,
            what="the end of every process",
        )
        build = self.wait_for(build_id, seconds=20)
        self.assertEqual("cancelled", build["state"])
        self.assert_nothing_left()

    def test_a_queued_build_never_begins(self) -> None:
        first = self.create(elements=["tiny", "slow"], skip_base=True)
        self.wait_for_log(first, "slow: at work")
        second = self.create(**service_case.TINY)
        self.api().post(f"/v1/builds/{second}/cancel")
        build = self.wait_for(second, seconds=5)
        self.assertEqual("cancelled", build["state"])
        self.assertEqual([], build["attempts"])
        self.api().post(f"/v1/builds/{first}/cancel")
        self.wait_for(first, seconds=20)


class WallsTest(service_case.ServiceCase):
    """What a hook can see of the service whose build it is part of."""

    def test_hooks_find_no_secret_and_no_process_of_the_builder(self) -> None:
        bait = "lab-0123456789abcdef01234567"
        build_id = self.create(
            elements=["tiny", "prying"],
            skip_base=True,
            boot_test=False,
            environment={
                "DIB_BAIT": bait,
                "DIB_LAB": self.cloud.state.path.name,
            },
        )
        self.assert_complete(build_id)
        lines = self.log(build_id).splitlines()
        found = [line for line in lines if "pry: found " in line]
        processes = [line for line in lines if "pry: process " in line]
        # What lies in the open is found, in both places: it does look.
        self.assertGreaterEqual(len(found), 2, lines)
        self.assertEqual(2, len([x for x in lines if "pry: looked" in x]))
        self.assertGreaterEqual(len(processes), 2)
        self.assertEqual([], [line for line in found if bait not in line])
        for word in ("dib_service.cmd", "dib-all-in-one", "waitress", "serve"):
            self.assertEqual([], [x for x in processes if word in x])
