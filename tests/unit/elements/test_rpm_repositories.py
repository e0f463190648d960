"""Which repositories an RPM system is made of, and what proves their index."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"


class RepositoriesTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.tools = pathlib.Path(holder.name)
        for element in ("rpm-distro", "fedora-minimal", "opensuse-minimal"):
            shutil.copytree(
                ELEMENTS / element / "rpm-tools",
                self.tools,
                dirs_exist_ok=True,
            )

    def signed(self, distro: str, release: str, mirror: str = "") -> set[str]:
        """Whether the indexes have to be signed, as it stands in the file."""
        printed = subprocess.run(
            [self.tools / "repositories", "/srv/key.asc"],
            env={
                "PATH": os.environ["PATH"],
                "ARCH": "amd64",
                "DISTRO_NAME": distro,
                "DIB_RELEASE": release,
                "DIB_DISTRIBUTION_MIRROR": mirror,
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return set(re.findall("^repo_gpgcheck=(.*)$", printed, re.MULTILINE))

    def test_https_stands_for_a_signature_that_nobody_makes(self) -> None:
        self.assertEqual({"0"}, self.signed("fedora", "43"))
        self.assertEqual(
            {"0"}, self.signed("fedora", "43", "https://mirror.example.org/f")
        )

    def test_another_mirrors_index_has_to_be_signed(self) -> None:
        for mirror in (
            "http://mirror.example.org/f",
            "file:///srv/mirror",
            # It is not https for having that in it.
            "http://mirror.example.org/f?of=https://",
        ):
            with self.subTest(mirror):
                self.assertEqual({"1"}, self.signed("fedora", "43", mirror))

    def test_opensuse_signs_its_own(self) -> None:
        for mirror in ("", "https://mirror.example.org/o"):
            self.assertEqual({"1"}, self.signed("opensuse", "15.6", mirror))
