"""An image becomes visible once, whole, or not at all."""

from collections.abc import Callable
from unittest import mock

import fixtures
import testtools

from dib_service import exception
from dib_service.conductor import publisher, sweeper
from dib_service.db import api as db
from dib_service.objects import history, lease, release, staging
from dib_service.objects.build import Build
from tests import database, fake_glance

BYTES = b"an image"
SHA512 = fake_glance.sha512(BYTES)


class Killed(BaseException):
    """SIGKILL: nothing that stands below gets to run."""


class PublisherTest(testtools.TestCase):
    """A build with two artefacts, and a Glance that may misbehave."""

    def setUp(self) -> None:
        super().setUp()
        self.config = self.useFixture(database.Database()).config
        self.log = self.useFixture(fixtures.FakeLogger())
        self.fake = self.useFixture(fake_glance.FakeGlance())
        self.glance = self.fake.target()
        self.builder, self.secret = database.new_builder()
        self.build = database.new_build(
            visibility="shared", formats=["qcow2", "raw"]
        )
        self.proof = database.claimed(
            self.build, database.holder(self.builder, self.secret)
        )

    def grant(self, sha512: str = SHA512) -> list[str]:
        build = staging.grant(
            self.proof,
            [
                history.Artefact(
                    epoch=self.proof.epoch,
                    format=format_,
                    size=len(BYTES),
                    virtual_size=2**30,
                    sha512=sha512,
                )
                for format_ in ("qcow2", "raw")
            ],
            target="glance",
        )
        return [staged.image_id for staged in release.images(build, "glance")]

    def upload(self, sha512: str = SHA512) -> list[str]:
        image_ids = self.grant(sha512)
        for image_id in image_ids:
            self.fake.upload(image_id, BYTES)
        self.all_uploaded()
        return image_ids

    def all_uploaded(self) -> None:
        staging.uploaded(self.proof, "glance")
        staging.done(self.proof)

    def publish(self) -> None:
        """Another conductor, after the lock of the last one."""
        database.change_publications(self.build, not_before=0)
        publisher.publish_due(self.glance)

    def fault(self, target: str = "glance") -> dict[str, str]:
        """Why nothing is published there."""
        targets: dict[str, dict[str, str]] = (self.now().fault or {})[
            "targets"
        ]
        return targets[target]

    def now(self) -> Build:
        return Build.get(self.build.id)

    def assert_published_once(self) -> None:
        self.assertEqual("complete", self.now().state)
        self.assertEqual(2, len(self.fake.images))
        for image in self.fake.images.values():
            self.assertEqual("project-1", image["owner"])
            self.assertEqual("shared", image["visibility"])
            self.assertFalse(image["os_hidden"])
        self.assertEqual(
            ["published"] * 2,
            [one.state for one in history.publications(self.build.id)],
        )
        [attempt] = history.attempts(self.build.id)
        self.assertEqual("complete", attempt.outcome)
        self.sweep()
        self.assertEqual(2, len(self.fake.images))

    def assert_nothing_is_left(self) -> None:
        self.sweep()
        self.assertEqual({}, self.fake.images)

    def sweep(self) -> None:
        sweeper.sweep(self.glance)

    def test_what_is_uploaded_is_published(self) -> None:
        self.upload()
        self.publish()
        self.assert_published_once()

    def test_nothing_is_published_before_all_is_uploaded(self) -> None:
        for image_id in self.grant():
            self.fake.upload(image_id, BYTES)
        self.publish()
        self.assertEqual("publishing", self.now().state)
        self.assertEqual([], self.fake.patches)

    def test_while_one_publishes_the_others_keep_off(self) -> None:
        self.upload()
        self.assertIsNotNone(release.lock(self.build.id, "glance"))
        self.assertIsNone(release.lock(self.build.id, "glance"))
        self.assertEqual([], release.due("glance", 10))

    def test_any_conductor_goes_on_where_one_was_killed(self) -> None:
        # Before and after each step: of the second kind, the last is a
        # conductor that was killed with nothing left to do.
        for step in ("check", "decide", "hand_over", "finish"):
            for moment in (killed_before, killed_after):
                with self.subTest(step=step, moment=moment.__name__):
                    self.setUp_again()
                    self.upload()
                    real = getattr(publisher, step)
                    with (
                        mock.patch.object(publisher, step, moment(real)),
                        testtools.ExpectedException(Killed),
                    ):
                        self.publish()
                    self.publish()
                    self.assert_published_once()

    def test_killed_between_two_images(self) -> None:
        self.upload()
        real = self.glance.show
        with (
            mock.patch.object(self.glance, "show", killed_after(real)),
            testtools.ExpectedException(Killed),
        ):
            self.publish()
        # Both are theirs, and one can be seen.
        self.assertEqual(3, len(self.fake.patches))
        self.publish()
        self.assert_published_once()
        self.assertEqual(4, len(self.fake.patches))

    def test_killed_when_glance_has_changed_and_nobody_heard(self) -> None:
        self.upload()
        for step in ("give", "show"):
            with self.subTest(step=step):
                self.setUp_again()
                self.upload()
                real = getattr(self.glance, step)
                with (
                    mock.patch.object(self.glance, step, killed_after(real)),
                    testtools.ExpectedException(Killed),
                ):
                    self.publish()
                self.publish()
                self.assert_published_once()
                # Seen to be done, and not done again.
                self.assertEqual(4, len(self.fake.patches))

    def test_a_glance_that_is_down_is_asked_again(self) -> None:
        for method in ("GET", "PATCH"):
            for status in (None, 500, 503, 403):
                with self.subTest(method=method, status=status):
                    self.setUp_again()
                    self.upload()
                    self.fake.faults = [(method, status)]
                    asked = db.now()
                    self.publish()
                    self.assertEqual("publishing", self.now().state)
                    with mock.patch.object(db, "now", lambda at=asked: at):
                        self.assertEqual([], release.due("glance", 10))
                    self.publish()
                    self.assert_published_once()

    def test_the_pauses_grow_to_their_limit(self) -> None:
        self.config.config(publish_retry_max=5.0, group="conductor")
        self.upload()
        build = self.now()
        self.assertEqual(
            [1.0, 2.0, 4.0, 5.0, 5.0],
            [release.postpone(build, "glance") for _ in range(5)],
        )

    def test_a_pause_after_the_decision_too(self) -> None:
        self.upload()
        release.decide(self.now(), "glance")
        self.fake.faults = [("PATCH", 503)]
        self.publish()
        self.assertTrue(self.now().release_decided)
        self.publish()
        self.assert_published_once()

    def test_other_bytes_fail_the_build_and_are_deleted(self) -> None:
        self.upload("0" * 128)
        self.publish()
        build = self.now()
        self.assertEqual("failed", build.state)
        self.assertEqual("publication-failed", (build.fault or {})["code"])
        fault = self.fault()
        self.assertEqual("image-differs", fault["code"])
        self.assertIn(SHA512, fault["message"])
        self.assertIn("0" * 128, fault["message"])
        self.assertEqual({}, self.fake.images)
        self.assertEqual([], self.fake.patches)

    def test_what_cannot_be_deleted_now_is_swept(self) -> None:
        self.upload("0" * 128)
        self.fake.faults = [("DELETE", 500), ("DELETE", None)]
        self.publish()
        self.assertEqual("failed", self.now().state)
        self.assertEqual(2, len(self.fake.images))
        self.assert_nothing_is_left()

    def test_an_image_of_another_size_is_refused(self) -> None:
        image_ids = self.upload()
        self.fake.images[image_ids[0]]["size"] += 1
        self.publish()
        self.assertEqual("failed", self.now().state)

    def test_an_image_without_its_bytes_is_refused(self) -> None:
        image_ids = self.upload()
        self.fake.images[image_ids[1]]["status"] = "queued"
        self.publish()
        self.assertEqual("failed", self.now().state)
        self.assertEqual([], self.fake.patches)

    def test_an_image_that_is_gone_is_refused(self) -> None:
        del self.fake.images[self.upload()[0]]
        self.publish()
        self.assertEqual("staged-image-lost", self.fault()["code"])
        self.assert_nothing_is_left()

    def test_an_image_that_its_owner_deleted_is_not_waited_for(self) -> None:
        image_ids = self.upload()
        release.decide(self.now(), "glance")
        del self.fake.images[image_ids[0]]
        self.publish()
        self.assertEqual("complete", self.now().state)
        self.assertEqual(
            ["deleted", "published"],
            [one.state for one in history.publications(self.build.id)],
        )

    def test_a_glance_that_does_not_agree_is_asked_again(self) -> None:
        self.upload()
        with mock.patch.object(self.glance, "show"):
            self.publish()
        self.assertEqual("publishing", self.now().state)
        self.publish()
        self.assert_published_once()

    def test_a_cancel_before_the_decision_wins(self) -> None:
        self.upload()
        real = publisher.check

        def cancelled_meanwhile(*args: object) -> None:
            real(*args)  # type: ignore[arg-type]
            self.build.request_cancel()

        with mock.patch.object(publisher, "check", cancelled_meanwhile):
            self.publish()
        self.assertEqual("cancelled", self.now().state)
        self.assertEqual([], self.fake.patches)
        self.assert_nothing_is_left()

    def test_a_cancel_wins_over_a_refusal_too(self) -> None:
        self.upload("0" * 128)
        real = self.glance.get

        def cancelled_meanwhile(image_id: str) -> object:
            self.build.request_cancel()
            return real(image_id)

        with mock.patch.object(self.glance, "get", cancelled_meanwhile):
            publisher.publish(self.build.id, self.glance)
        self.assertEqual("cancelled", self.now().state)
        self.assertIsNone(self.now().fault)
        self.assertIn("no longer publishing", self.log.output)
        self.assert_nothing_is_left()

    def test_a_cancel_while_glance_is_down_is_no_error(self) -> None:
        self.upload()
        get = self.glance.get

        def cancelled_meanwhile(image_id: str) -> object:
            self.build.request_cancel()
            self.fake.faults = [("GET", 503)]
            return get(image_id)

        with mock.patch.object(self.glance, "get", cancelled_meanwhile):
            self.publish()
        self.assertEqual("cancelled", self.now().state)
        self.assertNotIn("Traceback", self.log.output)

    def test_after_the_decision_a_cancel_loses(self) -> None:
        self.upload()
        release.decide(self.now(), "glance")
        self.assertRaises(exception.Conflict, self.build.request_cancel)
        self.publish()
        self.assert_published_once()

    def test_a_cancel_while_uploading_wins(self) -> None:
        for image_id in self.grant():
            self.fake.upload(image_id, BYTES)
        self.build.request_cancel()
        self.all_uploaded()
        self.assertEqual("cancelled", self.now().state)
        self.assert_nothing_is_left()

    def test_a_lease_that_ran_out_wins_over_a_late_upload(self) -> None:
        for image_id in self.grant():
            self.fake.upload(image_id, BYTES)
        database.change_build(self.build, lease_expires_at=1.0)
        lease.end_expired()
        self.assertRaises(
            exception.StaleClaim,
            staging.uploaded,
            lease.Proof(self.build.id, self.proof.epoch + 1, "guess"),
            "glance",
        )
        self.assertRaises(
            exception.StaleClaim, staging.uploaded, self.proof, "glance"
        )
        self.assertEqual("queued", self.now().state)
        self.assert_nothing_is_left()

    def test_what_is_decided_is_not_taken_back(self) -> None:
        self.upload()
        release.decide(self.now(), "glance")
        self.assertRaises(
            exception.StateConflict,
            release.refuse,
            *(self.now(), "glance", {"code": "x"}),
        )
        database.change_build(self.build, lease_expires_at=None)
        self.assertEqual(0, lease.end_expired())

    def test_a_repeated_grant_gives_the_same_ids(self) -> None:
        self.assertEqual(self.grant(), self.grant())

    def test_nothing_is_uploaded_without_a_grant(self) -> None:
        self.assertRaises(
            exception.BadRequest, staging.uploaded, self.proof, "glance"
        )
        self.assertRaises(exception.BadRequest, staging.done, self.proof)

    def setUp_again(self) -> None:
        """A build like the first, with all else as it is."""
        self.fake.images.clear()
        self.fake.patches.clear()
        self.build = database.new_build(
            visibility="shared", formats=["qcow2", "raw"]
        )
        self.proof = database.claimed(
            self.build, database.holder(self.builder, self.secret)
        )


def killed_before(step: Callable[..., object]) -> Callable[..., object]:
    """The step, if the process is killed as it begins."""

    def killed(*args: object, **kwargs: object) -> object:
        raise Killed

    return killed


def killed_after(step: Callable[..., object]) -> Callable[..., object]:
    """The step, if the process is killed as it ends."""

    def killed(*args: object, **kwargs: object) -> object:
        step(*args, **kwargs)
        raise Killed

    return killed
