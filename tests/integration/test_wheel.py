"""The wheel alone, in an empty environment outside the checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

COMMANDS = (
    "dib-all-in-one",
    "dib-api",
    "dib-builder",
    "dib-conductor",
    "dib-engine",
    "dib-image-create",
    "dib-manage",
    "dib-status",
)

# The engine's own program lists, its own rules resolve.
RESOLVE = """
import json, subprocess
from dib_service.engine import catalogue
listed = subprocess.check_output(["dib-engine", "elements"])
shelf = [catalogue.Element.from_dict(row) for row in json.loads(listed)]
by_name = {element.name: element for element in shelf}
print(*(row.name for row in catalogue.resolve(["debian", "vm"], by_name)))
"""


class WheelTest(unittest.TestCase):
    """What somebody has who installed the package and nothing else."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="dib-wheel-")
        cls.addClassCleanup(folder.cleanup)
        cls.path = pathlib.Path(folder.name)
        cls.venv = cls.path / "venv"
        wheel = build_wheel(cls.path)
        run(sys.executable, "-m", "venv", str(cls.venv))
        run(
            str(cls.venv / "bin/pip"),
            *("install", "-q", "-c", str(CHECKOUT / "constraints.txt")),
            *(str(wheel), "python-openstackclient"),
        )

    def test_every_command_explains_itself(self) -> None:
        for command in COMMANDS:
            with self.subTest(command):
                self.assertIn("usage", self.call(command, "--help").lower())

    def test_the_engine_resolves_debian_vm(self) -> None:
        self.assertLessEqual(
            {"base", "debian", "vm"},
            set(self.call("python", "-c", RESOLVE).split()),
        )

    def test_the_elements_are_as_in_the_checkout(self) -> None:
        installed = self.venv / "share/dib-service/elements"
        self.assertEqual(tree(CHECKOUT / "elements"), tree(installed))

    def test_what_operators_start_from_is_as_in_the_checkout(self) -> None:
        for folder in (CHECKOUT / "etc").iterdir():
            with self.subTest(folder.name):
                place = f"share/dib-service/{folder.name}"
                if folder.name == "dib-service":
                    place = "etc/dib-service"
                self.assertEqual(tree(folder), tree(self.venv / place))

    def test_diskimage_builders_commands_need_no_active_environment(
        self,
    ) -> None:
        drop_in = self.venv / "share/dib-service/drop-in"
        self.assertEqual(
            f"{drop_in}\n", self.call("dib-image-create", "--drop-in-path")
        )
        self.assertEqual(tree(CHECKOUT / "drop-in"), tree(drop_in))
        for command in drop_in.iterdir():
            with self.subTest(command.name):
                said = run(
                    *(str(command), "--help"),
                    cwd=self.path,
                    env={"PATH": "/usr/bin:/bin"},
                )
                self.assertIn(f"sage: {command.name} ", said)

    def test_openstack_has_the_commands(self) -> None:
        said = self.call("openstack", "image", "build", "create", "--help")
        self.assertIn("--element", said)

    def call(self, command: str, *words: str) -> str:
        """What an installed command prints."""
        commands = self.venv / "bin"
        return run(
            str(commands / command),
            *words,
            cwd=self.path,
            env={"PATH": f"{commands}:/usr/sbin:/usr/bin:/sbin:/bin"},
        )


def build_wheel(folder: pathlib.Path) -> pathlib.Path:
    """A wheel of what git knows of this checkout and would take in."""
    # Built from a copy: setuptools leaves its traces where it works.
    copy = folder / "source"
    listed = run(
        *("git", "ls-files", "-z", "-co", "--exclude-standard"), cwd=CHECKOUT
    )
    for name in filter(None, listed.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).exists():
            shutil.copy2(CHECKOUT / name, target, follow_symlinks=False)
    # pbr takes the list of files, and the version, from git.
    run("git", "init", "-q", cwd=copy)
    run("git", "add", "-A", cwd=copy)
    run(
        sys.executable,
        *("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"),
        *("-w", str(folder), str(copy)),
        env={"PBR_VERSION": "0.0.1"},
    )
    return next(folder.glob("*.whl"))


def tree(root: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Every file below root with its mode and content."""
    return {
        str(path.relative_to(root)): (
            # Only whether it is run matters; a umask may take the rest.
            path.stat().st_mode & 0o100,
            path.read_bytes(),
        )
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run(
    *words: str,
    cwd: pathlib.Path | None = None,
    env: dict[str, str] | None = None,
) -> str:
    """What a command prints on stdout; it has to succeed."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**_environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(
            f"{words} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, without what would lead an empty environment to our packages."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "OS_", "VIRTUAL_ENV"))
    }
