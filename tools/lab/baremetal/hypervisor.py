"""libvirt by hand: no systemd, no virtlogd, nothing of the host's own one."""

import pathlib

from tools.lab import daemon, errors
from tools.lab.baremetal.network import Network
from tools.lab.daemon import Daemon
from tools.lab.state import State

# What libvirt keeps in places that no option moves.
FOLDERS = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}

DAEMON_CONFIG = """\
unix_sock_dir = "/run/libvirt"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:stderr"
"""

QEMU_CONFIG = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""

# libvirtd refuses to start without this user, whatever its options say.
USER = "libvirt-qemu"
NUMBER = 64055

# A mount namespace of its own: its folders and users are bound over the
# host's, and /sys shows the devices of its network.
LAUNCH = """\
set -e
mount -t sysfs sysfs /sys
{binds}
exec /usr/sbin/libvirtd --pid-file {path}/run/libvirtd.pid --timeout 0
"""


class Hypervisor:
    """One libvirtd whose machines are on the network's bridge."""

    def __init__(self, state: State, network: Network) -> None:
        self.path = state.path / "libvirt"
        self.pool = self.path / "pool"
        self._network = network
        self._state = state

    @property
    def uri(self) -> str:
        """Where programs of this host find it, also from outside."""
        return f"qemu:///system?socket={self.path}/run/libvirt-sock"

    @property
    def daemon(self) -> Daemon:
        """libvirtd itself, inside the network."""
        binds = {
            **{self.path / name: at for name, at in FOLDERS.items()},
            **{
                self.path / name: f"/etc/{name}"
                for name in ("passwd", "group")
            },
        }
        script = LAUNCH.format(
            binds="\n".join(
                f"mount --bind {source} {at}" for source, at in binds.items()
            ),
            path=self.path,
        )
        return self._network.inside(
            "libvirtd", ["unshare", "--mount", "sh", "-c", script]
        )

    def start(self) -> None:
        """Start it, and return once it has its storage pool."""
        if self.daemon.alive():
            return
        self._make()
        self.daemon.start()
        self.daemon.wait_until(self._answers)
        # The Redfish emulator keeps the media of its machines there.
        self.virsh("pool-define-as", "default", "dir", "--target", self.pool)
        self.virsh("pool-start", "default")

    def stop(self) -> None:
        """End it and every machine."""
        if self.daemon.alive():
            for name in self.virsh("list", "--name").split():
                self.virsh("destroy", name)
        self.daemon.stop()

    def virsh(self, *words: str | pathlib.Path) -> str:
        """What ``virsh`` prints.

        :raises LabError: it failed.
        """
        return daemon.output_of(
            ["virsh", "--quiet", "-c", self.uri, *map(str, words)],
            log=self._state.path / "virsh.log",
        )

    def _make(self) -> None:
        for name, at in FOLDERS.items():
            (self.path / name).mkdir(parents=True, exist_ok=True)
            # Something has to be there for a bind mount to cover.
            pathlib.Path(at).mkdir(parents=True, exist_ok=True)
        self.pool.mkdir(exist_ok=True)
        (self.path / "etc/libvirtd.conf").write_text(DAEMON_CONFIG)
        (self.path / "etc/qemu.conf").write_text(QEMU_CONFIG)
        for name, line in (
            ("passwd", f"{USER}:x:{NUMBER}:{NUMBER}::/nonexistent:/bin/false"),
            ("group", f"{USER}:x:{NUMBER}:"),
        ):
            known = pathlib.Path("/etc", name).read_text()
            if not any(
                row.startswith(f"{USER}:") for row in known.split("\n")
            ):
                known = f"{known.rstrip()}\n{line}\n"
            (self.path / name).write_text(known)

    def _answers(self) -> bool:
        try:
            self.virsh("version")
        except errors.LabError:
            return False
        return True
