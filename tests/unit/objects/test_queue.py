"""Who is offered what waits."""

import uuid

import testtools

from dib_service.db import api as db
from dib_service.objects import queue
from tests import database


class QueueTest(testtools.TestCase):
    """One builder, one build."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        self.builder, _ = database.new_builder()
        self.build = database.new_build()

    def test_only_who_holds_all_pinned_elements_gets_it(self) -> None:
        for held in (
            {},
            {"base": "d-base"},
            {"base": "d-base", "debian": "another"},
            # Another element of the same tree is another element.
            {"base": "d-base", "other": "d-debian"},
        ):
            other, _ = database.new_builder(str(uuid.uuid4()), elements=held)
            self.assertEqual(
                [], queue.candidates(other.id, ["x86_64"], limit=50)
            )

    def test_another_architecture_is_no_candidate(self) -> None:
        self.assertEqual(
            [], queue.candidates(self.builder.id, ["aarch64"], limit=50)
        )

    def test_what_is_not_due_is_no_candidate(self) -> None:
        database.change_build(self.build, not_before=db.now() + 60)
        self.assertEqual(
            [], queue.candidates(self.builder.id, ["x86_64"], limit=50)
        )
        self.assertEqual(0, queue.waiting())

    def test_nobody_is_out_of_sight_behind_another_s_hundred(self) -> None:
        for _ in range(5):
            database.new_build()
        others = [
            database.new_build(project)
            for project in ("project-2", "project-3", "project-2")
        ]
        found = queue.candidates(self.builder.id, ["x86_64"], limit=3)
        self.assertEqual(
            [*["project-1"] * 3, "project-2", "project-3"],
            [candidate.project_id for candidate in found],
        )
        self.assertEqual(self.build.id, found[0].build_id)
        self.assertEqual(
            [build.id for build in others[:2]],
            [candidate.build_id for candidate in found[3:]],
        )

    def test_one_that_cannot_be_built_here_hides_no_other(self) -> None:
        for _ in range(3):
            database.new_build()
        database.new_build("project-2", architecture="aarch64")
        fits = database.new_build("project-2")
        found = queue.candidates(self.builder.id, ["x86_64"], limit=2)
        self.assertEqual(fits.id, found[-1].build_id)
