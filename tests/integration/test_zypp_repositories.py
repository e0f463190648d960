"""Which repositories zypper has while an image is built, and which afterwards.

The elements' hooks and the real zypper run in a tree that has this machine's
programs. It finds no name on any network: what it reads is on loopback.
"""

import os
from pathlib import Path
import re
import shutil
import tempfile
from typing import ClassVar
import unittest

from tests import rpm_repository, serving

ELEMENTS = Path(__file__).parents[2] / "elements"
SERVICE = "[openSUSE]\nname=openSUSE\nenabled=1\nautorefresh=1\nurl=dir:/srv\n"
OFFICIAL = "https://download.opensuse.org"
# In a namespace of its own, and so that nothing in the tree can change it.
PROGRAMS = """
mount --bind /usr "$0/usr"
mount -o remount,bind,ro "$0/usr"
"$@"
"""
run = rpm_repository.run


class Case(unittest.TestCase):
    """A tree with zypper's settings, and a repository at any path."""

    keys: ClassVar[rpm_repository.Keys]
    key: ClassVar[Path]
    mirror: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        if os.geteuid() != 0:
            raise AssertionError("the hooks run in a tree: run it as root")
        cls.keys = rpm_repository.Keys()
        cls.addClassCleanup(cls.keys.close)
        cls.key = cls.keys.make("packager")
        made = Path(tempfile.mkdtemp(dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, made)
        repository = made / "repository"
        repository.mkdir()
        small = [rpm_repository.Package("wanted", {"/usr/share/wanted": "x"})]
        for path in rpm_repository.build(small, made / "built"):
            shutil.copy(path, repository)
        cls.keys.sign_packages("packager", repository.glob("*.rpm"))
        rpm_repository.index(repository)
        cls.keys.sign_index("packager", repository)
        cls.mirror = serving.serve(cls, repository, rpm_repository.Anywhere)

    def setUp(self) -> None:
        self.place = Path(tempfile.mkdtemp(dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place)
        self.root = self.place / "root"
        self.hooks = self.place / "hooks"
        for element in (
            *("cloud-image", "opensuse-minimal", "rpm-distro", "zypper"),
            "zypper-minimal",
        ):
            shutil.copytree(ELEMENTS / element, self.hooks, dirs_exist_ok=True)
        for name in ("root", "srv", "tmp", "usr", "var"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            (self.root / name).symlink_to(f"usr/{name}")
        self.zypp = self.root / "etc/zypp"
        (self.zypp / "repos.d").mkdir(parents=True)
        self.write("../rpm/macros", "%_dbpath /var/lib/rpm\n")
        self.write("../nsswitch.conf", "hosts: files\npasswd: files\n")
        self.write("../passwd", "root:x:0:0:root:/root:/bin/bash\n")
        shutil.copy(self.key, self.root / "tmp/key.asc")
        self.inside("rpm", "--import", "/tmp/key.asc")

    def write(self, name: str, text: str) -> None:
        path = self.zypp / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def settings(self) -> dict[str, str]:
        """All files that zypper has its repositories from."""
        return {
            str(path.relative_to(self.zypp)): path.read_text()
            for path in self.zypp.rglob("*")
            if path.is_file()
        }

    def inside(self, *words: object) -> str:
        return self.with_programs("chroot", self.root, *words, HOME="/root")

    def with_programs(self, *words: object, **environment: str) -> str:
        """Run where the tree has programs; what gpg leaves behind is ended."""
        return run(
            *("unshare", "--mount", "--propagation", "private"),
            *("--pid", "--fork", "--kill-child"),
            *("bash", "-euc", PROGRAMS, self.root),
            *(self.hooks / "rpm-tools/with-mounts", self.root, *words),
            **environment,
        )

    def zypper(self, *words: object) -> str:
        return self.inside("zypper", "--non-interactive", *words)

    def addresses(self) -> dict[str, str]:
        """Where zypper looks, by the alias of the repository."""
        listed = self.zypper("--xmlout", "repos")
        return {
            alias: url
            for alias, url in re.findall(
                r'<repo alias="([^"]*)".*?<url>(.*?)</url>', listed, re.DOTALL
            )
        }

    def cleaned(self, **environment: str) -> None:
        for name in ("90-zypper-build-settings", "91-official-repositories"):
            hook = self.hooks / "cleanup.d" / name
            self.hook(hook, **environment)

    def hook(self, hook: Path, **environment: str) -> str:
        return self.with_programs(
            hook,
            TARGET_ROOT=str(self.root),
            TMP_HOOKS_PATH=str(self.hooks),
            ARCH="amd64",
            DISTRO_NAME="opensuse",
            DIB_DISTRIBUTION_MIRROR=self.mirror,
            **environment,
        )


class OfAnImageOfPackages(Case):
    """An image that no package gave repositories gets the official ones."""

    def ended(self, release: str) -> dict[str, str]:
        self.write("repos.d/dib-build.repo", "[dib-oss]\nbaseurl=file:/x\n")
        self.cleaned(DIB_RELEASE=release)
        return self.settings()

    def test_each_release_has_its_own(self) -> None:
        for release, addresses in (
            ("16.1", {"oss": "distribution/leap/16.1/repo/oss/x86_64"}),
            (
                "tumbleweed",
                {"oss": "tumbleweed/repo/oss", "update": "update/tumbleweed"},
            ),
        ):
            with self.subTest(release):
                self.assertEqual(
                    ["repos.d/opensuse.repo"], [*self.ended(release)]
                )
                self.assertEqual(
                    {
                        alias: f"{OFFICIAL}/{path}"
                        for alias, path in addresses.items()
                    },
                    self.addresses(),
                )
                (self.zypp / "repos.d/opensuse.repo").unlink()

    def test_the_machines_zypper_reads_and_proves_them(self) -> None:
        text = self.ended("15.6")["repos.d/opensuse.repo"]
        self.assertEqual(4, text.count("gpgcheck=1\npkg_gpgcheck=1\n"))
        self.assertEqual(4, text.count("\nrepo_gpgcheck=1\n"))
        self.assertNotIn(self.mirror, text)
        # The network's side of it is here.
        self.write(
            "repos.d/opensuse.repo", text.replace(OFFICIAL, self.mirror)
        )
        self.zypper("refresh")
        self.assertIn("wanted", self.zypper("search", "wanted"))

    def test_those_that_it_has_are_left_alone(self) -> None:
        repository = f"[a]\nname=a\nbaseurl={OFFICIAL}/a\n"
        for name, text in (
            ("repos.d/a.repo", repository),
            ("repos.d/a.repo.dib-aside", repository),
            ("services.d/a.service", SERVICE),
        ):
            with self.subTest(name):
                self.write(name, text)
                self.assertEqual(
                    {name.removesuffix(".dib-aside"): text},
                    self.ended("16.0"),
                )
                for path in self.zypp.glob("*/a.*"):
                    path.unlink()
