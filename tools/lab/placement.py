"""A real Placement, asking Keystone who is who."""

import pathlib

from tools.lab import configuration, daemon
from tools.lab.cloud import Cloud
from tools.lab.keystone import answers, serve
from tools.lab.postgresql import PostgreSQL


class Placement:
    """One Placement; its database is one of ``postgresql``."""

    def __init__(
        self, cloud: Cloud, venv: pathlib.Path, *, postgresql: PostgreSQL
    ) -> None:
        self._cloud = cloud
        self._venv = venv
        self._postgresql = postgresql
        self.path = cloud.state.path / "placement"
        self.port = cloud.state.port("placement")
        self.url = f"http://127.0.0.1:{self.port}"
        self._config_file = self.path / "placement.conf"
        self.daemon = daemon.Daemon(
            name="placement",
            argv=serve(venv, "placement.wsgi.api", self.port, threads=2),
            state=cloud.state.path,
            env={"OS_PLACEMENT_CONFIG_DIR": str(self.path)},
        )

    def start(self) -> None:
        """Make it where there is none, and wait until it answers."""
        if not (self.path / "made").exists():
            self._make()
        self.daemon.start()
        self.daemon.wait_until(lambda: answers(self.url))

    def stop(self) -> None:
        """End it; what it knows stays."""
        self.daemon.stop()

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = self._postgresql.database("placement")
        account = self._cloud.account("placement")
        configuration.write(
            self._config_file,
            {
                "DEFAULT": {"log_file": self.path / "placement-api.log"},
                "placement_database": {"connection": database},
                "keystone_authtoken": configuration.auth_token(account),
            },
        )
        daemon.run(
            [
                f"{self._venv}/bin/placement-manage",
                *("--config-file", str(self._config_file)),
                *("db", "sync"),
            ],
            log=self.daemon.log,
        )
        (self.path / "made").touch()
