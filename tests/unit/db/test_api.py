"""Writers wait for each other, and who lost a race tries again."""

import threading
import time

import fixtures
import sqlalchemy as sa
import testtools

from dib_service import exception
from dib_service.db import api as db
from dib_service.db import models
from tests import database


class WriteTest(testtools.TestCase):
    """Transactions on a SQLite file."""

    def setUp(self) -> None:
        super().setUp()
        self.database = self.useFixture(database.Database())
        self.useFixture(fixtures.FakeLogger())

    def test_a_lost_race_is_run_again_in_a_new_transaction(self) -> None:
        seen = []

        def work(connection: sa.Connection) -> str:
            seen.append(connection)
            if len(seen) < 3:
                raise exception.StateConflict("b", expected="queued")
            return "done"

        self.assertEqual("done", db.write(work))
        self.assertEqual(3, len({id(connection) for connection in seen}))

    def test_who_always_loses_is_told(self) -> None:
        def work(connection: sa.Connection) -> None:
            raise exception.StateConflict("b", expected="queued")

        self.assertRaises(exception.StateConflict, db.write, work)

    def test_readers_who_then_write_do_not_lock_each_other_out(self) -> None:
        build = database.new_build()
        column = models.BUILDS.c.attempts_counted

        def add(connection: sa.Connection) -> None:
            count = connection.scalar(sa.select(column).with_for_update())
            connection.execute(
                sa.update(models.BUILDS)
                .where(models.BUILDS.c.uuid == build.id)
                .values(attempts_counted=count + 1)
            )

        def add_many() -> None:
            for _ in range(10):
                db.write(add)

        threads = [threading.Thread(target=add_many) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with db.reader() as connection:
            self.assertEqual(60, connection.scalar(sa.select(column)))

    def test_the_clock_is_utc(self) -> None:
        self.assertAlmostEqual(time.time(), db.clock(), delta=60.0)

    def test_a_database_that_does_not_answer_is_unavailable(self) -> None:
        # A folder cannot be opened as a file.
        self.database.config.config(
            connection="sqlite:////tmp", group="database"
        )
        db.forget_engine()
        for ask in (db.clock, lambda: db.write(lambda connection: None)):
            with self.assertRaises(exception.Unavailable):
                ask()
