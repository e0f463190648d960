"""Builders are enrolled, and prove who they are."""

import testtools

from dib_service import exception
from dib_service.db import api as db
from dib_service.objects.builder import Builder
from tests import database


class BuilderTest(testtools.TestCase):
    """Rows of builders."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def test_a_name_is_given_once(self) -> None:
        Builder.enrol("a")
        self.assertRaises(exception.Conflict, Builder.enrol, "a")

    def test_the_secret_proves_and_is_not_stored(self) -> None:
        builder, secret = Builder.enrol("a")
        self.assertEqual(
            builder.id, Builder.authenticated(builder.id, secret).id
        )
        for builder_id, guess in (
            (builder.id, "x"),
            (builder.id, ""),
            ("nobody", secret),
            ("nobody", ""),
        ):
            self.assertRaises(
                exception.Unauthorized,
                Builder.authenticated,
                builder_id,
                guess,
            )
        with db.reader() as connection:
            row = connection.exec_driver_sql("SELECT * FROM builders").one()
        self.assertNotIn(secret, [str(value) for value in row])

    def test_who_has_called_is_alive(self) -> None:
        builder, _ = Builder.enrol("a")
        self.assertFalse(builder.alive)
        builder.seen()
        self.assertTrue(Builder.get("a").alive)

    def test_pages_are_by_name(self) -> None:
        for name in ("c", "a", "b"):
            Builder.enrol(name)
        first = Builder.list(limit=2)
        self.assertEqual(["a", "b"], [one.name for one in first])
        rest = Builder.list(limit=2, marker=first[-1].id)
        self.assertEqual(["c"], [one.name for one in rest])

    def test_a_removed_builder_proves_nothing(self) -> None:
        builder, secret = database.new_builder()
        builder.remove()
        self.assertRaises(
            exception.Unauthorized, Builder.authenticated, builder.id, secret
        )
        self.assertRaises(exception.NotFound, Builder.get, builder.name)

    def test_what_it_holds_is_running(self) -> None:
        builder, secret = database.new_builder()
        self.assertEqual([builder.id], [one.id for one in Builder.idle()])
        by = database.holder(builder, secret)
        database.claimed(database.new_build(), by)
        self.assertEqual(1, Builder.get(builder.id).running)
        self.assertEqual([], Builder.idle())
