"""The plugin among the openstack command's other commands and options."""

import argparse
import configparser
import importlib
from importlib import metadata
import pathlib
import re
import types
import unittest

from osc_lib import exceptions

from dib_service.client import plugin, sdk

ROOT = pathlib.Path(__file__).parents[3]


def ours() -> dict[str, str]:
    """Our commands as setup.cfg declares them."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["entry_points"]["openstack.image_build.v1"].split("\n")
    pairs = [line.split("=") for line in lines if line]
    return {name.strip(): value.strip() for name, value in pairs}


class TestPlugin(unittest.TestCase):
    def test_no_command_hides_one_of_openstackclient(self):
        theirs = {
            entry.name
            for entry in metadata.distribution(
                "python-openstackclient"
            ).entry_points
            if re.fullmatch(r"openstack\.\w+(\.v\w+)?", entry.group)
            and entry.group != "openstack.cli.base"
        }
        self.assertIn("image_create", theirs)
        for command in ours():
            # Neither may be the beginning of the other: the words that
            # follow a command are its arguments.
            for other in theirs:
                longer, shorter = f"{command}_", f"{other}_"
                self.assertFalse(longer.startswith(shorter), other)
                self.assertFalse(shorter.startswith(longer), other)

    def test_every_command_is_there_and_says_what_it_does(self):
        self.assertEqual(11, len(ours()))
        for value in ours().values():
            module, name = value.split(":")
            command = getattr(importlib.import_module(module), name)
            app = types.SimpleNamespace(
                command_manager=types.SimpleNamespace(namespace=None)
            )
            help_text = command(app, None).get_parser(name).format_help()
            first = command.__doc__.splitlines()[0]
            self.assertIn(first, " ".join(help_text.split()))
            self.assertTrue(first.endswith("."), first)

    def test_a_major_version_lets_client_and_service_agree(self):
        config = types.SimpleNamespace(config={})
        plugin._choose_version(config, "1")
        self.assertEqual({"image_build_api_version": "1"}, config.config)

    def test_a_minor_version_is_the_microversion_of_every_request(self):
        config = types.SimpleNamespace(config={})
        plugin._choose_version(config, "1.7")
        self.assertEqual(
            {
                "image_build_api_version": "1",
                "image_build_default_microversion": "1.7",
            },
            config.config,
        )

    def test_other_versions_are_refused(self):
        self.assertTrue(plugin.check_api_version("1"))
        self.assertTrue(plugin.check_api_version("1.12"))
        for version in ("2", "1.", "1.x", "v1", "latest"):
            with self.assertRaises(exceptions.CommandError):
                plugin.check_api_version(version)

    def test_the_option_has_a_help_text(self):
        parser = plugin.build_option_parser(argparse.ArgumentParser())
        self.assertIn("--os-image-build-api-version", parser.format_help())

    def test_the_proxy_is_found_by_the_service_type(self):
        self.assertEqual("image-build", sdk.service().service_type)
