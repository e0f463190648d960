"""The agent's own elements find their packages' names on each distribution.

They are those of ironic-python-agent-builder, unmodified; the elements below
them are ours. Nothing is built: this is what would be asked for.
"""

import collections
import functools
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import ClassVar
import unittest

from dib_service.engine import catalogue, elements, spec

CHECKOUT = Path(__file__).parents[2]
OURS = CHECKOUT / "elements"

# By family: a few names that differ, as the agent's elements write them.
DEBIAN = {
    "genisoimage": "genisoimage",
    "libssl-dev": "libssl-dev",
    "python-dev": "python3-dev",
    "qemu-utils": "qemu-utils",
    "growpart": "cloud-guest-utils",
}
REDHAT = {
    "genisoimage": "xorriso",
    "libssl-dev": "openssl-devel",
    "python-dev": "python3-devel",
    "qemu-utils": "qemu-img",
    "growpart": "cloud-utils-growpart",
}
SUSE = {
    "genisoimage": "mkisofs",
    "libssl-dev": "libopenssl-devel",
    "python-dev": "python3-devel",
    "qemu-utils": "qemu",
    "growpart": "growpart",
}
NEWER_PYTHON = {**REDHAT, "python-dev": "python3.12-devel"}

# The element, the release, how the agent's elements call the family.
BASES = (
    ("debian", "bookworm", "other", DEBIAN),
    ("ubuntu", "noble", "other", DEBIAN),
    ("ubuntu-minimal", "noble", "other", DEBIAN),
    ("fedora", "43", "rh", REDHAT),
    ("fedora-minimal", "43", "rh", REDHAT),
    ("rhel", "9", "rh", NEWER_PYTHON),
    ("centos", "9-stream", "rh", NEWER_PYTHON),
    ("rocky", "10", "other", REDHAT),
    ("opensuse", "15.6", "other", SUSE),
    ("opensuse-minimal", "15.6", "other", SUSE),
)


class RamdiskNames(unittest.TestCase):
    path: ClassVar[tuple[Path, ...]]

    @classmethod
    def setUpClass(cls) -> None:
        builder = "share/ironic-python-agent-builder/dib"
        cls.path = (OURS, Path(os.environ["DIB_PEER_VENV"]) / builder)

    def chosen(self, base: str) -> tuple[elements.Found, ...]:
        wanted = spec.BuildSpec(
            elements=(base, "ironic-python-agent-ramdisk", "growroot")
        )
        return elements.choose(wanted, self.path, lambda warning: None)

    def environment(self, found: tuple[elements.Found, ...], release: str):
        """What hooks would find there, after all of environment.d."""
        snippets = sorted(
            (
                snippet
                for each in found
                for snippet in each.directory.glob("environment.d/*")
            ),
            key=lambda snippet: snippet.name,
        )
        sourced = "".join(f". {snippet}\n" for snippet in snippets)
        said = subprocess.run(
            ["bash", "-c", f"set -eu -o pipefail\n{sourced}env -0"],
            env={
                "PATH": f"{OURS}/dib-json/bin:{os.environ['PATH']}",
                "ARCH": "amd64",
                "DIB_RELEASE": release,
                "DIB_DEFAULT_INSTALLTYPE": "source",
                "IMAGE_NAME": "ramdisk",
                "IMAGE_ELEMENT": " ".join(each.element.name for each in found),
                "IMAGE_ELEMENT_YAML": json.dumps(
                    {each.element.name: str(each.directory) for each in found}
                ),
            },
            capture_output=True,
            text=True,
        )
        self.assertEqual((0, ""), (said.returncode, said.stderr))
        return dict(
            line.split("=", 1)
            for line in said.stdout.split("\0")
            if "=" in line
        )

    def test_each_distribution(self) -> None:
        for base, release, family, names in BASES:
            with self.subTest(base):
                found = self.chosen(base)
                environment = self.environment(found, release)
                self.assertEqual(family, environment["IPA_DISTRO_FAMILY"])
                self.assert_hooks_go_together(found)
                self.assert_names(found, environment, names)

    def test_ubuntu_is_not_given_debians_components(self) -> None:
        environment = self.environment(self.chosen("ubuntu-minimal"), "noble")
        self.assertEqual("main,universe", environment["DIB_DEBIAN_COMPONENTS"])

    def assert_hooks_go_together(
        self, found: tuple[elements.Found, ...]
    ) -> None:
        owners = collections.Counter(
            f"{phase}/{hook}"
            for each in found
            for phase in catalogue.PHASES
            for hook in each.element.hooks.get(phase, ())
        )
        self.assertEqual([], [name for name, n in owners.items() if n > 1])

    def assert_names(
        self,
        found: tuple[elements.Found, ...],
        environment: dict[str, str],
        names: dict[str, str],
    ) -> None:
        squashed = subprocess.run(
            [
                sys.executable,
                OURS / "package-installs/bin/package-installs-squash",
                "-",
            ],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        places = {each.element.name: each.directory for each in found}
        mapped = functools.partial(self.mapped, places, environment)
        asked = {
            name: mapped(name, element)
            for phase in json.loads(squashed).values()
            for name, element in phase["install"]
        }
        self.assertEqual(names, {name: asked.get(name) for name in names})

    def mapped(
        self,
        places: dict[str, Path],
        environment: dict[str, str],
        name: str,
        element: str,
    ) -> str:
        return subprocess.run(
            [
                *(OURS / "pkg-map/bin/pkg-map", "--missing-ok"),
                *("--pkg-map", places[element] / "pkg-map", name),
            ],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
