"""The elements' declarative files mean what they mean to the peer."""

import json
import os
from pathlib import Path
import runpy
import subprocess
import sys
import tempfile
import unittest

import yaml

from tests.conformance import peer

OURS = Path(__file__).parents[2] / "elements"
PATH = f"{OURS / 'dib-json/bin'}:{os.environ['PATH']}"
PLACES = (
    ("debian", "bookworm"),
    ("centos", "8-stream"),
    ("opensuse", "15.5"),
)

# Ours in the place of each, with what it needs to find the other's.
SQUASH = "package-installs/bin/package-installs-squash"
PKG_MAP = "pkg-map/bin/pkg-map"
V2 = "package-installs/bin/package-installs-v2"

# What the peer's copies of its elements ask about.
VARIABLES = {
    "ARCH": "amd64",
    "DIB_BLOCK_DEVICE": "gpt",
    "DIB_BOOTLOADER_VIRTUAL_TERMINAL": "tty0",
    "DIB_DHCP_CLIENT": "dhclient",
    "DIB_INIT_SYSTEM": "systemd",
    "DIB_PYTHON_VERSION": "3",
    "DIB_RELEASE": "bookworm",
    "DIB_SIMPLE_INIT_NETWORKMANAGER": "0",
    "DISTRO_NAME": "debian",
}

# Each is an element's file; what came first is listed first.
CASES = {
    "a name": ["editor:\n"],
    "phases": ["a:\n  phase: pre-install.d\nb:\n  phase: post-install.d\n"],
    "uninstall": ["a:\n  uninstall: true\n"],
    "uninstall of nothing": ["a:\n  uninstall:\n"],
    "build-only": ["a:\n  build-only: true\n"],
    "install, uninstall": ["a:\n", "a:\n  uninstall: true\n"],
    "uninstall, install": ["a:\n  uninstall: true\n", "a:\n"],
    "install, build-only": ["a:\n", "a:\n  build-only: true\n"],
    "build-only, install": ["a:\n  build-only: true\n", "a:\n"],
    "build-only twice": ["a:\n  build-only: 1\n", "a:\n  build-only: 1\n"],
    "build-only, uninstall": ["a:\n  build-only: 1\n", "a:\n  uninstall: 1\n"],
    "arch": ["a:\n  arch: amd64\nb:\n  arch: arm64\n"],
    "archs": ["a:\n  arch: arm64,amd64\nb:\n  not-arch: arm64,amd64\n"],
    "installtype": ["a:\n  installtype: source\nb:\n  installtype: package\n"],
    "python": ["a:\n  dib_python_version: 2\nb:\n  dib_python_version: 3\n"],
    "when": ["a:\n  when: ARCH=amd64\nb:\n  when: ARCH != amd64\n"],
    "all of when": [
        "a:\n  when:\n    - ARCH = amd64\n    - DISTRO_NAME = fedora\n"
    ],
    "a list": ["a:\n  - arch: arm64\n  - arch: amd64\n    phase: install.d\n"],
    "nothing in it": ["a: []\nb: {}\nc:\n"],
    "json": ['{"a": {"phase": "install.d"}}'],
    "a key that nobody knows": ["a:\n  colour: blue\n"],
    "an unset variable": ["a:\n  when: NOT_SET = 1\n"],
    "arch and not-arch": ["a:\n  arch: amd64\n  not-arch: arm64\n"],
    "nonsense in when": ["a:\n  when: ARCH\n"],
}


class SquashTest(unittest.TestCase):
    """What each phase installs, from the same files."""

    maxDiff = None

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.shelf = Path(holder.name)

    def test_each_kind_of_wish(self) -> None:
        for name, files in CASES.items():
            shelf = self.shelf / name
            for number, text in enumerate(files):
                place = shelf / f"element-{number}"
                place.mkdir(parents=True)
                (place / "package-installs.yaml").write_text(text)
            with self.subTest(name):
                self.assert_same(shelf)

    def test_all_of_the_peers_own_elements(self) -> None:
        self.assert_same(peer.elements())

    def assert_same(self, shelf: Path) -> None:
        names = sorted(
            path.parent.name for path in shelf.glob("*/package-installs.[jy]*")
        )
        theirs = squashed(peer.elements(), peer.venv(), shelf, names)
        ours = squashed(OURS, Path(sys.prefix), shelf, names)
        self.assertEqual(theirs, ours)


def squashed(
    elements: Path, venv: Path, shelf: Path, names: list[str]
) -> tuple[bool, object]:
    """Whether it went well, and what each phase is to do."""
    with tempfile.NamedTemporaryFile() as made:
        done = subprocess.run(
            [
                *(venv / "bin/python", elements / SQUASH),
                *("--elements", " ".join(names), "--path", shelf, made.name),
            ],
            env={"PATH": PATH, **VARIABLES},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return False, done.returncode
        plan = json.load(made)
    return True, {
        phase: {action: asked for action, asked in what.items() if asked}
        for phase, what in plan.items()
        if any(what.values())
    }


class PkgMapTest(unittest.TestCase):
    """What packages are called, from the same maps."""

    def said(self, elements: Path, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [elements / PKG_MAP, *words],
            env={"PATH": PATH},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout

    def assert_same(self, *words: str) -> None:
        with self.subTest(words):
            self.assertEqual(
                self.said(peer.elements(), *words), self.said(OURS, *words)
            )

    def test_every_map_of_the_peers_own(self) -> None:
        for map_ in sorted(peer.elements().glob("*/pkg-map")):
            if not map_.is_file():
                continue
            names = sorted(named_in(json.loads(map_.read_text())))
            for distro, release in PLACES:
                self.assert_same(
                    *("--pkg-map", str(map_), "--distro", distro),
                    *("--release", release, "--missing-ok", "--prefix=-"),
                    *(*names, "no-such-name"),
                )

    def test_how_it_ends(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            known = Path(place, "map")
            known.write_text('{"default": {"a": "x y", "b": ""}}')
            bad = Path(place, "bad")
            bad.write_text("{")
            for words in (
                ("--pkg-map", str(known), "--distro", "debian", "a", "b"),
                ("--pkg-map", str(known), "--distro", "debian", "c"),
                ("--pkg-map", str(known), "--distro=debian", "a", "c"),
                ("--pkg-map", str(known), "a"),
                ("--pkg-map", str(bad), "--distro", "debian", "a"),
                ("--element", "x", "--pkg-map", str(known), "a"),
                ("--element", "no-such", "--distro", "debian", "a"),
                (
                    *("--element", "no-such", "--distro", "debian"),
                    *("--missing-ok", "--prefix", "-", "a", "b"),
                ),
                ("--distro", "debian", "a"),
            ):
                self.assert_same(*words)


def named_in(sections: dict) -> set[str]:
    """The names that a map knows, in any of its sections."""
    found = set()
    for name, value in sections.items():
        if isinstance(value, dict):
            found |= named_in(value)
        else:
            found.add(name)
    return found


class InstallTest(unittest.TestCase):
    """What install-packages is asked for, from the same squashed file."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        # Knows one element's map.
        (self.place / "map").write_text(
            '{"default": {"a": "apple", "b": "", "c": "cherry cake"}}'
        )
        self.file = self.place / "package-installs.json"

    def have_map_of(self, elements: Path) -> None:
        """Have the name of one of the two that map names."""
        fake = self.place / "pkg-map"
        fake.write_text(
            f"""#!/bin/bash
words=()
while [ $# -gt 0 ]; do
    case $1:$2 in
        --element:one) words+=(--pkg-map {self.place}/map) && shift ;;
        *) words+=("$1") ;;
    esac
    shift
done
exec {elements / PKG_MAP} --distro debian "${{words[@]}}"
"""
        )
        fake.chmod(0o755)

    def asked(self, elements: Path, *words: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [elements / V2, "--noop", *words, self.file],
            env={"PATH": f"{self.place}:{PATH}"},
            capture_output=True,
            text=True,
        )
        asked = [
            line
            for line in done.stdout.splitlines()
            if line.startswith("install-packages")
        ]
        # The peer's order is another one each time.
        return done.returncode, sorted(" ".join(asked).split())

    def test_the_words(self) -> None:
        self.file.write_text(
            json.dumps(
                {
                    "install.d": {
                        "install": [["a", "one"], ["b", "one"], ["a", "two"]],
                        "uninstall": [["c", "one"]],
                    },
                    "post-install.d": {"install": [["d", "two"]]},
                }
            )
        )
        for words in (
            ("--phase", "install.d"),
            ("--phase", "install.d", "--uninstall"),
            ("--phase", "post-install.d"),
            ("--phase", "post-install.d", "--uninstall"),
            ("--phase", "pre-install.d"),
        ):
            with self.subTest(words):
                self.have_map_of(peer.elements())
                theirs = self.asked(peer.elements(), *words)
                # Either may come first in ELEMENTS_PATH, without the other.
                for maps in (peer.elements(), OURS):
                    self.have_map_of(maps)
                    for commands in (peer.elements(), OURS):
                        self.assertEqual(theirs, self.asked(commands, *words))


class SvcMapTest(unittest.TestCase):
    """What services are called, from the same files."""

    FILES = (
        "web: {debian: apache2, default: httpd}\nown: {redhat: other}\n",
        "log: {redhat: rsyslogd, suse: syslog, default: log}\n",
    )

    def test_the_names(self) -> None:
        for distro in ("debian", "ubuntu", "fedora", "opensuse", "gentoo"):
            with self.subTest(distro):
                self.assertEqual(self.theirs(distro), self.ours(distro))

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        (self.place / "tmp").mkdir()
        self.chosen = {}
        for number, text in enumerate(self.FILES):
            element = self.place / f"element-{number}"
            element.mkdir()
            (element / "svc-map").write_text(text)
            self.chosen[element.name] = str(element)

    def theirs(self, distro: str) -> dict[str, str]:
        subprocess.run(
            [
                peer.venv() / "bin/python",
                *peer.elements().glob("svc-map/extra-data.d/10-*"),
            ],
            env={
                "PATH": PATH,
                "DISTRO_NAME": distro,
                "IMAGE_ELEMENT_YAML": yaml.safe_dump(self.chosen),
                "TMP_MOUNT_PATH": str(self.place),
            },
            check=True,
        )
        return yaml.safe_load(
            (self.place / "tmp/svc-map-services").read_text()
        )

    def ours(self, distro: str) -> dict[str, str]:
        merge = OURS / "svc-map/svc-map-tools/merge"
        return runpy.run_path(str(merge))["merged"](self.chosen, distro)
