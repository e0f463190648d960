"""What unit tests show on SQLite is so on PostgreSQL."""

import functools
import unittest
from unittest import mock

from tests import database, lab
from tests.unit.conductor import test_publisher, test_sweeper, test_targets
from tests.unit.db import test_api, test_migrations
from tests.unit.objects import (
    test_build,
    test_builder,
    test_element,
    test_lease,
    test_log,
    test_queue,
)


@functools.cache
def url() -> str:
    """One database for all of these tests: each one empties it."""
    return lab.postgresql().database("unit-tests")


class OnPostgreSQL(unittest.TestCase):
    """For the tests that are the other base of a class."""

    def setUp(self) -> None:
        patch = mock.patch.object(database, "URL", url())
        patch.start()
        self.addCleanup(patch.stop)
        super().setUp()


class MigrationTest(OnPostgreSQL, test_migrations.MigrationTest):
    """See the base class."""


class WriteTest(OnPostgreSQL, test_api.WriteTest):
    """See the base class."""


class BuildTest(OnPostgreSQL, test_build.BuildTest):
    """See the base class."""


class BuilderTest(OnPostgreSQL, test_builder.BuilderTest):
    """See the base class."""


class ElementTest(OnPostgreSQL, test_element.ElementTest):
    """See the base class."""


class LogTest(OnPostgreSQL, test_log.LogTest):
    """See the base class."""


class LeaseTest(OnPostgreSQL, test_lease.LeaseTest):
    """See the base class."""


class RaceTest(OnPostgreSQL, test_lease.RaceTest):
    """See the base class."""


class QueueTest(OnPostgreSQL, test_queue.QueueTest):
    """See the base class."""


class PublisherTest(OnPostgreSQL, test_publisher.PublisherTest):
    """See the base class."""


class SweeperTest(OnPostgreSQL, test_sweeper.SweeperTest):
    """See the base class."""


class TargetsTest(OnPostgreSQL, test_targets.TargetsTest):
    """See the base class."""


class LostTest(OnPostgreSQL, test_targets.LostTest):
    """See the base class."""


del OnPostgreSQL
