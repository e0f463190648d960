"""How tempest finds the tests, their options and their clients."""

import pathlib
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.test_discover import plugins

from dib_service.tempest_plugin import config as our_config

HERE = pathlib.Path(__file__).resolve().parent


class ImageBuildPlugin(plugins.TempestPlugin):
    """The entry point ``dib_service`` of ``tempest.test_plugins``."""

    def load_tests(self) -> tuple[str, str]:
        """The folder of the tests, and the one that their names begin in."""
        return str(HERE / "tests"), str(HERE.parents[1])

    def register_opts(self, conf: cfg.ConfigOpts) -> None:
        """Make our options readable."""
        conf.register_opt(our_config.service_option, group="service_available")
        for group, options in _groups():
            conf.register_group(group)
            conf.register_opts(options, group)

    def get_opt_lists(self) -> list[tuple[str, list[cfg.Opt]]]:
        """The same, for the sample of ``tempest.conf``."""
        return [
            ("service_available", [our_config.service_option]),
            *((group.name, options) for group, options in _groups()),
        ]

    def get_service_clients(self) -> list[dict[str, Any]]:
        """What each user of a test has as ``image_build_v1``."""
        return [
            {
                "name": "image_build_v1",
                "service_version": "image_build.v1",
                "module_path": "dib_service.tempest_plugin.services.v1",
                "client_names": ["BuildsClient", "ElementsClient"],
                **config.service_client_config("image_build"),
            }
        ]


def _groups() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    return [
        (our_config.image_build_group, our_config.IMAGE_BUILD_OPTIONS),
        (our_config.feature_group, our_config.FEATURE_OPTIONS),
    ]
