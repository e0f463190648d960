"""dib-service itself, as one process or as three."""

import pathlib

from tools.lab import configuration, daemon
from tools.lab.cloud import Cloud
from tools.lab.configuration import Sections
from tools.lab.keystone import answers

# What programs call the files in which they look for passwords.
CREDENTIALS = ("clouds.yaml", ".pgpass", "chosen.json")


class Service:
    """The service on a cloud; ``bin_path`` has its commands.

    ``changes`` are options that differ from what one machine needs, by
    section. Which processes run is the caller's choice.
    """

    def __init__(
        self,
        cloud: Cloud,
        bin_path: pathlib.Path,
        *,
        name: str = "dib-service",
        changes: Sections | None = None,
    ) -> None:
        self._bin = bin_path
        self.cloud = cloud
        self.path = cloud.state.path / name
        self.config_file = self.path / "dib-service.conf"
        self.builder_file = self.path / "dib-builder.conf"
        self._changes = changes or {}

    @property
    def all_in_one(self) -> daemon.Daemon:
        """API, conductor and builder in one process."""
        return self.process("dib-all-in-one")

    def process(self, command: str, *launcher: str) -> daemon.Daemon:
        """One of the service's commands as a daemon.

        ``launcher``: words to start it with, in place of its own script.
        """
        file = self.config_file
        if command == "dib-builder":
            file = self.builder_file
        return daemon.Daemon(
            name=command,
            argv=[
                *(launcher or (str(self._bin / command),)),
                *("--config-file", str(file)),
            ],
            state=self.cloud.state.path,
        )

    def prepare(self) -> None:
        """Write the configuration and bring the database up to date."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        configuration.write(self.config_file, self._sections())
        self.manage("db", "sync")

    def enrol(self, name: str) -> None:
        """Let a builder of its own process be one, with its own file.

        It is root and runs what others wrote: neither the database nor a
        credential of the cloud belongs in there.
        """
        said = self.manage("builder", "enrol", name, "--porcelain")
        builder_id, secret = said.split()
        sections = self._sections()
        shared = ("DEFAULT", "oslo_messaging_rabbit", "messaging")
        configuration.write(
            self.builder_file,
            {
                **{name: sections.get(name, {}) for name in shared},
                "builder": {
                    **sections["builder"],
                    "id": builder_id,
                    "secret": secret,
                },
            },
        )

    def manage(self, *words: str) -> str:
        """What dib-manage prints."""
        log = self.cloud.state.path / "dib-manage.log"
        return daemon.output_of(
            [
                str(self._bin / "dib-manage"),
                *("--config-file", str(self.config_file)),
                *words,
            ],
            log=log,
        )

    def wait_until_ready(self, api: daemon.Daemon) -> None:
        """Return once the API, which is part of ``api``, answers."""
        api.wait_until(lambda: answers(f"{self.cloud.api_url}/healthcheck"))

    def _secrets(self) -> list[pathlib.Path]:
        """What no element may read, beside what the builder hides itself."""
        lab = self.cloud.state.path
        return [
            lab / "chosen.json",
            lab / "openrc",
            self.cloud.keystone.path,
            self.cloud.glance.path,
            # A broker keeps on its disk what went through it, tokens too.
            *(
                lab / name
                for name in (
                    *("rabbitmq", "postgresql", "postgresql.password"),
                    *("placement", "neutron", "nova", "ironic"),
                )
            ),
            self.path / "dib-service.sqlite",
            # Other services of the same cloud, which would have hosts of
            # their own.
            *(
                other
                for other in sorted(lab.iterdir())
                if other != self.path and _holds_a_secret(other)
            ),
        ]

    def _sections(self) -> dict[str, dict[str, object]]:
        sections: dict[str, dict[str, object]] = {
            "database": {
                "connection": f"sqlite:///{self.path}/dib-service.sqlite"
            },
            "api": {
                "auth_strategy": "keystone",
                "host": "127.0.0.1",
                "port": self.cloud.api_port,
            },
            "builder": {
                "state_path": self.path / "builder",
                "hide": ",".join(str(path) for path in self._secrets()),
            },
            "keystone_authtoken": configuration.auth_token(
                self.cloud.account("dib")
            ),
            "glance": configuration.auth(self.cloud.account("dib")),
            "glance_upload": configuration.auth(
                self.cloud.account("dib-upload")
            ),
        }
        for section, options in self._changes.items():
            sections.setdefault(section, {}).update(options)
        return sections


def _holds_a_secret(folder: pathlib.Path) -> bool:
    """Whether a service has its configuration, or a person theirs, there."""
    if (folder / "pyvenv.cfg").exists():
        return False
    return any(
        path.suffix == ".conf" or path.name in CREDENTIALS
        for path in folder.rglob("*")
    )
