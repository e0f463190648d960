"""The rules hang together; the role matrix shows what they allow."""

import pathlib

import fixtures
from oslo_config import fixture as config_fixture
from oslo_policy import opts
import testtools

from dib_service import conf, context, exception, policies
from dib_service.policies import build


class PoliciesTest(testtools.TestCase):
    """Rules, and a file of the operator's."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.config = self.useFixture(config_fixture.Config(conf.CONF))
        conf.CONF([], default_config_files=[], default_config_dirs=[])
        # Registers the options of oslo.policy.
        opts.set_defaults(conf.CONF)
        self.config.config(
            group="oslo_policy", policy_file=str(self.folder / "policy.yaml")
        )
        policies.reset()
        self.addCleanup(policies.reset)

    def test_every_rule_is_documented_and_named_once(self) -> None:
        rules = policies.list_rules()
        self.assertEqual(len(rules), len({rule.name for rule in rules}))
        for rule in rules:
            self.assertTrue(rule.description, rule.name)
            if ":" in rule.name:
                self.assertEqual(["project"], rule.scope_types, rule.name)

    def test_a_refusal_names_the_rule(self) -> None:
        error = self.assertRaises(
            exception.Forbidden,
            policies.authorize,
            self.asker("reader"),
            build.CREATE,
        )
        self.assertEqual("build:create", error.facts["rule"])

    def test_a_role_counts_in_its_project_only(self) -> None:
        asker = self.asker("reader")
        self.assertTrue(policies.allowed(asker, build.GET))
        for project_id in ("theirs", None, ""):
            self.assertFalse(
                policies.allowed(asker, build.GET, {"project_id": project_id}),
                project_id,
            )

    def test_who_has_no_project_may_nothing(self) -> None:
        asker = context.RequestContext(user_id="me", roles=["reader"])
        for project_id in ("theirs", None, "None", ""):
            self.assertFalse(
                policies.allowed(asker, build.GET, {"project_id": project_id}),
                project_id,
            )

    def test_the_operator_may_say_otherwise(self) -> None:
        (self.folder / "policy.yaml").write_text(
            '"build:create:public": "role:artist"\n'
        )
        self.assertTrue(
            policies.allowed(self.asker("artist"), build.CREATE_PUBLIC)
        )
        self.assertFalse(
            policies.allowed(self.asker("admin"), build.CREATE_PUBLIC)
        )

    def asker(self, *roles: str) -> context.RequestContext:
        """Somebody of project mine."""
        return context.RequestContext(
            user_id="me", project_id="mine", roles=list(roles)
        )
