"""Every option that a configuration of ours may have, whoever reads it."""

from collections.abc import Iterator
import configparser
import functools
import importlib.metadata
import pathlib

from oslo_config import cfg

ROOT = pathlib.Path(__file__).resolve().parents[1]
GENERATOR = ROOT / "etc/dib-service/config-generator.conf"


def written(text: str) -> Iterator[tuple[str, str, str]]:
    """Group, name and value of each option in a configuration."""
    parser = configparser.ConfigParser(
        interpolation=None, default_section="none", strict=False
    )
    parser.read_string(text)
    for group in parser.sections():
        for name, value in parser.items(group):
            yield group, name, value


def known(group: str, name: str) -> cfg.Opt:
    """The option of that name.

    :raises KeyError: there is none.
    """
    return _all()[group.lower(), name.replace("-", "_")]


@functools.cache
def _all() -> dict[tuple[str, str], cfg.Opt]:
    """As oslo-config-generator finds them: by the namespaces of its file."""
    namespaces = [
        line.split("=")[1].strip()
        for line in GENERATOR.read_text().splitlines()
        if line.startswith("namespace")
    ]
    found = {}
    for entry in importlib.metadata.entry_points(group="oslo.config.opts"):
        if entry.name in namespaces:
            for group, options in entry.load()():
                title = getattr(group, "name", group) or "DEFAULT"
                for option in options:
                    found[title.lower(), option.dest] = option
    # keystoneauth's, which the middleware loads when it is told a plugin.
    for option in _password():
        found["keystone_authtoken", option.dest] = option
    return found


def _password() -> list[cfg.Opt]:
    from keystoneauth1 import loading

    return [
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options("password"),
    ]
