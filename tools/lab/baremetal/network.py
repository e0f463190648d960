"""A network that only its machines and their services are on.

It is a network namespace with a bridge in it. A process holds the namespace,
so that nothing is left of it once that process and those that entered have
ended. Nothing leads in or out but doors: servers that the other side finds
on the same port of 127.0.0.1 as this one.
"""

from collections.abc import Iterable, Sequence
import pathlib
import sys

from tools.lab import daemon, errors
from tools.lab.daemon import Daemon
from tools.lab.state import State

BRIDGE = "machines"
# Where machines find the services.
ADDRESS = "10.77.0.1"
PREFIX = 24
NETMASK = "255.255.255.0"
# What DHCP gives away; a deployed machine has an address below.
LEASES = ("10.77.0.100", "10.77.0.199")

DHCP = """\
interface {bridge}
start {first}
end {last}
option subnet {netmask}
lease_file {path}/leases
pidfile {path}/dhcp.running
"""


class Network:
    """One namespace with a bridge and a DHCP server.

    ``inside`` are ports of this host's loopback that the namespace has too,
    ``outside`` such of the namespace that this host has.
    """

    def __init__(
        self,
        state: State,
        *,
        inside: Iterable[int] = (),
        outside: Iterable[int] = (),
    ) -> None:
        self.path = state.path / "network"
        self._state = state
        self._inside = tuple(inside)
        self._outside = tuple(outside)
        self.daemon = Daemon(
            name="network",
            argv=["unshare", "--net", "--", "sleep", "infinity"],
            state=state.path,
        )

    def start(self) -> None:
        """Make it, and return once it can be used."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.daemon.alive():
            self.daemon.start()
            self.daemon.wait_until(self._is_apart)
            self._make_bridge()
        dhcp, doors = self._dhcp(), self._doors()
        dhcp.start()
        doors.start()
        doors.wait_until(
            lambda: all(daemon.listens(port) for port in self._outside)
        )

    def stop(self) -> None:
        """End it; whoever is still inside keeps an unreachable rest."""
        self._doors().stop()
        self._dhcp().stop()
        self.daemon.stop()

    def enter(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` inside.

        :raises LabError: the network does not run.
        """
        return ["nsenter", f"--net={self._namespace()}", "--", *argv]

    def answers(self, url: str) -> bool:
        """A GET of the URL from inside has an answer below 400."""
        try:
            daemon.run(
                self.enter(
                    ["curl", "--silent", "--fail", "--noproxy", "*", url]
                ),
                log=self.path / "curl.log",
            )
        except errors.LabError:
            return False
        return True

    def _namespace(self) -> pathlib.Path:
        pid = self.daemon.pid()
        if pid is None:
            raise errors.LabError("no network", log=self.daemon.log)
        return pathlib.Path(f"/proc/{pid}/ns/net")

    def _is_apart(self) -> bool:
        """The process has left the namespace that it was started in."""
        own = pathlib.Path("/proc/self/ns/net").readlink()
        return self.daemon.alive() and self._namespace().readlink() != own

    def _make_bridge(self) -> None:
        for words in (
            "link set lo up",
            f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0",
            f"address add {ADDRESS}/{PREFIX} dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ):
            daemon.run(self.enter(["ip", *words.split()]), log=self.daemon.log)

    def _dhcp(self) -> Daemon:
        first, last = LEASES
        config = self.path / "dhcp.conf"
        config.write_text(
            DHCP.format(
                bridge=BRIDGE,
                first=first,
                last=last,
                netmask=NETMASK,
                path=self.path,
            )
        )
        (self.path / "leases").touch()
        return self.inside("dhcp", ["busybox", "udhcpd", "-f", str(config)])

    def _doors(self) -> Daemon:
        script = pathlib.Path(__file__).with_name("doors.py")
        return Daemon(
            name="doors",
            argv=[
                *(sys.executable, "-I", str(script)),
                str(self.daemon.pid() or 0),
                *("--inside", *map(str, self._inside)),
                *("--outside", *map(str, self._outside)),
            ],
            state=self._state.path,
        )

    def inside(self, name: str, argv: Sequence[str], **env: str) -> Daemon:
        """A daemon that runs in the namespace."""
        words = self.enter(argv) if self.daemon.alive() else argv
        return Daemon(name=name, argv=words, state=self._state.path, env=env)
