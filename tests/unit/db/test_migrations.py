"""The migrations end in the tables that the code expects."""

from alembic import autogenerate, migration
import testtools

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
