"""From installed programs to a built image: what tools/quickstart shows.

Runs as ``python -m tools.lab.quickstart FOLDER SERVICES_VENV``.
"""

from collections.abc import Sequence
import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Any

from tools.lab import daemon, errors
from tools.lab.accounts import Account
from tools.lab.cloud import Cloud
from tools.lab.service import Service
from tools.lab.state import State

ELEMENTS = ("debian", "vm")

NEXT = """
To go on as {user}, who has no admin rights:

    . {openrc}
    openstack image build list
    openstack image build show {build}
    openstack image build log {build}
    openstack image element list
    openstack image build create mine --element debian --element vm --wait
    openstack image save --file debian.qcow2 {image}

To end everything: tools/quickstart stop; to forget it: tools/quickstart clean
"""


def main() -> None:
    """Put it up, build an image as a tenant, and say how to go on."""
    here, venv = (pathlib.Path(word) for word in sys.argv[1:])
    try:
        quickstart(here, venv)
    except errors.LabError as exc:
        sys.exit(f"quickstart: {exc}")


def quickstart(here: pathlib.Path, services_venv: pathlib.Path) -> None:
    """Everything, in its order."""
    cloud = Cloud(State(here), services_venv)
    say("starting Keystone and Glance")
    cloud.start()

    bin_path = pathlib.Path(sys.executable).parent
    service = Service(cloud, bin_path)
    say("starting dib-all-in-one")
    service.prepare()
    service.all_in_one.start()
    service.wait_until_ready(service.all_in_one)

    demo = cloud.account("demo")
    openrc = write_openrc(here, demo, bin_path)
    user = Tenant(demo, bin_path, log=service.all_in_one.log)
    say("waiting for a builder to register its elements")
    wait_for_elements(user, service.all_in_one)

    build, image = build_image(user)
    user.show("image", "show", image)
    print(
        NEXT.format(
            user=demo.username, openrc=openrc, build=build, image=image
        ),
        flush=True,
    )


class Tenant:
    """Somebody with an account and the ``openstack`` command."""

    def __init__(
        self, account: Account, bin_path: pathlib.Path, *, log: pathlib.Path
    ) -> None:
        self._openstack = str(bin_path / "openstack")
        self._env = {
            "PATH": daemon.PATH,
            "LC_ALL": "C.UTF-8",
            "HOME": os.environ.get("HOME", "/"),
            **account.environment(),
        }
        self._log = log

    def show(self, *words: str) -> None:
        """Run a command where the reader sees it.

        :raises LabError: it failed.
        """
        self._run(words, stdout=None)

    def ask(self, *words: str) -> Any:
        """What a command answers, from its JSON; its stderr is shown.

        :raises LabError: it failed.
        """
        said = self._run(words, stdout=subprocess.PIPE, options=["-f", "json"])
        return json.loads(said)

    def elements(self) -> set[str]:
        """The names of the elements that there are, so far as one can ask."""
        done = subprocess.run(
            [self._openstack, "image", "element", "list", "-f", "json"],
            env=self._env,
            capture_output=True,
            check=False,
        )
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        return {row["Name"] for row in rows}

    def _run(
        self,
        words: Sequence[str],
        *,
        stdout: int | None,
        options: Sequence[str] = (),
    ) -> str:
        say(f"$ openstack {shlex.join(words)}")
        done = subprocess.run(
            [self._openstack, *words, *options],
            env=self._env,
            stdout=stdout,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise errors.LabError(
                f"openstack {shlex.join(words)} exited {done.returncode}",
                log=self._log,
            )
        return done.stdout or ""


def wait_for_elements(user: Tenant, builder: daemon.Daemon) -> None:
    """Return once the catalogue has what is going to be built.

    :raises LabError: the builder did not register in time.
    """
    builder.wait_until(lambda: set(ELEMENTS) <= user.elements(), seconds=90)


def build_image(user: Tenant) -> tuple[str, str]:
    """Build one and wait for it: the ids of the build and of its image."""
    now = datetime.datetime.now(tz=datetime.UTC)
    words = ["image", "build", "create", f"quickstart-{now:%Y%m%d-%H%M%S}"]
    for element in ELEMENTS:
        words += ["--element", element]
    build = user.ask(*words, "--wait")
    return build["id"], build["image_ids"][0]


def write_openrc(
    here: pathlib.Path, account: Account, bin_path: pathlib.Path
) -> pathlib.Path:
    """The file with which a shell becomes this user."""
    # Only this one command, so that the environment's python and pip do not
    # come before the reader's own.
    commands = here / "bin"
    commands.mkdir(exist_ok=True)
    link = commands / "openstack"
    link.unlink(missing_ok=True)
    link.symlink_to(bin_path / "openstack")
    lines = [
        f"# {account.username} of project {account.project_name}.",
        # What was set for another cloud would win over this one.
        'for name in $(env | sed -n "s/^\\(OS_[A-Z_]*\\)=.*/\\1/p"); do',
        "    unset $name",
        "done",
        *(
            f"export {name}={shlex.quote(value)}"
            for name, value in account.environment().items()
        ),
        f"export PATH={shlex.quote(str(commands))}:$PATH",
    ]
    openrc = here / "openrc"
    openrc.touch(mode=0o600)
    openrc.write_text("\n".join(lines) + "\n")
    return openrc


def say(text: str) -> None:
    """One line to the person who waits."""
    print(f"{time.strftime('%T')}  {text}", flush=True)


if __name__ == "__main__":
    main()
