"""What ``dib-status upgrade check`` finds."""

from oslo_upgradecheck.upgradecheck import Code
import sqlalchemy as sa
import testtools

from dib_service.cmd import status
from dib_service.db import api as db
from tests import database


class ChecksTest(testtools.TestCase):
    """A database of this version, with nothing in it."""

    def setUp(self) -> None:
        super().setUp()
        self.config = self.useFixture(database.Database()).config

    def found(self) -> dict[str, tuple[Code, str | None]]:
        checks = status.Checks()
        results = {
            name: check(checks) for name, check in checks._upgrade_checks
        }
        return {
            name: (result.code, result.details)
            for name, result in results.items()
        }

    def test_all_is_well(self) -> None:
        database.new_builder()
        self.assertEqual(
            {Code.SUCCESS}, {code for code, _ in self.found().values()}
        )

    def test_there_is_no_builder(self) -> None:
        code, details = self.found()["Builders"]
        self.assertEqual(Code.WARNING, code)
        self.assertIn("dib-manage builder enrol", details or "")

    def test_what_a_conductor_does_not_start_with(self) -> None:
        for names, said in (
            (["glance", "west"], "[publish:west] lacks cloud"),
            ([], "names no place"),
        ):
            self.config.config(targets=names, group="publish")
            code, details = self.found()["Targets"]
            self.assertEqual(Code.FAILURE, code)
            self.assertIn(said, details or "")

    def test_an_older_database_is_asked_nothing_else(self) -> None:
        with db.writer() as connection:
            connection.execute(
                sa.text("UPDATE alembic_version SET version_num = 'older'")
            )
            connection.execute(sa.text("DROP TABLE builders"))
        found = self.found()
        self.assertEqual(Code.FAILURE, found["Database"][0])
        self.assertIn("dib-manage db sync", found["Database"][1] or "")
        self.assertEqual(Code.SUCCESS, found["Builders"][0])
