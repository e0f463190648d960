"""What elements install with dnf stays, whatever else is removed."""

import os
from pathlib import Path
import subprocess
import tempfile
import unittest

from tests import rpm_repository

INSTALL_PACKAGES = (
    Path(__file__).parents[2] / "elements/yum/bin/install-packages"
)
PACKAGES = (
    rpm_repository.Package("library", {"/usr/share/library": "here\n"}),
    rpm_repository.Package("compiler", requires=("library",)),
    rpm_repository.Package("other", {"/usr/share/other": "here\n"}),
)
# The host's program, on a tree: what is run in a chroot otherwise.
WRAPPED = """#!/bin/bash
exec {program} {words} "$@"
"""
STAND_IN = """#!/bin/bash
echo "asked: $*"
"""


class InstallPackages(unittest.TestCase):
    """The command of the element, with this host's dnf and rpm."""

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("rpm works in a tree here: run it as root")
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.root = self.place / "root"
        self.root.mkdir()
        self.programs = self.place / "bin"
        self.programs.mkdir()

    def program(self, name: str, text: str) -> Path:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run_command(self, *words: str) -> str:
        done = subprocess.run(
            [INSTALL_PACKAGES, *words],
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "LC_ALL": "C",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def publish(self) -> None:
        """A signed repository, and a tree that takes its packages there."""
        repository = self.place / "repository"
        repository.mkdir()
        for path in rpm_repository.build(PACKAGES, self.place / "made"):
            path.rename(repository / path.name)
        keys = rpm_repository.Keys()
        self.addCleanup(keys.close)
        key = keys.make("packager")
        keys.sign_packages("packager", repository.glob("*.rpm"))
        rpm_repository.index(repository)
        config = self.place / "dnf.conf"
        config.write_text(
            "[main]\nplugins=0\nreposdir=/nonexistent\n"
            f"[all]\nname=all\nbaseurl=file://{repository}\n"
            f"gpgkey=file://{key}\n"
        )
        for name, words in (
            (
                "dnf",
                f"--config {config} --installroot {self.root}"
                " --releasever 42 --setopt=install_weak_deps=False",
            ),
            ("rpm", f"--root {self.root}"),
        ):
            self.program(
                name, WRAPPED.format(program=f"/usr/bin/{name}", words=words)
            )

    def test_what_came_for_another_is_kept_once_it_is_asked_for(self) -> None:
        self.publish()
        there = self.root / "usr/share/library"
        self.run_command("compiler")
        self.assertTrue(there.exists())
        for words in (("library",), ("library", "other")):
            with self.subTest(words):
                self.run_command("compiler")
                self.run_command(*words)
                self.run_command("-e", "compiler")
                self.assertTrue(there.exists())
                self.run_command("-e", "library")
                self.assertFalse(there.exists())

    def test_what_nobody_asked_for_goes_with_what_it_came_for(self) -> None:
        self.publish()
        self.run_command("compiler")
        self.run_command("-e", "compiler")
        self.assertFalse((self.root / "usr/share/library").exists())

    def test_dnf_5_has_a_word_of_its_own_for_it(self) -> None:
        self.program("rpm", "#!/bin/bash\n")
        self.program("dnf5", STAND_IN)
        (self.programs / "dnf").symlink_to("dnf5")
        said = self.run_command("library")
        asked = [line for line in said.splitlines() if "asked: " in line]
        self.assertEqual(1, len(asked), said)
        self.assertTrue(asked[0].endswith(" mark user library"), said)
