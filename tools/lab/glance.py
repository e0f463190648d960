"""A real Glance on SQLite with a file store, asking Keystone who is who."""

import pathlib

from tools.lab import daemon
from tools.lab.keystone import Keystone, answers, serve
from tools.lab.state import State

CONFIG = """\
[DEFAULT]
bind_host = 127.0.0.1
bind_port = {port}
enabled_backends = file:file
worker_self_reference_url = {url}
log_file = {path}/glance-api.log

[database]
connection = sqlite:///{path}/glance.db

[glance_store]
default_backend = file

[file]
filesystem_store_datadir = {path}/images

[os_glance_staging_store]
filesystem_store_datadir = {path}/staging

[os_glance_tasks_store]
filesystem_store_datadir = {path}/tasks

[paste_deploy]
flavor = keystone
config_file = {paste}

[keystone_authtoken]
www_authenticate_uri = {keystone}/v3
auth_url = {keystone}/v3
auth_type = password
username = glance
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
# A lab has no memcached, and a role that was just taken away must count.
token_cache_time = -1

[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
"""


class Glance:
    """One Glance; its user is made by ``accounts``.

    One of another name is that of another region.
    """

    def __init__(
        self,
        state: State,
        venv: pathlib.Path,
        keystone: Keystone,
        *,
        name: str = "glance",
    ) -> None:
        self._state = state
        self._venv = venv
        self._keystone = keystone
        self.path = state.path / name
        self.port = state.port(name)
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = {"OS_GLANCE_CONFIG_DIR": str(self.path)}
        self.daemon = daemon.Daemon(
            name=name,
            argv=serve(venv, "glance.wsgi.api", self.port, threads=4),
            state=state.path,
            env=self._env,
        )

    def start(self) -> None:
        """Make it where there is none, and wait until it answers."""
        if not (self.path / "made").exists():
            self._make()
        self.daemon.start()
        self.daemon.wait_until(lambda: answers(f"{self.url}/healthcheck"))

    def stop(self) -> None:
        """End it; its images stay."""
        self.daemon.stop()

    def _make(self) -> None:
        for folder in ("images", "staging", "tasks"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        (self.path / "glance-api.conf").write_text(
            CONFIG.format(
                path=self.path,
                port=self.port,
                url=self.url,
                paste=self._venv / "etc/glance/glance-api-paste.ini",
                keystone=self._keystone.url,
                password=self._state.password("glance"),
            )
        )
        daemon.run(
            [
                f"{self._venv}/bin/glance-manage",
                *("--config-file", f"{self.path}/glance-api.conf"),
                "db_sync",
            ],
            log=self.daemon.log,
            env=self._env,
        )
        (self.path / "made").touch()
