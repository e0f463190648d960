"""RPM distributions come from packages, by the real dnf, zypper and rpm.

The repositories hold a small system made of this machine's own programs, under
the names that the distributions have for them.
"""

import json
import os
from pathlib import Path
import subprocess
import sys
import tarfile
import tempfile
import unittest

from dib_service.engine import elements
from tests import rpm_repository, serving

# Says where it was run, and finds what package-installs has installed there.
HOOK = """#!/bin/bash
set -eu
echo "{phase} $(. /etc/os-release && echo "$ID") $(cat /usr/share/wanted)" \\
    >>/trace
"""
PHASES = ("install.d", "post-install.d", "finalise.d")


class Distributions(unittest.TestCase):
    """Each is built, and hooks run in it."""

    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        if os.geteuid() != 0:
            raise AssertionError("these tests build images: run them as root")
        cls.repository = rpm_repository.whole()

    def setUp(self) -> None:
        # Not in /tmp, of which a build has its own.
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        trace = self.place / "elements/trace"
        for phase in PHASES:
            hook = trace / phase / "50-trace"
            hook.parent.mkdir(parents=True)
            hook.write_text(HOOK.format(phase=phase))
            hook.chmod(0o755)
        early = trace / "pre-install.d/50-trace"
        early.parent.mkdir()
        early.write_text("#!/bin/bash\necho pre-install.d >/trace\n")
        early.chmod(0o755)
        (trace / "element-deps").write_text("package-installs\n")
        (trace / "package-installs.yaml").write_text("wanted-by-name:\n")
        (trace / "pkg-map").write_text(
            '{"family": {"redhat": {"wanted-by-name": "wanted"},'
            ' "suse": {"wanted-by-name": "wanted"}}}'
        )
        self.keys = trace / "key.asc"
        self.keys.write_bytes(self.repository.key.read_bytes())

    def built(self, *names: str, **environment: str) -> dict[str, str | None]:
        """What the build's image holds, the texts of its small files."""
        mirror = serving.serve(
            self, self.repository.place, rpm_repository.Anywhere
        )
        described = self.place / "spec.json"
        described.write_text(
            json.dumps(
                {
                    "version": 1,
                    "name": "image",
                    "elements": [*names, "trace"],
                    "formats": ["raw", "tar"],
                    "environment": {
                        "DIB_DISTRIBUTION_MIRROR": mirror,
                        "DIB_RPM_GPG_KEYS": str(self.keys),
                        **environment,
                    },
                }
            )
        )
        path = [self.place / "elements", *elements.default_path()]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dib_service.engine", "build"),
                *(described, "--output-dir", self.place / "out"),
                *("--cache-dir", self.place / "cache"),
                *("--element-path", ":".join(map(str, path))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout[-6000:])
        self.said = done.stdout
        return texts(self.place / "out/image.tar")

    def assert_it_is(self, found: dict[str, str | None], identity: str):
        label = subprocess.run(
            [
                *("blkid", "--probe", "--match-tag", "LABEL"),
                *("--output", "value", self.place / "out/image.raw"),
            ],
            capture_output=True,
            text=True,
        ).stdout.strip()
        self.assertEqual("cloudimg-rootfs", label)
        self.assertEqual(
            "pre-install.d\n"
            + "".join(f"{phase} {identity} it is here\n" for phase in PHASES),
            found["trace"],
        )
        self.assertEqual("", found["etc/machine-id"])
        self.assertEqual("LANG=C.UTF-8\n", found["etc/locale.conf"])
        self.assertIn(
            "root=LABEL=cloudimg-rootfs", found["etc/kernel/cmdline"]
        )
        kept = [name for name in found if name.startswith("boot/initramfs-")]
        self.assertEqual(["boot/initramfs-6.1-test.img"], kept)
        # Of the build's own settings nothing stays.
        left = [
            name
            for name in found
            if "dib-" in Path(name).name
            and not name.startswith("etc/dib-manifests")
        ]
        self.assertEqual([], left)

    def test_fedora(self) -> None:
        found = self.built("fedora-minimal", DIB_RELEASE="42")
        self.assert_it_is(found, "fedora")
        # The distribution's own.
        self.assertIn("mirror.invalid", found["etc/yum.repos.d/fedora.repo"])

    def test_opensuse(self) -> None:
        found = self.built("opensuse-minimal", DIB_RELEASE="15.6")
        self.assert_it_is(found, "opensuse-leap")


def texts(archive: Path) -> dict[str, str | None]:
    """Each file of an image, with its text if it is short."""
    found: dict[str, str | None] = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix("./")
            found[name] = None
            if member.isfile() and member.size < 10_000:
                data = opened.extractfile(member)
                assert data
                found[name] = data.read().decode(errors="replace")
    return found
