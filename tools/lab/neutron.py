"""A real Neutron that gives out addresses and touches no network.

Nova has Neutron make a port for each server, and writes what it says into the
config drive. There is no agent, so no DHCP: a server has its address from
there alone.
"""

import pathlib

from tools.lab import configuration, daemon
from tools.lab.cloud import Cloud
from tools.lab.configuration import Sections
from tools.lab.keystone import answers, serve
from tools.lab.postgresql import PostgreSQL

# What a network of type "flat" is a part of.
PHYSICAL_NETWORK = "baremetal"


class Neutron:
    """Neutron's API; its database is one of ``postgresql``."""

    def __init__(
        self,
        cloud: Cloud,
        venv: pathlib.Path,
        *,
        postgresql: PostgreSQL,
        transport_url: str,
    ) -> None:
        self._cloud = cloud
        self._venv = venv
        self._postgresql = postgresql
        self._transport_url = transport_url
        self.path = cloud.state.path / "neutron"
        self.port = cloud.state.port("neutron")
        self.url = f"http://127.0.0.1:{self.port}"
        self._config_file = self.path / "neutron.conf"
        self.daemon = daemon.Daemon(
            name="neutron",
            argv=serve(venv, "neutron.wsgi.api", self.port, threads=2),
            state=cloud.state.path,
            env={
                "OS_NEUTRON_CONFIG_DIR": str(self.path),
                "OS_NEUTRON_CONFIG_FILES": self._config_file.name,
            },
        )

    def start(self) -> None:
        """Make it where there is none, and wait until it answers."""
        if not (self.path / "made").exists():
            self._make()
        self.daemon.start()
        self.daemon.wait_until(lambda: answers(self.url), seconds=180)

    def stop(self) -> None:
        """End it; what it knows stays."""
        self.daemon.stop()

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = self._postgresql.database("neutron")
        configuration.write(self._config_file, self._sections(database))
        daemon.run(
            [
                f"{self._venv}/bin/python",
                "-I",
                str(pathlib.Path(__file__).with_name("neutron_tables.py")),
                database,
            ],
            log=self.daemon.log,
        )
        (self.path / "made").touch()

    def _sections(self, database: str) -> Sections:
        return {
            "DEFAULT": {
                "core_plugin": "ml2",
                "service_plugins": "",
                "transport_url": self._transport_url,
                "state_path": self.path,
                "log_file": self.path / "neutron-api.log",
                "api_paste_config": self._venv / "etc/neutron/api-paste.ini",
                # Nobody listens: an Ironic port is plugged by Ironic.
                "notify_nova_on_port_status_changes": False,
                "notify_nova_on_port_data_changes": False,
            },
            "database": {"connection": database},
            "ml2": {
                "type_drivers": "flat",
                "project_network_types": "flat",
                "mechanism_drivers": "",
                "extension_drivers": "port_security",
            },
            "ml2_type_flat": {"flat_networks": PHYSICAL_NETWORK},
            "oslo_concurrency": {"lock_path": self.path},
            "keystone_authtoken": configuration.auth_token(
                self._cloud.account("neutron")
            ),
        }
