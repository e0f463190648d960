"""What the service refuses, and to whom it says nothing."""

from tempest import config
from tempest.lib import decorators, exceptions
from tempest.lib.common.utils import data_utils

from dib_service.tempest_plugin.tests import base

CONF = config.CONF


class RefusedBuildsTest(base.BaseImageBuildTest):
    """Requests that cannot become an image are refused at once."""

    @decorators.attr(type=["negative", "smoke"])
    @decorators.idempotent_id("ab150e46-5592-4f76-9e43-66192ba670fe")
    def test_an_unknown_element(self) -> None:
        """400, and the answer names it."""
        name = "no-such-element-of-tempest"
        elements = [*CONF.image_build.elements, name]
        refusal = self.assertRaises(
            exceptions.BadRequest,
            self.builds.create_build,
            **self.wanted(elements=elements),
        )
        self.assertIn(name, str(refusal))

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("238f9284-ea4a-4144-b174-f8203791a8c3")
    def test_no_element_at_all(self) -> None:
        """400 for an image of nothing."""
        self.assertRaises(
            exceptions.BadRequest,
            self.builds.create_build,
            **self.wanted(elements=[]),
        )

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("ed4b69d2-9b0c-402b-ab75-6833db07342a")
    def test_a_field_that_there_is_not(self) -> None:
        """400 and not overlooked."""
        self.assertRaises(
            exceptions.BadRequest,
            self.builds.create_build,
            **self.wanted(colour="blue"),
        )

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("d070ce40-6026-4a23-bdd1-85dae7ec6f18")
    def test_a_public_image(self) -> None:
        """403: the conductor could make it so, the asker may not."""
        self.assertRaises(
            exceptions.Forbidden,
            self.builds.create_build,
            **self.wanted(image={"visibility": "public"}),
        )

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("2f03b2b8-d985-475b-84fc-e8698a678776")
    def test_a_plan_makes_nothing(self) -> None:
        """With dry_run the list is as it was."""
        wanted = self.wanted()
        plan = self.builds.plan_build(**wanted)["plan"]
        names = [row["name"] for row in plan["elements"]]
        self.assertLessEqual(set(CONF.image_build.elements), set(names))
        rows = self.builds.list_builds(name=wanted["name"])["builds"]
        self.assertEqual([], rows)

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("5f2ca267-9a62-49f2-a3f0-d3306a1b791f")
    def test_a_build_that_there_is_not(self) -> None:
        """404 whatever is asked of it."""
        unknown = data_utils.rand_uuid()
        for call in (
            self.builds.show_build,
            self.builds.cancel_build,
            self.builds.delete_build,
            self.builds.list_events,
            self.builds.read_log,
        ):
            self.assertRaises(exceptions.NotFound, call, unknown)


class OthersBuildsTest(base.BaseImageBuildTest):
    """A build and its image are the project's that asked."""

    credentials = ("primary", "alt")

    @classmethod
    def setup_clients(cls) -> None:
        super().setup_clients()
        cls.others = cls.os_alt.image_build_v1.BuildsClient()

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("cb90ebb4-5cd1-4479-888f-bc3770afe032")
    def test_another_project_does_not_know_of_it(self) -> None:
        """404, and not in the list."""
        build_id = self.create_build()["id"]
        for call in (
            self.others.show_build,
            self.others.cancel_build,
            self.others.delete_build,
            self.others.list_events,
            self.others.read_log,
        ):
            self.assertRaises(exceptions.NotFound, call, build_id)
        rows = self.others.list_builds()["builds"]
        self.assertNotIn(build_id, [row["id"] for row in rows])


class ConflictingBuildsTest(base.BaseImageBuildTest):
    """What a build that there is does not allow."""

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("0ba56c46-f867-4dc7-95a2-1fe49aa71409")
    def test_asked_for_twice_there_is_one(self) -> None:
        """409 for an id that is taken, to whoever repeats it."""
        wanted = self.wanted(id=data_utils.rand_uuid())
        build = self.create_build(**wanted)
        self.assertEqual(wanted["id"], build["id"])
        self.assertRaises(
            exceptions.Conflict, self.builds.create_build, **wanted
        )

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("1fced106-2111-4793-adbf-93663ae3fc2c")
    def test_one_that_runs_cannot_be_forgotten(self) -> None:
        """409 until it has ended."""
        build_id = self.create_build()["id"]
        self.assertRaises(
            exceptions.Conflict, self.builds.delete_build, build_id
        )
