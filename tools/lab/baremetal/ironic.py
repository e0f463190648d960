"""A real Ironic: API and conductor in one process, on SQLite."""

import pathlib

from tools.lab import configuration, daemon
from tools.lab.baremetal.network import ADDRESS, BRIDGE, Network
from tools.lab.cloud import Cloud
from tools.lab.configuration import Sections
from tools.lab.daemon import Daemon
from tools.lab.keystone import answers

# Where the machines' own controllers, loaders and agents fetch files.
FILES_PORT = 8088

# An emulated timer may be late, which Linux takes for a broken one.
KERNEL_OPTIONS = (
    "console=ttyS0,115200 nomodeset no_timer_check panic=-1 "
    "systemd.log_target=console"
)

# What a node's driver does, by kind; the first four are the work. Beside
# machines there may be nodes without one, of driver "fake-hardware".
INTERFACES = (
    ("deploy", "direct,fake"),
    ("boot", "redfish-virtual-media,fake"),
    *((kind, "redfish,fake") for kind in ("management", "power")),
    # Neutron has to be there for a node that says "flat".
    ("network", "noop,flat"),
    ("storage", "noop"),
    *(
        (kind, f"no-{kind}")
        for kind in (
            *("bios", "console", "firmware", "inspect"),
            *("raid", "rescue", "vendor"),
        )
    ),
)

FOLDERS = (
    "files",
    "tmp",
    "certificates",
    "images",
    "masters",
    "tftp/masters",
    "locks",
)


class Ironic:
    """One Ironic in the machines' network, asking Keystone who is who.

    ``url`` is its API on both sides of the network; its user is made by
    ``accounts``.
    """

    def __init__(
        self, cloud: Cloud, venv: pathlib.Path, network: Network, port: int
    ) -> None:
        self.path = cloud.state.path / "ironic"
        self.files = self.path / "files"
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._cloud = cloud
        self._venv = venv
        self._network = network

    @property
    def daemon(self) -> Daemon:
        """Ironic itself, inside the network."""
        return self._network.inside(
            "ironic",
            [str(self._venv / "bin/ironic"), *self._config()],
            TMPDIR=str(self.path / "tmp"),
        )

    @property
    def file_server(self) -> Daemon:
        """What Ironic expects to stand beside it, a plain web server."""
        return self._network.inside(
            "ironic-files",
            [
                str(self._venv / "bin/python"),
                *("-m", "http.server", "--bind", ADDRESS),
                *("--directory", str(self.files), str(FILES_PORT)),
            ],
        )

    def start(self) -> None:
        """Make it where there is none, and wait until it answers."""
        if not (self.path / "made").exists():
            self._make()
        self.file_server.start()
        running = self.daemon
        running.start()
        running.wait_until(lambda: answers(f"{self.url}/"))

    def stop(self) -> None:
        """End it; what it knows stays."""
        # It waits for its workers, of which a deploy may be one.
        self.daemon.stop(seconds=30)
        self.file_server.stop()

    def _config(self) -> list[str]:
        return ["--config-file", str(self.path / "ironic.conf")]

    def _make(self) -> None:
        for name in FOLDERS:
            (self.path / name).mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        configuration.write(self.path / "ironic.conf", self._sections())
        daemon.run(
            [
                str(self._venv / "bin/ironic-dbsync"),
                *self._config(),
                "create_schema",
            ],
            log=self._cloud.state.path / "ironic.log",
        )
        (self.path / "made").touch()

    def _sections(self) -> Sections:
        account = self._cloud.account("ironic")
        files = f"http://{ADDRESS}:{FILES_PORT}"
        return {
            "DEFAULT": {
                **{
                    f"enabled_{kind}_interfaces": name
                    for kind, name in INTERFACES
                },
                "enabled_hardware_types": "redfish,fake-hardware",
                "default_network_interface": "noop",
                "auth_strategy": "keystone",
                # Nova's service user sees every node.
                "rbac_service_role_elevated_access": True,
                # API and conductor are one process.
                "rpc_transport": "none",
                "host": "lab",
                "my_ip": ADDRESS,
                "debug": True,
                "log_file": self.path / "ironic-all.log",
                "state_path": self.path,
                "tempdir": self.path / "tmp",
            },
            "api": {"host_ip": "0.0.0.0", "port": self._port},
            "database": {"connection": f"sqlite:///{self.path}/ironic.db"},
            "keystone_authtoken": configuration.auth_token(account),
            "glance": configuration.auth(account),
            "neutron": {
                **configuration.auth(account),
                "cleaning_network": BRIDGE,
            },
            "service_catalog": {
                **configuration.auth(account),
                # What a machine can reach; the catalog's address is a door.
                "endpoint_override": f"http://{ADDRESS}:{self._port}",
            },
            "conductor": {
                "automated_clean": False,
                "enable_mdns": False,
                "power_state_change_timeout": 120,
                "bootloader": f"{files}/loader.img",
            },
            "deploy": {
                "http_url": files,
                "http_root": self.files,
                "default_boot_mode": "uefi",
            },
            "agent": {
                # There is no Swift to fetch from: the conductor takes the
                # image from Glance, makes it raw and serves it.
                "image_download_source": "local",
                "certificates_path": self.path / "certificates",
                # Its name says less than it means: the agent refuses every
                # partition image without it, those for UEFI, too.
                "enable_bios_bootloader_install": True,
            },
            "pxe": {
                "images_path": self.path / "images",
                "instance_master_path": self.path / "masters",
                "tftp_root": self.path / "tftp",
                "tftp_master_path": self.path / "tftp/masters",
            },
            "redfish": {
                "use_swift": False,
                "kernel_append_params": KERNEL_OPTIONS,
            },
            "dhcp": {"dhcp_provider": "none"},
            "nova": {"send_power_notifications": False},
            "sensor_data": {"send_sensor_data": False},
            "oslo_concurrency": {"lock_path": self.path / "locks"},
        }
