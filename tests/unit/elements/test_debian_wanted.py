"""The packages of an image are names, whatever else is asked for."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"
WANTED = ELEMENTS / "debootstrap/debian-tools/wanted"
UBUNTU = ELEMENTS / "ubuntu-minimal/environment.d/10-ubuntu-minimal.bash"
KERNEL = "linux-image-amd64"


class TestWanted(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name)

    def run_wanted(
        self,
        kernel: str = KERNEL,
        packages: str = "",
        release: str = "bookworm",
        program: pathlib.Path = WANTED,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program],
            cwd=self.place,
            env={
                "PATH": os.environ["PATH"],
                "DIB_DEBIAN_KERNEL": kernel,
                "DIB_DEBIAN_PACKAGES": packages,
                "DIB_RELEASE": release,
            },
            capture_output=True,
            text=True,
        )

    def test_the_list_with_the_kernel_and_what_is_asked_for(self) -> None:
        done = self.run_wanted(packages="jq, g++:amd64,curl/stable  tree")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        names = done.stdout.splitlines()
        self.assertEqual(
            ["jq", "g++:amd64", "curl/stable", "tree"], names[-4:]
        )
        self.assertIn(KERNEL, names)
        self.assertIn("apt", names)
        self.assertEqual([], [name for name in names if "@" in name])

    def test_a_package_of_some_releases_only(self) -> None:
        program = self.place / "wanted"
        program.write_bytes(WANTED.read_bytes())
        program.chmod(0o755)
        (self.place / "packages").write_text(
            "all # always\nold a b\nnew !a !b\nodd !b # not there\n"
        )
        for release, expected in (
            ("a", ["all", "old", "odd"]),
            ("b", ["all", "old"]),
            ("c", ["all", "new", "odd"]),
            # Part of a name is not the name.
            ("aa", ["all", "new", "odd"]),
        ):
            done = self.run_wanted(release=release, program=program)
            names = done.stdout.splitlines()
            self.assertEqual("", done.stderr)
            self.assertEqual(expected, names[: len(expected)])
            self.assertNotIn("odd" if release == "b" else "x", names)

    def test_a_kernel_is_no_command(self) -> None:
        done = self.run_wanted(kernel="x/;1e touch ran #")
        self.assertEqual([], list(self.place.iterdir()))
        self.assertEqual(1, done.returncode)
        self.assertIn("DIB_DEBIAN_KERNEL", done.stderr)

    def test_a_package_is_no_option_no_file_and_no_pattern(self) -> None:
        for name in (
            "-oAcquire::http::Proxy-Auto-Detect=/usr/bin/id",
            "--allow-unauthenticated",
            "/tmp/x.deb",
            "./x.deb",
            "?essential",
            "*",
            "nano;id",
        ):
            with self.subTest(name):
                done = self.run_wanted(packages=f"jq,{name}")
                self.assertEqual(1, done.returncode)
                self.assertIn("DIB_DEBIAN_PACKAGES", done.stderr)


class TestUbuntusKernel(unittest.TestCase):
    def test_the_newer_one_has_the_number_of_its_release(self) -> None:
        for release, kernel in (
            ("jammy", "linux-image-generic-hwe-22.04"),
            ("noble", "linux-image-generic-hwe-24.04"),
            ("resolute", "linux-image-generic-hwe-26.04"),
        ):
            with self.subTest(release):
                said = subprocess.run(
                    ["bash", "-euc", f'. {UBUNTU}; echo "$DIB_DEBIAN_KERNEL"'],
                    env={
                        "PATH": os.environ["PATH"],
                        "DIB_RELEASE": release,
                        "DIB_UBUNTU_KERNEL": "linux-image-hwe",
                    },
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                self.assertEqual(f"{kernel}\n", said)
