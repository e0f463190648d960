"""Nova's control plane out of a tree that has Nova, of that very release.

Debian's Nova is one Python package: where ``nova-compute`` is, the code of the
conductor and of the API is, too. So what speaks to an image's compute service
is of the image's release, whichever that is. The processes run here, on this
host's network. Around them are the lab's Keystone, Placement, PostgreSQL and
RabbitMQ, which a Nova of any release speaks to; they are of this cloud alone.
"""

import pathlib
import shlex

from tools.lab import accounts, configuration, daemon
from tools.lab.cloud import Cloud
from tools.lab.keystone import answers
from tools.lab.placement import Placement
from tools.lab.postgresql import PostgreSQL
from tools.lab.rabbitmq import RabbitMQ
from tools.lab.state import State

# Where the tree sees the control plane's own folder.
INSIDE = pathlib.Path("/mnt")

# What the machines see of this host, in the catalog under a region of its own.
REGION = "Machines"

PROGRAMS = {
    "nova-conductor": "nova.cmd.conductor",
    "nova-api": "nova.cmd.api_os_compute",
    "nova-manage": "nova.cmd.manage",
}


class ControlPlane:
    """A cloud of its own, whose Nova is the one in ``tree``.

    ``venv`` has Keystone and Placement; ``gateway`` is the address by which
    machines reach this host's loopback.
    """

    def __init__(
        self,
        tree: pathlib.Path,
        *,
        state: State,
        venv: pathlib.Path,
        gateway: str,
    ) -> None:
        self._tree = tree
        self._gateway = gateway
        self.cloud = Cloud(state, venv)
        self.rabbitmq = RabbitMQ(state)
        self.postgresql = PostgreSQL(state)
        self.placement = Placement(
            self.cloud, venv, postgresql=self.postgresql
        )
        self.path = state.path / "nova"
        self.port = state.port("nova")
        self.api = self._daemon("nova-api")
        self.conductor = self._daemon("nova-conductor")

    def start(self) -> None:
        """Make it, and wait until it all works."""
        self.rabbitmq.start()
        self.postgresql.start()
        self.cloud.keystone.start()
        self._tell_keystone()
        self.placement.start()
        self._make()
        self.conductor.start()
        self.api.start()
        self.api.wait_until(
            lambda: answers(f"http://127.0.0.1:{self.port}/"), seconds=180
        )
        self.conductor.wait_until(self._conducts, seconds=180)

    def stop(self) -> None:
        """End all of it."""
        for part in (
            *(self.api, self.conductor, self.placement),
            *(self.cloud.keystone, self.postgresql, self.rabbitmq),
        ):
            part.stop()

    def said_to_a_node(self, transport_url: str) -> dict[str, object]:
        """The section ``nova_compute`` of a node of this cloud."""
        account = self.cloud.account("nova").auth()
        return {
            "transport_url": self.from_there(transport_url),
            "auth": {
                **account,
                # Keystone's own links lead to this host's loopback.
                "auth_type": "v3password",
                "auth_url": self.from_there(account["auth_url"]),
                "region_name": REGION,
            },
            "options": {
                "DEFAULT": {"report_interval": 5},
                "libvirt": {"virt_type": "qemu"},
            },
        }

    def from_there(self, url: str) -> str:
        """A URL of ours as machines have to call it."""
        return url.replace("127.0.0.1", self._gateway)

    def _conducts(self) -> bool:
        with self.cloud.account("admin").connect() as cloud:
            return any(
                service.binary == "nova-conductor" and service.state == "up"
                for service in cloud.compute.services()
            )

    def _tell_keystone(self) -> None:
        compute = f"http://127.0.0.1:{self.port}/v2.1"
        state, keystone = self.cloud.state, self.cloud.keystone
        for region, placement in (
            (accounts.REGION, self.placement.url),
            (REGION, self.from_there(self.placement.url)),
        ):
            accounts.make(
                state,
                keystone.auth_url,
                {"placement": placement, "compute": compute},
                users=accounts.BARE_METAL_USERS,
                region=region,
            )

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        api, nowhere, cell = (
            self.postgresql.database(name)
            for name in ("nova_api", "nova_cell0", "nova_cell1")
        )
        account = self.cloud.account("nova")
        auth = configuration.auth(account)
        configuration.write(
            self.path / "nova.conf",
            {
                "DEFAULT": {
                    "transport_url": self.rabbitmq.transport_url,
                    "host": "control",
                    "my_ip": "127.0.0.1",
                    "state_path": INSIDE,
                    "osapi_compute_listen": "127.0.0.1",
                    "osapi_compute_listen_port": self.port,
                    "osapi_compute_workers": 1,
                    # A node says so much more often that it is there.
                    "service_down_time": 60,
                    "api_paste_config": "/etc/nova/api-paste.ini",
                },
                "api_database": {"connection": api},
                "database": {"connection": cell},
                "keystone_authtoken": configuration.auth_token(account),
                "placement": auth,
                "neutron": auth,
                "conductor": {"workers": 1},
                "oslo_concurrency": {"lock_path": INSIDE},
            },
        )
        self._manage("api_db", "sync")
        self._manage(
            *("cell_v2", "map_cell0", "--database_connection", nowhere)
        )
        self._manage(
            *("cell_v2", "create_cell", "--name", "cell1"),
            *("--database_connection", cell),
            *("--transport-url", self.rabbitmq.transport_url),
        )
        self._manage("db", "sync")

    def _manage(self, *words: str) -> None:
        daemon.run(
            [*self._command("nova-manage"), *words],
            log=self.cloud.state.path / "nova-manage.log",
        )

    def _daemon(self, name: str) -> daemon.Daemon:
        return daemon.Daemon(
            name=name,
            argv=self._command(name),
            state=self.cloud.state.path,
        )

    def _command(self, name: str) -> list[str]:
        """One of Nova's programs, in mounts that end with it."""
        tree = shlex.quote(str(self._tree))
        program = (
            f"import sys; sys.argv[0] = {name!r}; "
            f"from {PROGRAMS[name]} import main; sys.exit(main())"
        )
        return [
            *("unshare", "--mount", "--propagation", "private"),
            *("sh", "-euc"),
            f"mount -t proc proc {tree}/proc; mount --rbind /dev {tree}/dev; "
            f"mount --bind {shlex.quote(str(self.path))} {tree}{INSIDE}; "
            f'exec chroot {tree} "$@"',
            "sh",
            *("/usr/bin/python3", "-c", program),
            *("--config-file", str(INSIDE / "nova.conf")),
        ]
