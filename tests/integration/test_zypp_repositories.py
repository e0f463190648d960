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
SERVED = {"repo-oss": "repo/oss", "update": "update/oss"}
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

    def test_a_service_does_not_bring_others_while_it_is_built(self) -> None:
        text = (self.hooks / "root.d/08-zypper-chroot").read_text()
        start = text.index("lend_repositories() {")
        function = text[start : text.index("\n}\n", start) + 3]
        work = self.place / "work"
        (work / "keys").mkdir(parents=True)
        shutil.copy(self.key, work / "keys/dib-key.asc")
        self.write(
            "repos.d/dib-build.repo",
            f"[dib-oss]\nname=oss\nbaseurl={self.mirror}/oss\n",
        )
        # What a package has brought.
        self.write("services.d/openSUSE.service", SERVICE)
        run(
            *("bash", "-euc", f"{function}lend_repositories"),
            root=str(self.root),
            work=str(work),
        )
        self.assertNotIn("openSUSE", self.zypper("services"))
        self.zypper("refresh")
        self.cleaned(DIB_RELEASE="16.0")
        self.assertEqual(
            {"services.d/openSUSE.service": SERVICE}, self.settings()
        )


class OfACloudImage(Case):
    """A mirror holds where the repositories come from a service."""

    def setUp(self) -> None:
        super().setUp()
        index = self.root / "srv/repo/repoindex.xml"
        index.parent.mkdir()
        index.write_text(
            '<repoindex ttl="0">\n'
            + "".join(
                f'<repo url="{OFFICIAL}/{path}" alias="{alias}"'
                f' name="{alias}" enabled="true" autorefresh="true"/>\n'
                for alias, path in SERVED.items()
            )
            + "</repoindex>\n"
        )
        self.write("services.d/openSUSE.service", SERVICE)

    def lend(self) -> str:
        shutil.copy(
            self.hooks / "pre-install.d/01-lend-mirror",
            self.root / "tmp/lend-mirror",
        )
        return self.with_programs(
            *("chroot", self.root, "/tmp/lend-mirror"),
            HOME="/root",
            DIB_DISTRIBUTION_MIRROR=self.mirror,
            DIB_CLOUD_IMAGE_MIRRORED=r"https?://(download|cdn)\.opensuse\.org",
        )

    def assert_of(self, root: str) -> None:
        self.assertEqual(
            {
                f"openSUSE:{alias}": f"{root}/{path}"
                for alias, path in SERVED.items()
            },
            self.addresses(),
        )

    def assert_the_mirror_serves_until_the_end(self) -> None:
        said = self.lend()
        self.assertNotIn("warning", said)
        # Its services are looked at each time.
        self.zypper("refresh")
        self.zypper("search", "wanted")
        self.assert_of(self.mirror)
        self.cleaned(DIB_RELEASE="16.0")
        self.assertNotIn(self.mirror, "".join(self.settings().values()))

    def test_repositories_that_the_service_has_made(self) -> None:
        self.zypper("refresh-services")
        self.assert_of(OFFICIAL)
        before = self.settings()
        self.assertEqual(3, len(before))
        self.assert_the_mirror_serves_until_the_end()
        self.assertEqual(before, self.settings())
        self.zypper("refresh-services")
        self.assert_of(OFFICIAL)

    def test_repositories_that_it_has_not_made_yet(self) -> None:
        self.assert_the_mirror_serves_until_the_end()
        self.assertIn("services.d/openSUSE.service", self.settings())
        self.zypper("refresh-services")
        self.assert_of(OFFICIAL)

    def test_a_repository_of_another_place_stays_in_use(self) -> None:
        self.zypper("refresh-services")
        (other,) = self.zypp.glob("repos.d/*update*")
        text = other.read_text()
        other.write_text(text.replace(OFFICIAL, f"{self.mirror}/other"))
        self.lend()
        self.zypper("refresh")
        self.assertEqual(
            {
                "openSUSE:repo-oss": f"{self.mirror}/repo/oss",
                "openSUSE:update": f"{self.mirror}/other/update/oss",
            },
            self.addresses(),
        )

    def test_what_an_update_has_brought_anew_is_kept(self) -> None:
        self.lend()
        newer = SERVICE.replace("name=openSUSE", "name=newer")
        self.write("services.d/openSUSE.service", newer)
        self.cleaned(DIB_RELEASE="16.0")
        self.assertEqual(newer, self.settings()["services.d/openSUSE.service"])
        self.assertFalse((self.zypp / "services.d.dib-aside").exists())
