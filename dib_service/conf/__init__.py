"""The options of the service: one file for each noun.

Each module has a ``GROUP``, its ``OPTS``, ``register_opts(conf)`` and
``list_opts()``.
"""

from collections.abc import Sequence
from importlib import metadata
import os
import pathlib

from oslo_config import cfg
from oslo_log import log

from dib_service.conf import (
    api,
    builder,
    conductor,
    database,
    glance,
    messaging,
    publish,
)

PROJECT = "dib-service"

# The folder that holds dib-service.conf, for processes whose arguments are
# not ours: a WSGI server's.
CONFIG_DIR_VARIABLE = "OS_DIB_SERVICE_CONFIG_DIR"

# oslo.messaging registers some of its groups on the global object only.
CONF = cfg.CONF

MODULES = (
    api,
    builder,
    conductor,
    database,
    glance,
    messaging,
    publish,
)

for module in MODULES:
    module.register_opts(CONF)


def load(
    arguments: Sequence[str] = (), *, prog: str | None = None
) -> cfg.ConfigOpts:
    """The options, read from ``arguments`` and the files; logging is set up.

    :raises SystemExit: from ``--help``, ``--version`` and bad arguments.
    """
    log.register_options(CONF)
    read(arguments, prog=prog)
    log.setup(CONF, PROJECT)
    return CONF


def read(arguments: Sequence[str] = (), *, prog: str | None = None) -> None:
    """Read ``arguments`` and the files, and leave logging as it is.

    :raises oslo_config.cfg.Error: they cannot be read, or name no target.
    """
    CONF(
        list(arguments),
        project=PROJECT,
        prog=prog,
        version=version(),
        default_config_files=_config_files(),
    )
    publish.check(CONF)


def version() -> str:
    """The version of the installed service."""
    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return "unknown"


def _config_files() -> list[str] | None:
    folder = os.environ.get(CONFIG_DIR_VARIABLE)
    if folder:
        return [str(pathlib.Path(folder, f"{PROJECT}.conf"))]
    # None: oslo.config's own search, which ends in /etc/dib-service.
    return None
