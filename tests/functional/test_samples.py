"""The samples that an operator starts from, made as packagers make them."""

import pathlib

import fixtures
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator
import testtools

from dib_service import conf, policies

ETC = pathlib.Path(__file__).resolve().parents[2] / "etc" / "dib-service"


class SamplesTest(testtools.TestCase):
    """Needs the checkout to be installed: entry points lead to the rest."""

    def setUp(self) -> None:
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.sample = pathlib.Path(folder, "sample")

    def test_configuration(self) -> None:
        config_generator.main(
            [
                f"--config-file={ETC / 'config-generator.conf'}",
                f"--output-file={self.sample}",
            ]
        )
        lines = self.sample.read_text().splitlines()
        for module in conf.MODULES:
            for group, options in module.list_opts():
                self.assertIn(f"[{group}]", lines)
                for option in options:
                    self.assertTrue(
                        any(
                            line.startswith(f"#{option.dest} =")
                            for line in lines
                        ),
                        option.dest,
                    )
        for group in (
            "keystone_authtoken",
            "database",
            "oslo_messaging_rabbit",
            "oslo_policy",
            "oslo_middleware",
            "cors",
            "healthcheck",
        ):
            self.assertIn(f"[{group}]", lines)
        self.assertNotIn(str(pathlib.Path.home()), self.sample.read_text())

    def test_policy(self) -> None:
        policy_generator.generate_sample(
            [
                f"--config-file={ETC / 'policy-generator.conf'}",
                f"--output-file={self.sample}",
            ],
            conf=cfg.ConfigOpts(),
        )
        lines = self.sample.read_text().splitlines()
        for rule in policies.list_rules():
            self.assertIn(f'#"{rule.name}": "{rule.check_str}"', lines)
