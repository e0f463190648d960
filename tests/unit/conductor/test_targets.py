"""Each target goes by itself, and an image id that was lost stays lost."""

from collections.abc import Callable, Mapping, Sequence
import pathlib
import time
from unittest import mock

import fixtures
import testtools

from dib_service import exception
from dib_service.conductor import publisher, sweeper
from dib_service.objects import history, lease, release, staging
from dib_service.objects.build import Build
from dib_service.publish import directory, glance, target
from tests import database, fake_glance

BYTES = b"an image"
SHA512 = fake_glance.sha512(BYTES)
FAULT = {"code": "upload", "turn": "operator", "message": "it is dead"}
BARE_METAL = "b" * 32


class Case(testtools.TestCase):
    """A build for two targets, of which one may be dead."""

    roles: Sequence[tuple[str, str]] = (("image", "qcow2"),)
    wanted: Mapping[str, object] = {"targets": ["glance", "web"]}

    def setUp(self) -> None:
        super().setUp()
        self.config = self.useFixture(database.Database()).config
        self.log = self.useFixture(fixtures.FakeLogger())
        self.fake = self.useFixture(fake_glance.FakeGlance())
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.glance = self.fake.target(bare_metal=BARE_METAL)
        self.web = directory.Directory("web", self.folder)
        self.web.right()
        self.build = database.new_build(**self.wanted)
        self.proof = database.claimed(
            self.build, database.holder(*database.new_builder())
        )

    def grant(self, name: str, *lost: str) -> list[str]:
        """The image ids in that target, in their order."""
        build = staging.grant(
            self.proof,
            [
                history.Artefact(
                    epoch=self.proof.epoch,
                    format=format_,
                    size=len(BYTES),
                    virtual_size=2**30,
                    sha512=SHA512,
                    role=role,
                )
                for role, format_ in self.roles
            ],
            target=name,
            lost=lost,
        )
        return [each.image_id for each in release.images(build, name)]

    def upload(self, name: str, data: bytes = BYTES) -> list[str]:
        """What a builder does with a target that lives."""
        ids = self.grant(name)
        for image_id in ids:
            if name == "web":
                put(self.folder, image_id, data)
            else:
                self.fake.upload(image_id, data)
        staging.uploaded(self.proof, name)
        return ids

    def publish(self, where: target.Target | None = None) -> None:
        """Another conductor, after the lock of the last one."""
        database.change_publications(self.build, not_before=0)
        publisher.publish_due(where or self.glance)

    def now(self) -> Build:
        return Build.get(self.build.id)

    def states(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in history.publications(self.build.id):
            found.setdefault(row.target, set()).add(row.state)
        return found


def put(folder: str, image_id: str, data: bytes) -> None:
    """An image in the staging of a directory."""
    place = pathlib.Path(folder, "staging", image_id)
    place.mkdir()
    (place / "image.qcow2").write_bytes(data)
    directory.write_metadata(place, {"file": "image.qcow2"})


class OrderTest(Case):
    """Whoever asks for two places names the one that counts first."""

    wanted: Mapping[str, object] = {"targets": ["web", "glance"]}

    def test_images_come_in_the_order_of_the_request(self) -> None:
        found = {name: self.upload(name) for name in ("glance", "web")}
        staging.done(self.proof)
        self.publish(self.glance)
        self.publish(self.web)
        self.assertEqual(
            {self.build.id: [*found["web"], *found["glance"]]},
            dict(history.published([self.now()])),
        )


class TargetsTest(Case):
    """What one target does is nothing to the other."""

    def test_both_of_them_get_it(self) -> None:
        for name in ("glance", "web"):
            self.upload(name)
        staging.done(self.proof)
        self.publish(self.glance)
        self.assertEqual("publishing", self.now().state)
        self.publish(self.web)
        self.assertEqual("complete", self.now().state)
        self.assertEqual(
            {"glance": {"published"}, "web": {"published"}}, self.states()
        )

    def test_one_is_published_while_the_other_is_uploaded(self) -> None:
        [image_id] = self.upload("glance")
        self.grant("web")
        self.publish()
        self.assertFalse(self.fake.images[image_id]["os_hidden"])
        self.assertEqual({"published"}, self.states()["glance"])
        self.assertEqual("publishing", self.now().state)
        self.assertRaises(exception.Conflict, self.build.request_cancel)
        self.upload("web")
        staging.done(self.proof)
        self.publish(self.web)
        self.assertEqual("complete", self.now().state)

    def test_a_dead_one_is_named_and_the_other_one_stays(self) -> None:
        [image_id] = self.upload("glance")
        self.grant("web")
        staging.gave_up(self.proof, "web", FAULT)
        staging.done(self.proof)
        self.publish()
        build = self.now()
        self.assertEqual("failed", build.state)
        fault = build.fault or {}
        self.assertEqual("publication-failed", fault["code"])
        self.assertEqual({"web": FAULT}, fault["targets"])
        self.assertIn("web: it is dead", fault["message"])
        self.assertEqual(
            {build.id: [image_id]}, dict(history.published([build]))
        )
        sweeper.sweep(self.glance)
        self.assertIn(image_id, self.fake.images)

    def test_whoever_reads_a_large_image_keeps_the_others_away(self) -> None:
        self.config.config(publish_lock_seconds=0.1, group="conductor")
        self.upload("web")
        digests = directory._digests
        due = ["not asked"]

        def slow(
            path: pathlib.Path, going_on: Callable[[], None]
        ) -> dict[str, str]:
            end = time.monotonic() + 5.0
            database.change_publications(self.build, not_before=0)
            while time.monotonic() < end:
                going_on()
                due[:] = release.due("web", 10)
                if not due:
                    break
            return digests(path, going_on)

        with mock.patch.object(directory, "_digests", slow):
            self.publish(self.web)
        self.assertEqual([], due)
        self.assertEqual({"web": {"published"}}, self.states())

    def test_one_that_granted_nothing_is_named_as_well(self) -> None:
        self.upload("glance")
        for _ in range(2):
            staging.gave_up(self.proof, "web", FAULT)
        self.assertRaises(exception.Conflict, self.grant, "web")
        staging.done(self.proof)
        self.publish()
        build = self.now()
        self.assertEqual({"web": FAULT}, (build.fault or {})["targets"])
        self.assertEqual(
            {"glance": {"published"}, "web": {"failed"}}, self.states()
        )
        self.assertEqual([], [*staging.abandoned("web", 10)])

    def test_none_of_them_granted_anything(self) -> None:
        for name in ("glance", "web", "moon"):
            staging.gave_up(self.proof, name, FAULT)
        staging.done(self.proof)
        build = self.now()
        self.assertEqual("failed", build.state)
        self.assertEqual(
            {"glance": FAULT, "web": FAULT}, (build.fault or {})["targets"]
        )

    def test_other_bytes_in_one_are_no_other_s_fault(self) -> None:
        self.upload("glance", b"other")
        [shown] = self.upload("web")
        staging.done(self.proof)
        self.publish(self.glance)
        self.assertEqual("publishing", self.now().state)
        self.publish(self.web)
        self.assertEqual("failed", self.now().state)
        self.assertEqual(["glance"], list((self.now().fault or {})["targets"]))
        self.assertEqual({}, self.fake.images)
        self.assertIsNotNone(self.web.get(shown))

    def test_a_builder_that_dies_after_the_first_is_not_begun_anew(
        self,
    ) -> None:
        self.upload("glance")
        self.grant("web")
        self.publish()
        database.change_build(self.build, lease_expires_at=1.0)
        lease.end_expired()
        build = self.now()
        self.assertEqual("failed", build.state)
        self.assertEqual(
            "lease-lost", (build.fault or {})["targets"]["web"]["code"]
        )
        self.assertEqual({"published"}, self.states()["glance"])

    def test_before_the_first_it_is(self) -> None:
        ids = self.upload("glance")
        self.grant("web")
        database.change_build(self.build, lease_expires_at=1.0)
        lease.end_expired()
        self.assertEqual("queued", self.now().state)
        self.publish()
        self.assertEqual("queued", self.now().state)
        sweeper.sweep(self.glance)
        self.assertNotIn(ids[0], self.fake.images)

    def test_half_a_copy_of_a_builder_that_died_goes(self) -> None:
        self.upload("glance")
        [image_id] = self.grant("web")
        staged = pathlib.Path(self.folder, "staging")
        for ending in (".part", ".gone"):
            (staged / f"{image_id}{ending}").mkdir()
        sweeper.sweep(self.web)
        self.assertEqual(2, len([*staged.iterdir()]))
        database.change_build(self.build, lease_expires_at=1.0)
        lease.end_expired()
        sweeper.sweep(self.web)
        self.assertEqual([], [*staged.iterdir()])

    def test_one_that_nobody_asked_for_is_not_granted(self) -> None:
        error = self.assertRaises(exception.BadRequest, self.grant, "west")
        self.assertIn("west", str(error))
        self.assertEqual({}, self.states())

    def test_a_fault_of_ours_does_not_last_for_ever(self) -> None:
        self.upload("glance")
        self.upload("web")
        staging.done(self.proof)
        self.publish(self.web)
        with mock.patch.object(glance.Glance, "give", side_effect=KeyError):
            self.publish()
            self.assertIn("KeyError", self.log.output)
            database.change_publications(self.build, give_up_at=1.0)
            self.publish()
        self.assertEqual("failed", self.now().state)
        self.assertEqual({}, self.fake.images)

    def test_a_cancel_before_the_first_takes_all_of_them(self) -> None:
        self.upload("glance")
        self.grant("web")
        self.build.request_cancel()
        self.publish()
        self.assertEqual([], self.fake.patches)
        staging.done(self.proof)
        self.assertEqual("cancelled", self.now().state)
        sweeper.sweep(self.glance)
        self.assertEqual({}, self.fake.images)

    def test_what_nobody_ever_granted_has_failed(self) -> None:
        self.upload("glance")
        staging.done(self.proof)
        self.publish()
        self.assertEqual("failed", self.now().state)
        self.assertEqual(["web"], list((self.now().fault or {})["targets"]))

    def test_what_was_made_is_the_same_everywhere(self) -> None:
        self.grant("glance")
        with mock.patch(f"{__name__}.SHA512", "0" * 128):
            self.assertRaises(exception.BadRequest, self.grant, "web")

    def test_one_that_never_agrees_is_given_up_and_taken_back(self) -> None:
        [image_id] = self.upload("glance")
        self.upload("web")
        staging.done(self.proof)
        self.fake.faults = [("DELETE", 503)]
        with mock.patch.object(glance.Glance, "shows", return_value=False):
            self.publish()
            self.assertEqual({"releasing"}, self.states()["glance"])
            database.change_publications(self.build, give_up_at=1.0)
            self.publish()
        self.assertEqual({"failed"}, self.states()["glance"])
        self.publish(self.web)
        fault = (self.now().fault or {})["targets"]["glance"]
        self.assertEqual("publish-timeout", fault["code"])
        # It had left staging, and nobody was told of it.
        self.assertEqual("project-1", self.fake.images[image_id]["owner"])
        sweeper.sweep(self.glance)
        self.assertEqual({}, self.fake.images)
        self.assertEqual({"published"}, self.states()["web"])


class LostTest(Case):
    """An image id that Glance has lost, and its successor."""

    roles = (("kernel", "vmlinuz"), ("ramdisk", "initramfs"), ("image", "raw"))
    wanted: Mapping[str, object] = {"formats": ["raw"]}

    def test_the_same_question_has_the_same_answer(self) -> None:
        first = self.grant("glance")
        self.assertEqual(first, self.grant("glance"))
        second = self.grant("glance", first[2])
        self.assertEqual(first[:2], second[:2])
        self.assertNotEqual(first[2], second[2])
        self.assertEqual(second, self.grant("glance", first[2]))

    def test_what_names_a_lost_one_goes_with_it(self) -> None:
        first = self.grant("glance")
        second = self.grant("glance", first[1])
        self.assertEqual(first[0], second[0])
        self.assertEqual(set(), set(first[1:]) & set(second[1:]))
        third = self.grant("glance", first[1], second[0])
        self.assertEqual(set(), set(third) & {*first, *second})

    def test_a_lost_one_is_never_released(self) -> None:
        first = self.grant("glance")
        second = self.grant("glance", *first)
        # It was not lost after all, and all of its bytes are there.
        for image_id in (*first, *second):
            self.fake.upload(image_id, BYTES)
        staging.uploaded(self.proof, "glance")
        staging.done(self.proof)
        sweeper.sweep(self.glance)
        self.assertEqual(set(second), set(self.fake.images))
        for image_id in first:
            self.fake.upload(image_id, BYTES)
        self.publish()
        self.assertEqual("complete", self.now().state)
        for image_id in first:
            self.assertTrue(self.fake.images[image_id]["os_hidden"])
            self.assertEqual("staging", self.fake.images[image_id]["owner"])
        shown = [row.image_id for row in history.publications(self.build.id)]
        self.assertEqual(second, shown)
        sweeper.sweep(self.glance)
        self.assertEqual(set(second), set(self.fake.images))

    def test_a_swept_one_does_not_come_back(self) -> None:
        first = self.grant("glance")
        second = self.grant("glance", *first)
        for image_id in first:
            self.fake.upload(image_id, BYTES)
        sweeper.sweep(self.glance)
        self.assertEqual(second, self.grant("glance", *first))

    def test_what_is_uploaded_cannot_be_lost_by_word(self) -> None:
        ids = self.upload("glance")
        self.assertRaises(exception.Conflict, self.grant, "glance", ids[2])
        self.assertEqual({"uploaded"}, self.states()["glance"])

    def test_another_s_image_is_not_for_it_to_give_up(self) -> None:
        self.grant("glance")
        self.assertRaises(exception.BadRequest, self.grant, "glance", "theirs")


class LinkedTest(Case):
    """Kernel, ramdisk and root are one thing."""

    roles = LostTest.roles
    wanted: Mapping[str, object] = {
        "formats": ["raw"],
        "visibility": "shared",
        "members": ["m" * 32, "baremetal"],
        "protected": True,
    }

    def uploaded(self) -> list[str]:
        ids = self.upload("glance")
        staging.done(self.proof)
        return ids

    def test_the_root_is_seen_last(self) -> None:
        ids = self.uploaded()
        self.publish()
        # All are theirs before the first is seen.
        self.assertEqual([*ids, *ids], self.fake.patches)

    def test_members_and_protection_are_for_all_of_them(self) -> None:
        for image_id in self.uploaded():
            self.publish()
            self.assertEqual(
                {"m" * 32: "pending", BARE_METAL: "accepted"},
                self.fake.members[image_id],
            )
            self.assertTrue(self.fake.images[image_id]["protected"])

    def test_a_cloud_that_does_not_let_us_accept_is_no_fault(self) -> None:
        self.uploaded()
        self.fake.faults = [("PUT", 403)] * 3
        self.publish()
        self.assertEqual("complete", self.now().state)
        self.assertIn("not accepted", self.log.output)

    def test_one_with_other_bytes_stops_all_of_them(self) -> None:
        ids = self.uploaded()
        self.fake.images[ids[1]]["os_hash_value"] = "0" * 128
        self.publish()
        self.assertEqual([], self.fake.patches)
        self.assertEqual({}, self.fake.images)
        self.assertEqual({"failed"}, self.states()["glance"])

    def test_one_that_cannot_be_shown_takes_all_of_them_back(self) -> None:
        ids = self.uploaded()
        real = glance.Glance.show

        def all_but_root(
            self: glance.Glance, image: target.Image, whom: target.Audience
        ) -> None:
            if image.id != ids[2]:
                real(self, image, whom)

        with mock.patch.object(glance.Glance, "show", all_but_root):
            self.publish()
            self.assertFalse(self.fake.images[ids[0]]["os_hidden"])
            self.assertEqual({"releasing"}, self.states()["glance"])
            database.change_publications(self.build, give_up_at=1.0)
            self.publish()
        # Protected as two of them were.
        self.assertEqual({}, self.fake.images)
        self.assertEqual({"failed"}, self.states()["glance"])
        self.assertEqual("failed", self.now().state)


class ElsewhereTest(Case):
    """Another cloud has its own rules."""

    wanted: Mapping[str, object] = {"visibility": "public"}

    def test_there_it_belongs_to_whom_the_operator_names(self) -> None:
        [image_id] = self.upload("glance")
        staging.done(self.proof)
        self.publish(
            self.fake.target(owner="theirs", visibility="shared", foreign=True)
        )
        self.assertEqual("complete", self.now().state)
        image = self.fake.images[image_id]
        self.assertEqual("theirs", image["owner"])
        self.assertEqual("shared", image["visibility"])

    def test_what_is_published_never_counts_as_staged(self) -> None:
        self.fake.upload("theirs-1", BYTES, owner="theirs")
        there = self.fake.target(
            owner="theirs", staging_project="theirs", foreign=True
        )
        error = self.assertRaises(target.Misconfigured, there.right)
        self.assertIn("upload_cloud", str(error))
        sweeper.sweep(there)
        self.assertIn("theirs-1", self.fake.images)
