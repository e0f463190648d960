"""The management controllers of the machines: sushy-tools' emulator."""

import pathlib
import sysconfig

from tools.lab import errors
from tools.lab.baremetal.hypervisor import Hypervisor
from tools.lab.baremetal.network import ADDRESS, Network
from tools.lab.daemon import Daemon
from tools.lab.state import State

PORT = 8000
OVMF = pathlib.Path("/usr/share/OVMF")

# Debian's binding of the libvirt that is installed, of the same version.
BINDING = pathlib.Path("/usr/lib/python3/dist-packages")

CONFIG = """\
SUSHY_EMULATOR_LISTEN_IP = '{address}'
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_SSL_CERT = None
SUSHY_EMULATOR_SSL_KEY = None
SUSHY_EMULATOR_AUTH_FILE = None
SUSHY_EMULATOR_OS_CLOUD = None
SUSHY_EMULATOR_LIBVIRT_URI = '{uri}'
SUSHY_EMULATOR_STATE_DIR = '{path}/state'
SUSHY_EMULATOR_IGNORE_BOOT_DEVICE = False
SUSHY_EMULATOR_STORAGE_POOL = 'default'
SUSHY_EMULATOR_SECURE_BOOT_DISABLED_NVRAM = '{ovmf}/OVMF_VARS_4M.fd'
SUSHY_EMULATOR_BOOT_LOADER_MAP = {{
    'UEFI': {{'x86_64': '{ovmf}/OVMF_CODE_4M.fd'}},
    'Legacy': {{'x86_64': None}},
}}
"""


class Redfish:
    """One emulator for all machines of the hypervisor; HTTP, no login."""

    url = f"http://{ADDRESS}:{PORT}"

    def __init__(
        self,
        state: State,
        venv: pathlib.Path,
        network: Network,
        hypervisor: Hypervisor,
    ) -> None:
        self.path = state.path / "redfish"
        self._venv = venv
        self._network = network
        self._hypervisor = hypervisor

    @property
    def daemon(self) -> Daemon:
        """The emulator, inside the network."""
        return self._network.inside(
            "redfish",
            [
                str(self._venv / "bin/sushy-emulator"),
                *("--config", str(self.path / "emulator.conf")),
            ],
            PYTHONPATH=str(self.path / "binding"),
            # Where it puts the media that it fetches.
            TMPDIR=str(self.path / "media"),
        )

    def start(self) -> None:
        """Start it, and return once it answers."""
        self._make()
        running = self.daemon
        running.start()
        running.wait_until(
            lambda: self._network.answers(f"{self.url}/redfish/v1/")
        )

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()

    def _make(self) -> None:
        for folder in ("state", "media", "binding"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        for file in binding():
            link = self.path / "binding" / file.name
            link.unlink(missing_ok=True)
            link.symlink_to(file)
        (self.path / "emulator.conf").write_text(
            CONFIG.format(
                address=ADDRESS,
                port=PORT,
                uri=self._hypervisor.uri,
                path=self.path,
                ovmf=OVMF,
            )
        )


def binding() -> list[pathlib.Path]:
    """The files of ``import libvirt``, and nothing else of the host.

    Compiling it for the venv would take a compiler and libvirt's headers.

    :raises LabError: there are none for this Python.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    files = [BINDING / "libvirt.py", BINDING / f"libvirtmod{suffix}"]
    for file in files:
        if not file.exists():
            raise errors.LabError(
                f"{file} is not there: the package python3-libvirt, and the "
                "Python that it is for, have to be installed"
            )
    return files
