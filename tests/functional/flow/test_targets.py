"""A build's way into two targets, with trouble in one of them."""

from dib_service.conductor import rpcapi
from dib_service.conf import publish
from dib_service.objects import history
from dib_service.objects.build import Build
from tests import database
from tests.functional.flow import base


class TargetsTest(base.FlowTest):
    """Glance, and a directory beside it."""

    def configure(self):
        super().configure()
        self.config.config(group="publish", targets=["glance", "web"])
        # What a file would say of a section that nobody knows beforehand.
        conf = self.config.conf
        conf.register_opts(publish.TARGET_OPTS, group="publish:web")
        for name, value in (
            ("kind", "directory"),
            ("path", str(self.state / "web")),
        ):
            conf.set_override(name, value, group="publish:web")
            self.addCleanup(conf.clear_override, name, group="publish:web")
        self.config.config(group="builder", upload_timeout=1.0)

    def ask_for(self, *targets):
        """A build for these."""
        wanted = database.wanted(targets=targets, environment={})
        build = Build.create(
            database.asker(), wanted, base.ELEMENTS, name="debian"
        )
        rpcapi.ring()
        return build

    def published(self, build):
        """The states by target."""
        return {
            row.target: row.state for row in history.publications(build.id)
        }

    def test_it_comes_to_both(self):
        build = self.wait_for(self.ask_for("glance", "web"), "complete")
        self.assertEqual(
            {"glance": "published", "web": "published"}, self.published(build)
        )
        (web,) = [
            row
            for row in history.publications(build.id)
            if row.target == "web"
        ]
        place = self.state / "web" / "images" / web.image_id
        self.assertEqual(f"{place}/debian.qcow2", web.location)
        self.assertTrue((place / "SHA512SUMS").exists())
        self.assertEqual([], [*(self.state / "web" / "staging").iterdir()])
        self.assert_nothing_left(images=1)

    def test_a_dead_one_is_the_fault_of_the_build_and_of_no_other(self):
        self.glance.faults.extend([("POST", 503)] * 10000)
        build = self.wait_for(self.ask_for("glance", "web"), "failed")
        self.assertEqual(["glance"], list(build.fault["targets"]))
        self.assertIn("503", build.fault["message"])
        self.assertEqual(
            {"glance": "failed", "web": "published"}, self.published(build)
        )
        self.assertIn("*** FAILED: upload to glance", self.log_of(build))
        self.assert_nothing_left()

    def test_one_that_is_not_configured_is_named(self):
        build = self.wait_for(self.ask_for("glance", "moon"), "failed")
        self.assertEqual(["moon"], list(build.fault["targets"]))
        self.assert_nothing_left(images=1)
