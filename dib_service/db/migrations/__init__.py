"""Bring a database to this version's tables, and say where it stands."""

import pathlib

from alembic import command, config, migration, script

from dib_service.db import api


def sync(revision: str = "head") -> None:
    """Create or migrate all tables; a database that is current stays."""
    with api.writer() as connection:
        settings = _config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)


def version() -> str | None:
    """The revision of the database; None for one without tables of ours."""
    with api.reader() as connection:
        return migration.MigrationContext.configure(
            connection
        ).get_current_revision()


def head() -> str | None:
    """The revision that this version of the code needs."""
    return script.ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> config.Config:
    settings = config.Config()
    # "%" has a meaning for the parser of ini files behind this.
    here = str(pathlib.Path(__file__).parent).replace("%", "%%")
    settings.set_main_option("script_location", here)
    settings.set_main_option("path_separator", "os")
    return settings
