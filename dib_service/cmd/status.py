"""dib-status: is everything there that the next version needs?"""

import sys

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from dib_service import conf
from dib_service.conductor import cloud
from dib_service.conf import publish
from dib_service.db import migrations
from dib_service.objects.builder import Builder
from dib_service.publish import target as targets


class Checks(upgradecheck.UpgradeCommands):
    """What ``dib-status upgrade check`` looks at."""

    def _database(self) -> upgradecheck.Result:
        found, needed = migrations.version(), migrations.head()
        if found == needed:
            return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        return upgradecheck.Result(
            upgradecheck.Code.FAILURE,
            f"The database is at {found} and {needed} is needed: run "
            "dib-manage db sync.",
        )

    def _targets(self) -> upgradecheck.Result:
        """A conductor does not start with others."""
        try:
            publish.check(cfg.CONF)
            places = cloud.Cloud(cfg.CONF)
            for name in places.names():
                places.target(name)
        except (cfg.Error, targets.Misconfigured) as error:
            return upgradecheck.Result(upgradecheck.Code.FAILURE, str(error))
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def _builders(self) -> upgradecheck.Result:
        # Tables of another revision cannot be asked.
        asked = migrations.version() == migrations.head()
        if not asked or Builder.list(limit=1):
            return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        return upgradecheck.Result(
            upgradecheck.Code.WARNING,
            "No builder is enrolled: run dib-manage builder enrol.",
        )

    _upgrade_checks = (
        ("Database", _database),
        ("Targets", _targets),
        ("Builders", _builders),
    )


def main() -> None:
    """Exit with 0, 1 (warning) or 2 (failure)."""
    sys.exit(
        upgradecheck.main(
            cfg.CONF, project=conf.PROJECT, upgrade_command=Checks()
        )
    )
