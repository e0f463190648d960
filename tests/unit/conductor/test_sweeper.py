"""The sweeper asks the rows first, and finds images by owner only."""

import fixtures
import testtools

from dib_service.conductor import sweeper
from dib_service.db import api as db
from dib_service.objects import history, lease, release, staging
from dib_service.objects.build import Build
from tests import database, fake_glance

FAULT = {"code": "x", "message": "x"}


class SweeperTest(testtools.TestCase):
    """A granted upload, and what may become of it."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        self.log = self.useFixture(fixtures.FakeLogger())
        self.fake = self.useFixture(fake_glance.FakeGlance())
        self.build = database.new_build()
        self.by = database.holder(*database.new_builder())
        self.proof = database.claimed(self.build, self.by)
        self.image_id = self.grant(self.proof)

    def grant(self, proof: lease.Proof) -> str:
        build = staging.grant(
            proof,
            [history.Artefact(proof.epoch, "raw", 1, 1, "a" * 128)],
            target="glance",
        )
        [staged] = release.images(build, "glance")
        return staged.image_id

    def uploaded(self) -> None:
        staging.uploaded(self.proof, "glance")
        staging.done(self.proof)

    def sweep(self, project: str | None = "staging") -> set[str]:
        """The images that are left."""
        sweeper.sweep(self.fake.target(staging_project=project))
        return set(self.fake.images)

    def test_a_live_upload_stays(self) -> None:
        self.fake.upload(self.image_id, b"x")
        self.assertEqual({self.image_id}, self.sweep())
        self.uploaded()
        self.assertEqual({self.image_id}, self.sweep())

    def test_a_failed_builds_image_goes(self) -> None:
        for project in ("staging", None):
            self.fake.upload(self.image_id, b"x")
            lease.fail(self.proof, FAULT, retry=False)
            self.assertEqual(set(), self.sweep(project))
            self.assertEqual([], staging.abandoned("glance", 10))
            self.proof = database.claimed(database.new_build(), self.by)
            self.image_id = self.grant(self.proof)

    def test_an_earlier_attempts_image_goes_and_the_live_one_stays(
        self,
    ) -> None:
        self.fake.upload(self.image_id, b"x")
        lease.fail(self.proof, FAULT, retry=True)
        database.change_build(self.build, not_before=0)
        again = self.grant(database.claimed(self.build, self.by))
        self.fake.upload(again, b"x")
        self.assertEqual({again}, self.sweep())

    def test_an_upload_that_comes_late_goes(self) -> None:
        lease.fail(self.proof, FAULT, retry=False)
        self.sweep(None)
        self.fake.upload(self.image_id, b"x")
        self.assertEqual(set(), self.sweep(None))

    def test_nobody_waits_for_it_for_ever(self) -> None:
        lease.fail(self.proof, FAULT, retry=False)
        self.sweep(None)
        self.assertEqual(1, len(staging.abandoned("glance", 10)))
        with db.writer() as connection:
            connection.exec_driver_sql("UPDATE publications SET updated_at=1")
        self.sweep(None)
        self.assertEqual([], staging.abandoned("glance", 10))

    def test_a_deleted_builds_image_goes_with_its_row(self) -> None:
        self.fake.upload(self.image_id, b"x")
        lease.fail(self.proof, FAULT, retry=False)
        Build.get(self.build.id).delete()
        self.assertEqual(set(), self.sweep(None))
        with db.reader() as connection:
            self.assertEqual(
                0,
                connection.exec_driver_sql(
                    "SELECT count(*) FROM publications"
                ).scalar_one(),
            )

    def test_a_forgotten_builds_image_is_not_another_s_to_lose(self) -> None:
        self.uploaded()
        build = Build.get(self.build.id)
        release.decide(build, "glance")
        release.finish(build, "glance")
        self.fake.upload(self.image_id, b"x", owner=build.project_id)
        build.delete()
        again = Build.create(
            database.asker("project-2"),
            database.wanted(),
            database.ELEMENTS,
            name="mine",
            build_id=build.id,
        )
        proof = database.claimed(again, self.by)
        self.assertNotEqual(self.image_id, self.grant(proof))
        lease.fail(proof, FAULT, retry=False)
        self.assertEqual({self.image_id}, self.sweep())

    def test_what_is_left_of_a_forgotten_build_is_in_nobodys_way(self) -> None:
        lease.fail(self.proof, FAULT, retry=False)
        self.build.delete()
        again = Build.create(
            database.asker(),
            database.wanted(),
            database.ELEMENTS,
            name="again",
            build_id=self.build.id,
        )
        image_id = self.grant(database.claimed(again, self.by))
        for upload in (self.image_id, image_id):
            self.fake.upload(upload, b"x")
        self.assertEqual({image_id}, self.sweep())

    def test_an_image_that_has_left_staging_is_nobodys_to_delete(self) -> None:
        self.fake.upload(self.image_id, b"x", owner="project-1")
        lease.fail(self.proof, FAULT, retry=False)
        self.assertEqual({self.image_id}, self.sweep())
        self.assertEqual([], staging.abandoned("glance", 10))

    def test_what_no_row_knows_goes_from_staging_only(self) -> None:
        for number in range(5):
            self.fake.upload(f"stray-{number}", b"x")
        self.fake.images["stray-4"]["os_hidden"] = False
        self.fake.upload("tenants", b"x", owner="project-1")
        # A tenant can write what we write, and cannot have it deleted so.
        self.fake.images["tenants"]["dib_build_id"] = self.build.id
        self.assertEqual({"tenants"}, self.sweep())

    def test_a_glance_that_answers_too_much_costs_nobody_an_image(
        self,
    ) -> None:
        self.fake.filters_by_owner = False
        self.fake.upload("stray", b"x")
        self.fake.upload("tenants", b"x", owner="project-1")
        self.assertEqual({"tenants"}, self.sweep())

    def test_one_that_cannot_be_deleted_does_not_hold_up_others(self) -> None:
        for number in range(3):
            self.fake.upload(f"stray-{number}", b"x")
        self.fake.faults = [("DELETE", 409)]
        self.assertEqual({"stray-0"}, self.sweep())
        self.assertEqual(set(), self.sweep())

    def test_a_target_that_is_down_is_swept_later(self) -> None:
        self.fake.upload("stray", b"x")
        self.fake.faults = [("GET", None)]
        self.assertEqual({"stray"}, self.sweep())
        self.assertIn("staging of glance: not swept", self.log.output)
        self.assertEqual(set(), self.sweep())
