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
