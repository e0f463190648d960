"""A machine on which stack.sh, unstack.sh and clean.sh run the plugin."""

from collections.abc import Mapping
import dataclasses
import getpass
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
CHECKOUT = HERE.parents[1]

# With errexit like stack.sh; and nounset, so that a variable that devstack
# does not set is found.
SCRIPT = """\
set -eu
source {here}/functions.bash
source "$STAND_INS"
source "$DIB_SERVICE_DIR/devstack/settings"
source "$DIB_SERVICE_DIR/devstack/plugin.sh" {mode} {phase}
"""


@dataclasses.dataclass(frozen=True)
class Host:
    """One host with its own ``$DEST``, ``$DATA_DIR`` and local.conf.

    ``stand_ins``: the name of the file in this folder that says what
    devstack's functions do. ``variables``: what local.conf and devstack set;
    ``openrc``: what unstack.sh and clean.sh have besides, and stack.sh not.
    """

    path: pathlib.Path
    stand_ins: str
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    openrc: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def called(self) -> list[str]:
        """All calls of devstack's functions so far, in their order."""
        return (self.path / "calls").read_text().splitlines()

    @property
    def conf(self) -> pathlib.Path:
        """The service's folder in place of one in /etc."""
        return self.path / "etc/dib-service"

    @property
    def data(self) -> pathlib.Path:
        """What the service stores."""
        return self.path / "data/dib-service"

    def run(self, mode: str, phase: str = "", **variables: str) -> str:
        """Run the plugin as that script does; what it printed.

        :raises AssertionError: it failed, or called what does not exist.
        """
        refused = self.path / "refused"
        self.path.mkdir(parents=True, exist_ok=True)
        refused.write_text("")
        done = subprocess.run(
            ["bash", "-c", SCRIPT.format(here=HERE, mode=mode, phase=phase)],
            env={**self._environment(mode), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = f"{mode} {phase}:\n{done.stdout}"
        if complaint := refused.read_text():
            raise AssertionError(f"{complaint}{said}")
        if done.returncode != 0:
            raise AssertionError(f"exited {done.returncode}, {said}")
        return done.stdout

    def _environment(self, mode: str) -> dict[str, str]:
        return {
            # Where devstack installs to, then the machine's.
            "PATH": f"{self.path}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.path),
            "LC_ALL": "C.UTF-8",
            "MODE": mode,
            "CALLS": str(self.path / "calls"),
            "REFUSED": str(self.path / "refused"),
            "STAND_INS": str(HERE / self.stand_ins),
            "DEST": str(self.path),
            "TOP_DIR": str(self.path / "devstack"),
            "DATA_DIR": str(self.path / "data"),
            "DIB_SERVICE_DIR": str(CHECKOUT),
            "DIB_SERVICE_CONF_DIR": str(self.conf),
            "ENABLED_SERVICES": "key,g-api,rabbit,postgresql",
            "ENABLE_DEBUG_LOG_LEVEL": "True",
            "OPENSTACKCLIENT_CONF_DIR": str(self.path / "etc/openstack"),
            "REGION_NAME": "RegionOne",
            "SERVICE_DOMAIN_NAME": "Default",
            "SERVICE_HOST": "127.0.0.1",
            "SERVICE_PASSWORD": "secret",
            "SERVICE_PROJECT_NAME": "service",
            "SERVICE_PROTOCOL": "http",
            "SERVICE_TIMEOUT": "60",
            "STACK_USER": getpass.getuser(),
            **self.variables,
            **({} if mode == "stack" else self.openrc),
        }
