"""A real RabbitMQ of our own: Debian's programs, no systemd, own ports."""

import pathlib

from tools.lab import daemon
from tools.lab.state import State

BIN = pathlib.Path("/usr/lib/rabbitmq/bin")
USER = "dib"


class RabbitMQ:
    """One broker with one user; stop() and start() keep its queues."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.path = state.path / "rabbitmq"
        self.port = state.port("rabbitmq")
        self.password = state.password("rabbitmq")
        epmd_port = state.port("epmd")
        # rabbitmqctl finds it by these, too.
        self.env = {
            "HOME": str(self.path),
            "RABBITMQ_NODENAME": f"lab{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": f"{self.path}/mnesia",
            "RABBITMQ_LOG_BASE": f"{self.path}/log",
            "RABBITMQ_PID_FILE": f"{self.path}/node.pid",
            "RABBITMQ_CONFIG_FILE": f"{self.path}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.path}/plugins",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(state.port("rabbitmq-dist")),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
        }
        # Erlang would start its port mapper by itself and leave it behind.
        self._epmd = daemon.Daemon(
            name="epmd",
            argv=["epmd", "-address", "127.0.0.1", "-port", str(epmd_port)],
            state=state.path,
            env=self.env,
        )
        self._epmd_port = epmd_port
        self.daemon = daemon.Daemon(
            name="rabbitmq",
            argv=[str(BIN / "rabbitmq-server")],
            state=state.path,
            env=self.env,
        )

    @property
    def transport_url(self) -> str:
        """What ``[DEFAULT] transport_url`` has to be."""
        return f"rabbit://{USER}:{self.password}@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the broker and wait until it takes messages."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "plugins").write_text("[].\n")
        (self.path / "rabbitmq.conf").touch()
        self._epmd.start()
        self._epmd.wait_until(lambda: daemon.listens(self._epmd_port))
        self.daemon.start()
        self.daemon.wait_until(lambda: daemon.listens(self.port))
        self._control("await_startup")
        if not (self.path / "made").exists():
            self._control("add_user", USER, self.password)
            self._control("set_permissions", USER, ".*", ".*", ".*")
            (self.path / "made").touch()

    def stop(self) -> None:
        """End it; durable queues stay."""
        if self.daemon.alive():
            self._control("stop", f"{self.path}/node.pid")
        self.daemon.stop()
        self._epmd.stop()

    def add_user(self, name: str) -> str:
        """A user who may do all; the transport URL is theirs."""
        password = self._state.password(f"rabbitmq-{name}")
        self._control("add_user", name, password)
        self._control("set_permissions", name, ".*", ".*", ".*")
        return f"rabbit://{name}:{password}@127.0.0.1:{self.port}/"

    def remove_user(self, name: str) -> None:
        """Let that user in no more."""
        self._control("delete_user", name)

    def _control(self, *words: str) -> None:
        daemon.run(
            [str(BIN / "rabbitmqctl"), *words],
            log=self.daemon.log,
            env=self.env,
        )
