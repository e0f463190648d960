"""Tempest with our plugin, against a cloud of the lab.

Runs as ``python -m tools.lab.tempest FOLDER SERVICES_VENV [OPTION…]`` against
a quickstart that is up; the options are those of ``tempest run``.
"""

from collections.abc import Mapping
import configparser
import importlib.metadata
import pathlib
import subprocess
import sys

from tools.lab import accounts, daemon, errors
from tools.lab.cloud import Cloud
from tools.lab.state import State

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
OURS = r"^dib_service\.tempest_plugin\."

Options = Mapping[str, Mapping[str, object]]


def main() -> None:
    """Run the tests against the quickstart of a folder."""
    here, venv = (pathlib.Path(word) for word in sys.argv[1:3])
    try:
        tempest = Tempest(Cloud(State(here), venv), venv)
        tempest.prepare()
        sys.exit(tempest.run(*(sys.argv[3:] or ("--regex", OURS))))
    except errors.LabError as exc:
        sys.exit(f"tempest: {exc}")


class Tempest:
    """A workspace of tempest; ``venv`` is where it is installed.

    ``changes`` are options of ``tempest.conf`` that differ, by section.
    """

    def __init__(
        self,
        cloud: Cloud,
        venv: pathlib.Path,
        *,
        name: str = "tempest",
        changes: Options | None = None,
    ) -> None:
        self._cloud = cloud
        self._program = venv / "bin/tempest"
        self._changes = changes or {}
        self.path = cloud.state.path / name
        self._workspace = self.path / "workspace"
        self._plugins = self.path / "plugins"
        self.log = cloud.state.path / f"{name}.log"

    def prepare(self) -> None:
        """Make the workspace, its ``tempest.conf`` and the plugin's place."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _show_plugin(self._plugins)
        if not self._workspace.exists():
            daemon.run(
                [
                    *(str(self._program), "init", str(self._workspace)),
                    *("--workspace-path", str(self.path / "workspaces.yaml")),
                ],
                log=self.log,
                env=self._environment(),
            )
        self._write_options(self._workspace / "etc/tempest.conf")

    def run(self, *options: str, **kwargs: int) -> int:
        """The exit status of ``tempest run``, which says how it went."""
        return self.start("run", *options, **kwargs).returncode

    def start(
        self, *words: str, stdout: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of tempest in the workspace."""
        return subprocess.run(
            [str(self._program), *words],
            cwd=self._workspace,
            env={"PATH": daemon.PATH, **self._environment()},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT if stdout else None,
            text=True,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        return {
            "LC_ALL": "C.UTF-8",
            # Tempest keeps a list of workspaces there.
            "HOME": str(self.path),
            "PYTHONPATH": str(self._plugins),
        }

    def _write_options(self, file: pathlib.Path) -> None:
        admin = self._cloud.account("admin")
        sections: dict[str, dict[str, object]] = {
            "DEFAULT": {"log_file": "tempest.log"},
            "auth": {
                "admin_username": admin.username,
                "admin_password": admin.password,
                "admin_project_name": admin.project_name,
                "admin_domain_name": "Default",
            },
            "identity": {
                "uri_v3": self._cloud.keystone.auth_url,
                "auth_version": "v3",
                "region": accounts.REGION,
            },
            "oslo_concurrency": {"lock_path": str(self.path / "locks")},
            # A lab has these and no other services.
            "service_available": {
                "glance": True,
                "image_build": True,
                **dict.fromkeys(("cinder", "neutron", "nova"), False),
            },
        }
        for section, options in self._changes.items():
            sections.setdefault(section, {}).update(options)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict(sections)
        file.touch(mode=0o600)
        with file.open("w") as stream:
            parser.write(stream)


def _show_plugin(folder: pathlib.Path) -> None:
    """Make a folder for PYTHONPATH that has this package and no other.

    Tempest finds plugins by the metadata of what is installed; dib-service is
    installed in another environment, whose other packages are not tempest's.
    """
    folder.mkdir(exist_ok=True)
    site = pathlib.Path(
        str(importlib.metadata.distribution("dib-service").locate_file(""))
    )
    (metadata,) = site.glob("dib_service-*.dist-info")
    for link, target in (
        (folder / "dib_service", CHECKOUT / "dib_service"),
        (folder / metadata.name, metadata),
    ):
        link.unlink(missing_ok=True)
        link.symlink_to(target)


if __name__ == "__main__":
    main()
