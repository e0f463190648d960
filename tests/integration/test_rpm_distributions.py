"""RPM distributions come from packages, by the real dnf, zypper and rpm.

The repositories hold a small system made of this machine's own programs, under
the names that the distributions have for them.
"""

import json
import os
from pathlib import Path
import subprocess
import sys
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


class Case(unittest.TestCase):
    """Builds of the packages, with an element of the test's own."""

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

    def mirror(self) -> str:
        return serving.serve(
            self, self.repository.place, rpm_repository.Anywhere
        )

    def built(self, *names: str, **environment: str) -> dict[str, str | None]:
        """What the build's image holds, the texts of its small files."""
        self.output = Path(tempfile.mkdtemp(dir=self.place))
        described = self.place / "spec.json"
        described.write_text(
            json.dumps(
                {
                    "version": 1,
                    "name": "image",
                    "elements": [*names, "trace"],
                    "formats": ["raw"],
                    "environment": {
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
                *(described, "--output-dir", self.output),
                *("--cache-dir", self.place / "cache"),
                *("--element-path", ":".join(map(str, path))),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout[-6000:])
        return self.found(self.output / "image.raw")

    def found(self, image: Path) -> dict[str, str | None]:
        """Each file of an image, with its text if it is short."""
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        subprocess.run(
            ["mount", "-o", "loop,ro,noload", image, self.root], check=True
        )
        self.addCleanup(subprocess.run, ["umount", self.root], check=True)
        return {
            str(path.relative_to(self.root)): (
                path.read_text(errors="replace")
                if path.is_file()
                and not path.is_symlink()
                and path.stat().st_size < 10_000
                else None
            )
            for path in self.root.rglob("*")
        }

    def of_mirror(self, element: str, release: str) -> dict[str, str | None]:
        return self.built(
            element,
            DIB_RELEASE=release,
            DIB_DISTRIBUTION_MIRROR=self.mirror(),
        )

    def assert_its_own_database(
        self, found: dict[str, str | None], place: str
    ) -> None:
        """Where its rpm has it, and not where this host's has."""
        databases = [name for name in found if name.endswith("rpmdb.sqlite")]
        self.assertEqual([f"{place}/rpmdb.sqlite"], databases)

    def assert_it_is(self, found: dict[str, str | None], identity: str):
        label = subprocess.run(
            [
                *("blkid", "--probe", "--match-tag", "LABEL"),
                *("--output", "value", self.output / "image.raw"),
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


class Distributions(Case):
    """Each is built, and hooks run in it."""

    def test_fedora(self) -> None:
        found = self.of_mirror("fedora-minimal", "42")
        self.assert_it_is(found, "fedora")
        self.assert_its_own_database(found, "usr/lib/sysimage/rpm")
        # Labels are of the policy, and of files that were written last, too.
        for name, kind in (("machine-id", "etc_t"), ("../usr", "default_t")):
            label = os.getxattr(self.root / "etc" / name, "security.selinux")
            self.assertIn(f":{kind}:", label.decode())
        manifest = json.loads(
            found["etc/dib-manifests/dib-manifest-rpm-image"]
        )
        self.assertIn(
            {"package": "wanted", "arch": "x86_64", "version": "1-1"},
            manifest["packages"],
        )
        # The distribution's own.
        self.assertIn("mirror.invalid", found["etc/yum.repos.d/fedora.repo"])

    def test_opensuse(self) -> None:
        found = self.of_mirror("opensuse-minimal", "15.6")
        self.assert_it_is(found, "opensuse-leap")
        # No package brings any; the keys are those of its rpm.
        kept = found["etc/zypp/repos.d/opensuse.repo"] or ""
        self.assertIn("https://download.opensuse.org/update/leap/15.6", kept)
        self.assertNotIn("127.0.0.1", kept)
        manifest = json.loads(
            found["etc/dib-manifests/dib-manifest-rpm-image"] or ""
        )
        names = {package["package"] for package in manifest["packages"]}
        self.assertIn("gpg-pubkey", names)

    def test_rhel_of_a_registered_host(self) -> None:
        trace = self.place / "elements/trace"
        mirror = rpm_repository.serve_clients(
            self, self.repository.place, trace, rpm_repository.OneRelease
        )
        repositories = trace / "redhat.repo"
        # The release's package says 9.6, here.
        repositories.write_text(
            f"[all]\nname=all\nbaseurl={mirror}/$releasever/os\ngpgcheck=1\n"
            f"sslcacert={trace}/server.pem\n"
            f"sslclientcert = {trace}/client.pem\n"
            f"sslclientkey = {trace}/client.key\n"
        )
        found = self.built(
            "rhel-minimal",
            DIB_RELEASE="9.4",
            DIB_YUM_REPO_CONF=str(repositories),
        )
        self.assert_it_is(found, "rhel")
        for name in (
            *("redhat.repo", "client.pem", "client.key", "dib-lent"),
            "releasever",
        ):
            left = [path for path in found if path.endswith(f"/{name}")]
            self.assertEqual([], left)


class Further(Case):
    """What takes another minute, and is the same but for names."""

    def test_tumbleweed(self) -> None:
        # The release's package is Leap's here, too.
        found = self.of_mirror("opensuse-minimal", "Tumbleweed")
        self.assert_it_is(found, "opensuse-leap")

    def test_centos(self) -> None:
        found = self.of_mirror("centos-minimal", "9-stream")
        self.assert_it_is(found, "centos")
        self.assert_its_own_database(found, "var/lib/rpm")

    def test_rocky(self) -> None:
        found = self.of_mirror("rocky-minimal", "9")
        self.assert_it_is(found, "rocky")
        self.assert_its_own_database(found, "var/lib/rpm")

    def test_rhel(self) -> None:
        found = self.of_mirror("rhel-minimal", "9")
        self.assert_it_is(found, "rhel")

    def test_elements_find_their_packages_and_units(self) -> None:
        for element, release in (
            ("fedora-minimal", "42"),
            ("opensuse-minimal", "15.6"),
        ):
            with self.subTest(element):
                found = self.built(
                    *(element, "devuser", "growroot", "openssh-server"),
                    *("selinux-permissive",),
                    DIB_RELEASE=release,
                    DIB_DISTRIBUTION_MIRROR=self.mirror(),
                    DIB_DEV_USER_USERNAME="somebody",
                )
                wanted = "etc/systemd/system/multi-user.target.wants"
                self.assertIn(f"{wanted}/sshd.service", found)
                self.assertIn("home/somebody", found)
                self.assertIn("usr/bin/ssh-keygen", found)
                config = found["etc/selinux/config"] or ""
                self.assertIn("SELINUX=permissive", config)
