"""A real Keystone on SQLite, answering on 127.0.0.1."""

import pathlib
import urllib.error
import urllib.request

from tools.lab import daemon
from tools.lab.state import State

CONFIG = """\
[DEFAULT]
public_endpoint = {url}
log_file = {path}/keystone-api.log

[database]
connection = sqlite:///{path}/keystone.db

[token]
provider = fernet

[fernet_tokens]
key_repository = {path}/fernet-keys

[credential]
key_repository = {path}/credential-keys

[identity]
# Passwords of a lab need no slow hash.
password_hash_rounds = 4

[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
"""


class Keystone:
    """One Keystone; ``venv`` is where its programs are installed."""

    def __init__(self, state: State, venv: pathlib.Path) -> None:
        self._state = state
        self._venv = venv
        self.path = state.path / "keystone"
        self.port = state.port("keystone")
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = {"OS_KEYSTONE_CONFIG_DIR": str(self.path)}
        self.daemon = daemon.Daemon(
            name="keystone",
            # Two that write to SQLite at once may end in "database is
            # locked" and a 500 for who wants a token: one after the other.
            argv=serve(venv, "keystone.wsgi.api", self.port, threads=1),
            state=state.path,
            env=self._env,
        )

    @property
    def auth_url(self) -> str:
        """Where a client asks for tokens."""
        return f"{self.url}/v3"

    @property
    def admin_password(self) -> str:
        """The password of the user and project ``admin``."""
        return self._state.password("admin")

    def start(self) -> None:
        """Make it where there is none, and wait until it answers."""
        if not (self.path / "made").exists():
            self._make()
        self.daemon.start()
        self.daemon.wait_until(lambda: answers(f"{self.url}/v3"))

    def stop(self) -> None:
        """End it; what it knows stays."""
        self.daemon.stop()

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.path / "keystone.conf").write_text(
            CONFIG.format(url=self.url, path=self.path)
        )
        for step in (
            ["db_sync"],
            ["fernet_setup"],
            ["credential_setup"],
            [
                "bootstrap",
                *("--bootstrap-password", self.admin_password),
                *("--bootstrap-public-url", self.auth_url),
                *("--bootstrap-internal-url", self.auth_url),
                *("--bootstrap-admin-url", self.auth_url),
                *("--bootstrap-region-id", "RegionOne"),
            ],
        ):
            self._manage(*step)
        (self.path / "made").touch()

    def _manage(self, command: str, *options: str) -> None:
        keys = (
            ["--keystone-user", "root", "--keystone-group", "root"]
            if command.endswith("_setup")
            else []
        )
        daemon.run(
            [
                f"{self._venv}/bin/keystone-manage",
                *("--config-file", f"{self.path}/keystone.conf"),
                command,
                *keys,
                *options,
            ],
            log=self.daemon.log,
            env=self._env,
        )


def serve(
    venv: pathlib.Path, module: str, port: int, *, threads: int
) -> list[str]:
    """The command that serves a WSGI module of ``venv`` on 127.0.0.1."""
    script = pathlib.Path(__file__).with_name("serve.py")
    # -I: the script's own folder has a keystone.py, which is not meant.
    return [
        f"{venv}/bin/python",
        "-I",
        str(script),
        module,
        str(port),
        str(threads),
    ]


def answers(url: str) -> bool:
    """A GET of ``url`` has an answer below 400."""
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except urllib.error.HTTPError as exc:
        return exc.code < 400
    except OSError:
        return False
