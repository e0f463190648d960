"""The migrations end in the tables that the code expects."""

from alembic import autogenerate, migration
import fixtures
from oslo_config import fixture as config_fixture
from oslo_db import exception as db_exc
import sqlalchemy as sa
import testtools

from dib_service.conf import CONF
from dib_service.db import api as db
from dib_service.db import migrations, models
from tests import database


class MigrationTest(testtools.TestCase):
    """On SQLite; the functional tests repeat it elsewhere."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def test_the_tables_are_those_of_the_models(self) -> None:
        with db.reader() as connection:
            context = migration.MigrationContext.configure(connection)
            self.assertEqual(
                [], autogenerate.compare_metadata(context, models.METADATA)
            )

    def test_the_version_is_the_one_that_the_code_needs(self) -> None:
        self.assertEqual(migrations.head(), migrations.version())

    def test_a_second_time_changes_nothing(self) -> None:
        migrations.sync()
        self.assertEqual(migrations.head(), migrations.version())


class UpgradeTest(testtools.TestCase):
    """What an earlier version has stored is there afterwards."""

    def setUp(self) -> None:
        super().setUp()
        config = self.useFixture(config_fixture.Config(CONF)).config
        folder = self.useFixture(fixtures.TempDir()).path
        config(connection=f"sqlite:///{folder}/db", group="database")
        db.forget_engine()
        self.addCleanup(db.forget_engine)

    def test_what_was_published_were_images(self) -> None:
        migrations.sync("0001")
        self.write(
            "INSERT INTO artefacts VALUES ('b', 1, 'raw', 2, 3, 'a')",
            "INSERT INTO publications VALUES "
            "('i', 'b', 1, 'raw', 'glance', 'published', 4)",
        )
        migrations.sync()
        with db.reader() as connection:
            [artefact] = connection.execute(sa.select(models.ARTEFACTS))
            [image] = connection.execute(sa.select(models.PUBLICATIONS))
        self.assertEqual(("image", "raw"), (artefact.role, artefact.format))
        self.assertEqual(
            ("image", "published", 1, 0, False, None),
            (
                *(image.role, image.state, image.number),
                *(image.failures, image.swept, image.fault),
            ),
        )

    def test_what_was_on_its_way_is_given_up_some_day(self) -> None:
        migrations.sync("0001")
        self.write(
            "INSERT INTO publications VALUES "
            "('i', 'b', 1, 'raw', 'glance', 'releasing', 4)",
        )
        migrations.sync()
        with db.reader() as connection:
            [image] = connection.execute(sa.select(models.PUBLICATIONS))
        self.assertEqual(86404, image.give_up_at)

    def test_an_attempt_has_one_artefact_of_a_role_and_format(self) -> None:
        migrations.sync()
        row = "INSERT INTO artefacts VALUES ('b', 1, 'raw', 2, 3, 'a', '{}')"
        self.write(row.format("image"), row.format("kernel"))
        self.assertRaises(
            db_exc.DBDuplicateEntry, self.write, row.format("image")
        )

    def write(self, *statements: str) -> None:
        with db.writer() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
