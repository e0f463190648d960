"""The servers that stack.sh puts up before its plugins, and what they hold."""

from collections.abc import Mapping
import contextlib
import json
import pathlib
import subprocess
import sys

import openstack.connection
from openstack.identity.v3 import _proxy as identity_v3
from openstack.image.v2 import _proxy as image_v2
import sqlalchemy

from dib_service.builder import leftovers
from tests import lab
from tests.devstack import host
from tests.devstack.identity import Identity
from tools.lab import accounts, daemon, postgresql, rabbitmq
from tools.lab.accounts import Account
from tools.lab.glance import Glance
from tools.lab.keystone import Keystone
from tools.lab.state import State

VENV = pathlib.Path(sys.executable).parents[1]

# The users of a devstack without our service; all of ours are the plugin's.
USERS: tuple[accounts.User, ...] = (
    ("glance", "service", ("service",)),
    ("demo", "demo", ("member",)),
)

APACHE = """\
ServerName devstack
Listen 127.0.0.1:{port}
PidFile {path}/apache.pid
ErrorLog {path}/error.log
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_uwsgi_module {modules}/mod_proxy_uwsgi.so
IncludeOptional {path}/sites-enabled/*.conf
"""
MODULES = "/usr/lib/apache2/modules"

RABBITMQCTL = """\
#!/bin/sh
export {variables}
exec {program} "$@"
"""


class Machine:
    """Keystone, Glance, RabbitMQ, PostgreSQL and Apache, on 127.0.0.1.

    Keystone and Glance are of its own: the lab's have accounts of our
    service already.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        state = State(path / "cloud")
        self.keystone = Keystone(state, lab.services_venv())
        self.glance = Glance(state, lab.services_venv(), self.keystone)
        self.state = state
        self.web_port = state.port("apache")
        self._apache = daemon.Daemon(
            name="apache",
            argv=[
                "/usr/sbin/apache2",
                "-DFOREGROUND",
                *("-f", str(path / "apache/apache.conf")),
            ],
            state=state.path,
        )

    def start(self, ending: contextlib.ExitStack) -> None:
        """Start them; ``ending`` ends them."""
        self.broker = lab.rabbitmq()
        self.database = lab.postgresql()
        ending.callback(self.keystone.stop)
        self.keystone.start()
        accounts.make(
            self.state,
            self.keystone.auth_url,
            {"image": self.glance.url},
            users=USERS,
        )
        ending.callback(self.glance.stop)
        self.glance.start()
        ending.callback(self._apache.stop)
        self._start_apache()
        self.admin = ending.enter_context(self.account("admin").connect())
        self.identity = ending.enter_context(Identity(self.admin))

    def account(self, name: str) -> Account:
        """``admin`` or ``demo``."""
        return accounts.account(self.state, self.keystone.auth_url, name)

    def made_host(self, name: str, **variables: str) -> host.Host:
        """A host of this cloud with that in its local.conf."""
        path = self.path / name
        for folder in (
            *("bin", "data", "etc", ".config/openstack"),
            *("logs", "run/uwsgi", "status"),
        ):
            (path / folder).mkdir(parents=True)
        self._write_client_files(path)
        return host.Host(
            path,
            "acting.bash",
            {**self._variables(path), **variables},
            self.account("demo").environment(),
        )

    def inventory(self, *hosts: host.Host) -> dict[str, list[str]]:
        """All that the plugin could have left, by what it is."""
        return {
            **{
                f"{one.path.name} {what}": things
                for one in hosts
                for what, things in _on_host(one).items()
            },
            **_in_keystone(self.admin),
            **_in_glance(self.admin),
            "sites": _names(self.path / "apache"),
            "databases": self.query("SELECT datname FROM pg_database"),
            "vhosts": self.rabbitmqctl("list_vhosts").split(),
        }

    def query(self, sql: str, database: str = "postgres") -> list[str]:
        """The first column of each row."""
        engine = sqlalchemy.create_engine(f"{self._sql_url()}/{database}")
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text(sql)).all()
        engine.dispose()
        return sorted(str(row[0]) for row in rows)

    def rabbitmqctl(self, *words: str) -> str:
        """What it prints, without its headings."""
        return subprocess.run(
            [rabbitmq.BIN / "rabbitmqctl", "--quiet", *words],
            env={"PATH": daemon.PATH, **self.broker.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def _start_apache(self) -> None:
        path = self.path / "apache"
        for name in ("sites-available", "sites-enabled"):
            (path / name).mkdir(parents=True)
        # www-data has to reach uwsgi's socket.
        for folder in (path.parent, *path.parents[1:2]):
            folder.chmod(0o711)
        (path / "apache.conf").write_text(
            APACHE.format(port=self.web_port, path=path, modules=MODULES)
        )
        self._apache.start()
        self._apache.wait_until(lambda: daemon.listens(self.web_port))

    def _variables(self, path: pathlib.Path) -> Mapping[str, str]:
        return {
            "PATH": f"{path}/bin:{VENV}/bin:{daemon.PATH}",
            "APACHE": str(self.path / "apache"),
            "BASE_SQL_CONN": self._sql_url(),
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_USER": postgresql.USER,
            "DEVSTACK_VENV": str(VENV),
            "IDENTITY_PORT": str(self.identity.port),
            "KEYSTONE_SERVICE_URI": self.keystone.url,
            "PGPORT": str(self.database.port),
            "RABBIT_HOST": f"127.0.0.1:{self.broker.port}",
            "RABBIT_PASSWORD": self.broker.password,
            "RABBIT_USERID": rabbitmq.USER,
            "SERVICE_HOST": f"127.0.0.1:{self.web_port}",
            # A machine with two cores may have much else to do.
            "SERVICE_TIMEOUT": "180",
            "WORKER_TIMEOUT": "80",
        }

    def _sql_url(self) -> str:
        return (
            f"postgresql+psycopg2://{postgresql.USER}:{self.database.password}"
            f"@127.0.0.1:{self.database.port}"
        )

    def _write_client_files(self, path: pathlib.Path) -> None:
        admin = self.account("admin")
        everywhere = {**admin.auth(), "system_scope": "all"}
        del everywhere["project_name"], everywhere["project_domain_id"]
        clouds = {
            "devstack": self.account("demo").auth(),
            "devstack-admin": admin.auth(),
            "devstack-system-admin": everywhere,
        }
        (path / ".config/openstack/clouds.yaml").write_text(
            json.dumps(
                {
                    "clouds": {
                        name: {"region_name": accounts.REGION, "auth": auth}
                        for name, auth in clouds.items()
                    }
                }
            )
        )
        password = path / ".pgpass"
        password.touch(mode=0o600)
        password.write_text(
            f"*:*:*:{postgresql.USER}:{self.database.password}\n"
        )
        control = path / "bin/rabbitmqctl"
        control.write_text(
            RABBITMQCTL.format(
                variables=" ".join(
                    f"{name}='{value}'"
                    for name, value in self.broker.env.items()
                ),
                program=rabbitmq.BIN / "rabbitmqctl",
            )
        )
        control.chmod(0o755)


def _on_host(one: host.Host) -> dict[str, list[str]]:
    state = one.data / "builder"
    return {
        "processes": processes(one),
        "files": [
            name
            for name in _names(one.path)
            # What the stand-ins and their programs write.
            if not name.startswith(("logs/", "calls", "refused", ".cache"))
        ],
        "mounts": [str(path) for path in leftovers.mounts(state)],
        "loops": [str(path) for path in leftovers.loops(state)],
    }


def _in_keystone(
    admin: openstack.connection.Connection,
) -> dict[str, list[str]]:
    keystone = admin.identity
    # The SDK's types allow for the oldest APIs.
    assert isinstance(keystone, identity_v3.Proxy)
    return {
        "users": sorted(user.name for user in keystone.users()),
        "projects": sorted(project.name for project in keystone.projects()),
        "services": sorted(service.type for service in keystone.services()),
        "endpoints": sorted(point.url for point in keystone.endpoints()),
        "roles": sorted(
            f"{role.role['id']} {role.user} {role.scope}"
            for role in keystone.role_assignments()
        ),
    }


def _in_glance(admin: openstack.connection.Connection) -> dict[str, list[str]]:
    glance = admin.image
    assert isinstance(glance, image_v2.Proxy)
    return {
        "images": sorted(
            image.name
            for hidden in (True, False)
            for image in glance.images(is_hidden=hidden)
        ),
        "metadata definitions": sorted(
            space.namespace for space in glance.metadef_namespaces()
        ),
    }


def _names(folder: pathlib.Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.suffix not in (".pid", ".log")
    )


def processes(one: host.Host) -> list[str]:
    """The command lines that have this host's files in them."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_bytes().replace(b"\0", b" ").decode()
            if str(one.path) in line:
                found.append(line)
    return sorted(found)
