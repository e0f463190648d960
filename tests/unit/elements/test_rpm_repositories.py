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
    "opensuse": ("15.6", "16.0", "16.1", "tumbleweed"),
    "rhel": ("9", "9.6", "10"),
    "rocky": ("9", "10", "10.1"),
}

OPENSUSE = "https://download.opensuse.org"


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

    def printed(
        self, tool: str, distro: str, release: str, **environment: str
    ) -> str:
        return subprocess.run(
            [self.tools / tool, "/srv/key.asc"],
            env={
                "PATH": os.environ["PATH"],
                "ARCH": "amd64",
                "DISTRO_NAME": distro,
                "DIB_RELEASE": release,
                "DIB_RPM_KERNEL": "kernel",
                **environment,
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def signed(self, distro: str, release: str, mirror: str = "") -> set[str]:
        """Whether the indexes have to be signed, as it stands in the file."""
        printed = self.printed(
            "repositories", distro, release, DIB_DISTRIBUTION_MIRROR=mirror
        )
        return set(re.findall("^repo_gpgcheck=(.*)$", printed, re.MULTILINE))

    def addresses(self, release: str, **environment: str) -> list[str]:
        printed = self.printed(
            "repositories", "opensuse", release, **environment
        )
        return re.findall("^baseurl=(.*)$", printed, re.MULTILINE)

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

    def test_each_of_leap_16_is_made_as_the_first(self) -> None:
        for release in ("16.0", "16.1"):
            with self.subTest(release):
                self.assertEqual(
                    [
                        f"{OPENSUSE}/distribution/leap/{release}"
                        "/repo/oss/x86_64"
                    ],
                    self.addresses(release),
                )
                wanted = self.printed("wanted", "opensuse", release).split()
                self.assertIn("Leap-release", wanted)
                self.assertNotIn("openSUSE-release", wanted)

    def test_tumbleweed_has_another_place_for_arm64(self) -> None:
        self.assertEqual(
            [
                f"{OPENSUSE}/tumbleweed/repo/oss",
                f"{OPENSUSE}/update/tumbleweed",
            ],
            self.addresses("tumbleweed"),
        )
        below = "ports/aarch64/tumbleweed/repo/oss"
        for mirror, root in (("", OPENSUSE), ("http://m.example",) * 2):
            self.assertEqual(
                [f"{root}/{below}"],
                self.addresses(
                    "tumbleweed", ARCH="arm64", DIB_DISTRIBUTION_MIRROR=mirror
                ),
            )
        wanted = self.printed(
            "wanted", "opensuse", "tumbleweed", ARCH="arm64"
        ).split()
        self.assertIn("openSUSE-release", wanted)

    def test_leap_has_both_processors_in_one_place(self) -> None:
        self.assertEqual(
            [f"{OPENSUSE}/distribution/leap/16.0/repo/oss/aarch64"],
            self.addresses("16.0", ARCH="arm64"),
        )


class CloudImagesTest(unittest.TestCase):
    def test_opensuses_is_where_its_release_and_processor_are(self) -> None:
        for release, machine, place, name in (
            ("15.6", "x86_64", "distribution/leap/15.6", "openSUSE-Leap-15.6"),
            ("16.1", "aarch64", "distribution/leap/16.1", "Leap-16.1"),
            ("Tumbleweed", "x86_64", "tumbleweed", "openSUSE-Tumbleweed"),
            (
                *("Tumbleweed", "aarch64", "ports/aarch64/tumbleweed"),
                "openSUSE-Tumbleweed",
            ),
        ):
            with self.subTest(release, machine=machine):
                said = sourced(
                    "opensuse",
                    "$DIB_CLOUD_IMAGES $BASE_IMAGE_FILE",
                    DIB_RELEASE=release,
                    DIB_CLOUD_IMAGE_MACHINE=machine,
                )
                self.assertEqual(
                    [
                        f"{OPENSUSE}/{place}/appliances",
                        f"{name}-Minimal-VM.{machine}-Cloud.qcow2",
                    ],
                    said,
                )


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
        return sourced(
            element,
            "$DIB_RPM_KEY_NAMES",
            DIB_CLOUD_IMAGE_MACHINE="x86_64",
            DIB_RELEASE=release,
        )


def sourced(element: str, words: str, **environment: str) -> list[str]:
    """What an element's environment makes of these words."""
    snippet = ELEMENTS / element / f"environment.d/10-{element}.bash"
    return subprocess.run(
        ["bash", "-eu", "-c", f'. {snippet}; echo "{words}"'],
        env={"PATH": os.environ["PATH"], **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
