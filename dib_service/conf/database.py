"""Where the rows live: oslo.db's options, with SQLite as the default."""

from collections.abc import Sequence

from oslo_config import cfg
from oslo_db import options as db_options

GROUP = "database"
OPTS = tuple(db_options.database_opts)

DEFAULT_CONNECTION = "sqlite:////var/lib/dib-service/dib-service.sqlite"


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.database`` readable."""
    conf.register_opts(OPTS, group=GROUP)
    db_options.set_defaults(conf, connection=DEFAULT_CONNECTION)
    # oslo.db waits for the first connection, for 100 seconds by default; who
    # asks is told at once instead, and asks again.
    conf.set_default("max_retries", 0, GROUP)


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """Nothing of our own: oslo.db lists these for the generator."""
    return []
