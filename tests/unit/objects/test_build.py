"""What may happen to a build before and after somebody holds it."""

import testtools

from dib_service import exception
from dib_service.db import api as db
from dib_service.objects import build as builds
from dib_service.objects.build import Build
from tests import database


class BuildTest(testtools.TestCase):
    """Rows of builds."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def test_what_was_asked_for_comes_back(self) -> None:
        made = Build.create(
            database.asker(),
            database.wanted(disk_size=2**31, properties={"a": "b"}),
            {"debian": "d1"},
            name="x",
        )
        self.assertEqual(made, Build.get(made.id))
        self.assertEqual("queued", made.state)
        self.assertEqual(2**31, made.wanted.disk_size)
        self.assertIsNone(made.fault)

    def test_all_that_may_be_asked_for_comes_back(self) -> None:
        wanted = database.wanted(
            boot_test=False,
            members=["baremetal"],
            protected=True,
            tags=["a"],
            traits=["CUSTOM_A"],
            targets=["glance", "region-2"],
        )
        made = Build.create(database.asker(), wanted, {}, name="x")
        self.assertEqual(wanted, Build.get(made.id).wanted)

    def test_what_was_stored_before_there_were_all_fields(self) -> None:
        old = database.wanted()
        self.assertTrue(old.boot_test)
        self.assertEqual(("glance",), old.targets)
        self.assertEqual(
            ((), False, ()), (old.tags, old.protected, old.traits)
        )

    def test_an_id_names_one_build_for_ever(self) -> None:
        first = database.new_build()
        self.assertRaises(
            exception.BuildExists,
            Build.create,
            database.asker("project-2"),
            database.wanted(),
            {},
            name="x",
            build_id=first.id,
        )

    def test_another_projects_build_is_not_found(self) -> None:
        build = database.new_build("project-1")
        self.assertEqual(build, Build.get(build.id, project_id="project-1"))
        self.assertRaises(
            exception.NotFound, Build.get, build.id, project_id="project-2"
        )

    def test_pages_are_newest_first(self) -> None:
        made = [database.new_build() for _ in range(3)]
        database.new_build("project-2")
        first = Build.list(project_id="project-1", limit=2)
        self.assertEqual([made[2], made[1]], first)
        rest = Build.list(project_id="project-1", limit=2, marker=first[-1].id)
        self.assertEqual([made[0]], rest)

    def test_a_marker_of_another_project_is_not_found(self) -> None:
        other = database.new_build("project-2")
        self.assertRaises(
            exception.NotFound,
            Build.list,
            project_id="project-1",
            limit=1,
            marker=other.id,
        )

    def test_cancelling_what_nobody_holds_ends_it(self) -> None:
        build = database.new_build().request_cancel()
        self.assertEqual("cancelled", build.state)
        self.assertIsNotNone(build.ended_at)
        self.assertEqual("cancelled", build.request_cancel().state)

    def test_cancelling_what_is_held_asks_the_holder(self) -> None:
        build = database.new_build()
        database.change_build(build, state="building", lease_expires_at=1e12)
        asked = build.request_cancel()
        self.assertEqual("building", asked.state)
        self.assertTrue(asked.cancel_requested)

    def test_what_is_being_released_cannot_be_cancelled(self) -> None:
        build = database.new_build()
        database.change_build(build, state="publishing", release_decided=True)
        self.assertRaises(exception.Conflict, build.request_cancel)

    def test_a_move_that_somebody_else_made_is_lost(self) -> None:
        build = database.new_build()
        for state, epoch in (("building", 0), ("queued", 1)):
            with db.writer() as connection:
                self.assertRaises(
                    exception.StateConflict,
                    builds.move,
                    connection,
                    build.id,
                    epoch,
                    state,
                    "failed",
                )
        self.assertEqual("queued", Build.get(build.id).state)

    def test_after_the_decision_there_is_no_way_back(self) -> None:
        build = database.new_build()
        database.change_build(build, state="publishing", release_decided=True)
        with db.writer() as connection:
            for after in ("cancelled", "queued", "building"):
                self.assertRaises(
                    exception.StateConflict,
                    builds.move,
                    connection,
                    build.id,
                    0,
                    "publishing",
                    after,
                )
            builds.move(connection, build.id, 0, "publishing", "complete")

    def test_only_an_ended_build_is_deleted(self) -> None:
        build = database.new_build()
        self.assertRaises(exception.Conflict, build.delete)
        build.request_cancel().delete()
        self.assertRaises(exception.NotFound, Build.get, build.id)

    def test_purge_takes_what_ended_long_ago(self) -> None:
        old, new, running = (database.new_build() for _ in range(3))
        old.request_cancel()
        new.request_cancel()
        database.change_build(old, ended_at=db.now() - 100)
        self.assertEqual(1, builds.purge(50))
        self.assertRaises(exception.NotFound, Build.get, old.id)
        Build.get(new.id)
        Build.get(running.id)
