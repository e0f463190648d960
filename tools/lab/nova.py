"""A real Nova whose one compute service drives Ironic.

API, scheduler, conductor and compute are a process each; there is one cell
beside the cell 0 that holds what could not be scheduled.
"""

import pathlib

from tools.lab import configuration, daemon
from tools.lab.cloud import Cloud
from tools.lab.configuration import Sections
from tools.lab.keystone import answers, serve
from tools.lab.postgresql import PostgreSQL

# All but the API.
PROCESSES = ("nova-conductor", "nova-scheduler", "nova-compute")


class Nova:
    """One Nova; its databases are of ``postgresql``.

    Placement, Neutron, Glance and Ironic are found in Keystone's catalog.
    """

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
        self.path = cloud.state.path / "nova"
        self.port = cloud.state.port("nova")
        self.url = f"http://127.0.0.1:{self.port}/v2.1"
        self._config_file = self.path / "nova.conf"
        self._compute_file = self.path / "nova-compute.conf"
        self.api = daemon.Daemon(
            name="nova-api",
            argv=serve(venv, "nova.wsgi.osapi_compute", self.port, threads=4),
            state=cloud.state.path,
            env={
                "OS_NOVA_CONFIG_DIR": str(self.path),
                "OS_NOVA_CONFIG_FILES": (
                    f"{venv}/etc/nova/api-paste.ini;nova.conf"
                ),
            },
        )
        self.processes = {name: self._process(name) for name in PROCESSES}

    def start(self) -> None:
        """Make it where there is none, and wait until it can schedule."""
        if not (self.path / "made").exists():
            self._make()
        self.api.start()
        for process in self.processes.values():
            process.start()
        self.api.wait_until(
            lambda: answers(f"http://127.0.0.1:{self.port}/"), seconds=180
        )

    def stop(self) -> None:
        """End it; what it knows stays."""
        for process in reversed(self.processes.values()):
            process.stop()
        self.api.stop()

    def manage(self, *words: str) -> None:
        """Run nova-manage."""
        daemon.run(
            [
                f"{self._venv}/bin/nova-manage",
                *("--config-file", str(self._config_file)),
                *words,
            ],
            log=self._cloud.state.path / "nova-manage.log",
        )

    def _process(self, name: str) -> daemon.Daemon:
        file = self._config_file
        if name == "nova-compute":
            file = self._compute_file
        return daemon.Daemon(
            name=name,
            argv=[f"{self._venv}/bin/{name}", "--config-file", str(file)],
            state=self._cloud.state.path,
            env={"PATH": f"{self._venv}/bin:{daemon.PATH}"},
        )

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        api, nowhere, cell = (
            self._postgresql.database(name)
            for name in ("nova_api", "nova_cell0", "nova_cell1")
        )
        sections = self._sections(api, cell)
        configuration.write(self._config_file, sections)
        # A compute service that knows of a database is one misconfigured.
        configuration.write(
            self._compute_file,
            {
                name: options
                for name, options in sections.items()
                if name not in ("database", "api_database")
            },
        )
        self.manage("api_db", "sync")
        self.manage(
            *("cell_v2", "map_cell0"),
            *("--database_connection", nowhere),
        )
        self.manage(
            *("cell_v2", "create_cell", "--name", "cell1"),
            *("--database_connection", cell),
            *("--transport-url", self._transport_url),
        )
        # Cell 0 first, then the one of the configuration.
        self.manage("db", "sync")
        (self.path / "made").touch()

    def _sections(self, api: str, cell: str) -> Sections:
        auth = configuration.auth(self._cloud.account("nova"))
        return {
            "DEFAULT": {
                "compute_driver": "ironic.IronicDriver",
                "transport_url": self._transport_url,
                "host": "lab",
                "my_ip": "127.0.0.1",
                "state_path": self.path,
                # An Ironic node is free again some time after its server is
                # gone, and seen to be so when the compute service next looks.
                "update_resources_interval": 5,
            },
            "api_database": {"connection": api},
            "database": {"connection": cell},
            "keystone_authtoken": configuration.auth_token(
                self._cloud.account("nova")
            ),
            "service_user": {"send_service_user_token": True, **auth},
            **{name: auth for name in ("placement", "neutron", "ironic")},
            "scheduler": {"workers": 1},
            "conductor": {"workers": 1},
            "oslo_concurrency": {"lock_path": self.path},
        }
