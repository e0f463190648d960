"""Which repositories an RPM system is made of, and what proves their index."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"

# What the package distribution-gpg-keys has of ours (1.121, August 2026); of
# Red Hat's, a host of theirs has the last.
KEYS = {
    "centos/RPM-GPG-KEY-CentOS-Official",
    "centos/RPM-GPG-KEY-CentOS-Official-SHA256",
    "centos/RPM-GPG-KEY-CentOS-SIG-Extras",
    "centos/RPM-GPG-KEY-CentOS-SIG-Extras-SHA512",
    "fedora/RPM-GPG-KEY-fedora-42-primary",
    "fedora/RPM-GPG-KEY-fedora-43-primary",
    "opensuse/RPM-GPG-KEY-openSUSE",
    "opensuse/RPM-GPG-KEY-openSUSE-16-Backports",
    "opensuse/RPM-GPG-KEY-openSUSE-2022",
    "opensuse/RPM-GPG-KEY-openSUSE-Backports",
    "opensuse/RPM-GPG-KEY-openSUSE-Backports-2023",
    "redhat/RPM-GPG-KEY-redhat9-release",
    "redhat/RPM-GPG-KEY-redhat10-release",
    "rocky/RPM-GPG-KEY-Rocky-10",
    "rocky/RPM-GPG-KEY-Rocky-9",
    "suse/RPM-GPG-KEY-SuSE-ALP-Main",
    "suse/RPM-GPG-KEY-SuSE-SLE-15",
    "suse/RPM-GPG-KEY-SuSE-SLE-Main-2023",
    "RPM-GPG-KEY-redhat-release",
}
RELEASES = {
    "centos": ("9-stream", "10-stream"),
    "fedora": ("42", "43"),
    "opensuse": ("15.6", "16.0", "tumbleweed"),
    "rhel": ("9", "9.6", "10"),
    "rocky": ("9", "10", "10.1"),
}


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


class KeyNamesTest(unittest.TestCase):
    def test_each_release_is_proven_by_keys_that_there_are(self) -> None:
        for distro, releases in RELEASES.items():
            for element in (distro, f"{distro}-minimal"):
                for release in releases:
                    with self.subTest(element, release=release):
                        names = self.names(element, release)
                        self.assertLessEqual({*names}, KEYS)
                        self.assertNotEqual([], names)

    def names(self, element: str, release: str) -> list[str]:
        snippet = ELEMENTS / element / f"environment.d/10-{element}.bash"
        return subprocess.run(
            ["bash", "-eu", "-c", f'. {snippet}; echo "$DIB_RPM_KEY_NAMES"'],
            env={
                "PATH": os.environ["PATH"],
                "DIB_CLOUD_IMAGE_MACHINE": "x86_64",
                "DIB_RELEASE": release,
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
