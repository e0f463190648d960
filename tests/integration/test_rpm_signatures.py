"""Of RPM repositories nothing is taken that is not proven, and it is said why.

The hooks of the elements run with the real dnf and zypper, on repositories of
three small packages.
"""

import os
from pathlib import Path
import shutil
import subprocess
import tempfile
from typing import ClassVar
import unittest

from tests import rpm_packages, rpm_repository, serving

ELEMENTS = Path(__file__).parents[2] / "elements"
WANTED = ("filesystem", "setup", "wanted")


class Case(unittest.TestCase):
    """A signed repository that each test spoils in its own way."""

    keys: ClassVar[rpm_repository.Keys]
    packages: ClassVar[list[Path]]

    @classmethod
    def setUpClass(cls) -> None:
        if os.geteuid() != 0:
            raise AssertionError("rpm works in a tree here: run it as root")
        cls.keys = rpm_repository.Keys()
        cls.addClassCleanup(cls.keys.close)
        cls.key = cls.keys.make("packager")
        cls.made = Path(tempfile.mkdtemp(dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.made)
        small = [
            package
            for package in rpm_packages.system()
            if package.name in WANTED
        ]
        cls.packages = rpm_repository.build(small, cls.made)

    def setUp(self) -> None:
        self.place = Path(tempfile.mkdtemp(dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place)
        self.repository = self.place / "repository"
        self.repository.mkdir()
        for path in self.packages:
            shutil.copy(path, self.repository)
        self.trusted = self.key

    def package(self, name: str) -> Path:
        (found,) = self.repository.glob(f"{name}-*.rpm")
        return found

    def sign(self, *, but: str = "") -> None:
        self.keys.sign_packages(
            "packager",
            [
                path
                for path in self.repository.glob("*.rpm")
                if not (but and path.name.startswith(f"{but}-"))
            ],
        )

    def publish(
        self, name: str = "packager", *, expired: bool = False
    ) -> None:
        rpm_repository.index(self.repository)
        self.keys.sign_index(name, self.repository, expired=expired)

    def built(self, kind: str, **environment: str) -> str:
        """What the hook says last, when it has refused to go on."""
        place = Path(tempfile.mkdtemp(dir=self.place))
        hooks = place / "hooks"
        names = ("rpm-distro", *HOOKS[kind][0])
        for name in names:
            shutil.copytree(ELEMENTS / name, hooks, dirs_exist_ok=True)
        for lists in ("packages-*", "release-*"):
            for path in (hooks / "rpm-tools").glob(lists):
                path.write_text("")
        (hooks / "rpm-tools/packages-x").write_text("\n".join(WANTED) + "\n")
        self.root = place / "root"
        self.root.mkdir()
        mirror = serving.serve(self, self.repository, rpm_repository.Anywhere)
        done = subprocess.run(
            [hooks / "root.d" / HOOKS[kind][1]],
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "ARCH": "amd64",
                "TARGET_ROOT": str(self.root),
                "TMP_HOOKS_PATH": str(hooks),
                "DIB_DISTRIBUTION_MIRROR": mirror,
                "DIB_RPM_GPG_KEYS": str(self.trusted),
                "DIB_RPM_KEY_NAMES": "nobody/RPM-GPG-KEY-nobody",
                "DIB_RPM_KERNEL": "wanted",
                "DISTRO_NAME": HOOKS[kind][2],
                "DIB_RELEASE": HOOKS[kind][3],
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.said = done.stdout + done.stderr
        self.assertNotEqual(0, done.returncode, self.said)
        return done.stderr.splitlines()[-1]

    def taken(self, *words: str) -> None:
        """Both install what is wanted, and say these words on the way."""
        for kind in HOOKS:
            with self.subTest(kind):
                # They make no system, so that is where it ends.
                self.built(kind)
                self.assertTrue((self.root / "usr/share/wanted").exists())
                for word in words:
                    self.assertIn(word, self.said)

    def refused(self, *words: str, **more: str) -> None:
        """Both say these words at last, and have installed nothing."""
        for kind, (_, _, distro, release) in HOOKS.items():
            with self.subTest(kind):
                last = self.built(kind, **more)
                for word in words:
                    self.assertIn(word, last, self.said)
                self.assertIn(f"{distro} {release}: ", last)
                self.assertFalse((self.root / "usr/share/wanted").exists())


def dearmored(key: Path) -> bytes:
    return subprocess.run(
        ["gpg", "--dearmor", "--output", "-", key],
        check=True,
        capture_output=True,
    ).stdout


HOOKS = {
    "dnf": (
        ("yum", "yum-minimal", "fedora-minimal"),
        "08-yum-chroot",
        "fedora",
        "42",
    ),
    "zypper": (
        ("zypper-minimal", "opensuse-minimal"),
        "08-zypper-chroot",
        "opensuse",
        "15.6",
    ),
}


class Signatures(Case):
    def test_what_is_signed_is_taken(self) -> None:
        self.sign()
        self.publish()
        self.taken()

    def test_an_unsigned_index(self) -> None:
        self.sign()
        rpm_repository.index(self.repository)
        self.refused("index is not signed", "a mirror that signs it")

    def test_an_index_that_was_changed(self) -> None:
        self.sign()
        self.publish()
        index = self.repository / "repodata/repomd.xml"
        index.write_text(index.read_text().replace("?>", "?><!-- x -->"))
        self.refused("index has no good signature", "DIB_RPM_GPG_KEYS")

    def test_an_index_that_somebody_else_signed(self) -> None:
        self.sign()
        if not (self.keys.home / "other.asc").exists():
            self.keys.make("other")
        self.publish("other")
        self.refused("index has no good signature", "DIB_RPM_GPG_KEYS")

    def test_an_unsigned_package(self) -> None:
        self.sign(but="wanted")
        self.publish()
        self.refused("package is not signed")
        self.assertIn("wanted-1-1", self.said)

    def test_a_package_that_somebody_else_signed(self) -> None:
        self.sign(but="wanted")
        if not (self.keys.home / "stranger.asc").exists():
            self.keys.make("stranger")
        self.keys.sign_packages("stranger", [self.package("wanted")])
        self.publish()
        self.refused("package's signature", "not trusted")
        self.assertIn("wanted-1-1", self.said)

    def test_a_bad_signature(self) -> None:
        # Of what was another package when it was signed.
        self.sign()
        path = self.package("wanted")
        data = path.read_bytes()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        self.publish()
        self.refused("package's signature is bad")
        self.assertIn("wanted-1-1", self.said)

    def test_a_wrong_checksum(self) -> None:
        self.sign()
        self.publish()
        path = self.package("wanted")
        path.write_bytes(b"x" * path.stat().st_size)
        self.refused("is not what the repository's index says", "mirror")
        self.assertIn("wanted-1-1", self.said)

    def test_a_package_that_is_not_there(self) -> None:
        self.sign()
        self.publish()
        self.package("wanted").unlink()
        self.refused("lacks a file", "DIB_DISTRIBUTION_MIRROR")
        self.assertIn("wanted-1-1", self.said)

    def test_a_package_that_nobody_has(self) -> None:
        self.sign()
        self.publish()
        self.refused("is in no repository", DIB_RPM_PACKAGES="no-such-one")
        self.assertIn("no-such-one", self.said)

    def test_a_damaged_package_in_the_cache_is_fetched_anew(self) -> None:
        self.sign()
        self.publish()
        cache = self.place / "cache"
        self.built("dnf", DIB_IMAGE_CACHE=str(cache))
        kept = {path: path.read_bytes() for path in cache.rglob("*.rpm")}
        self.assertEqual(len(WANTED), len(kept))
        for path, data in kept.items():
            path.write_bytes(b"x" * len(data))
        self.built("dnf", DIB_IMAGE_CACHE=str(cache))
        self.assertTrue((self.root / "usr/share/wanted").exists())
        for path, data in kept.items():
            self.assertEqual(data, path.read_bytes())

    def test_a_package_in_the_cache_is_not_fetched(self) -> None:
        self.sign()
        self.publish()
        cache = str(self.place / "cache")
        self.built("dnf", DIB_IMAGE_CACHE=cache)
        for path in self.repository.glob("*.rpm"):
            path.unlink()
        self.built("dnf", DIB_IMAGE_CACHE=cache)
        self.assertTrue((self.root / "usr/share/wanted").exists())

    def test_a_mirror_that_is_not_there(self) -> None:
        self.refused("cannot be read", "DIB_DISTRIBUTION_MIRROR")


class Keys(Case):
    """What is trusted is decided before anything is asked of a mirror."""

    def says(self, **environment: str) -> list[str]:
        return [self.built(kind, **environment) for kind in HOOKS]

    def test_an_expired_key(self) -> None:
        self.trusted = self.keys.make("expired", expired=True)
        for said in self.says():
            self.assertIn("expired on 2020-01-02", said)
            self.assertIn("get the distribution's newer key", said)
            self.assertIn("see the page on keys", said)

    def test_an_expired_key_beside_a_good_one(self) -> None:
        old = self.keys.make("old", expired=True)
        self.sign()
        self.publish("old", expired=True)
        self.refused(
            "index has no good signature",
            DIB_RPM_GPG_KEYS=f"{old} {self.trusted}",
        )

    def test_a_key_of_a_kind_to_come_beside_a_good_one(self) -> None:
        # As RHEL 10 has one in the same file.
        later = bytearray(dearmored(self.keys.make("later")))
        # Behind the packet's tag and length: the version of the key.
        self.assertEqual(4, later[3])
        later[3] = 6
        self.trusted = self.place / "both"
        self.trusted.write_bytes(dearmored(self.key) + later)
        self.sign()
        self.publish()
        self.taken("gpg cannot read every key")

    def test_no_key(self) -> None:
        for said in self.says(DIB_RPM_GPG_KEYS=""):
            self.assertIn("install distribution-gpg-keys", said)
            self.assertIn("see the page on keys", said)
            self.assertIn("DIB_RPM_GPG_KEYS", said)

    def test_a_file_that_is_not_there(self) -> None:
        for said in self.says(DIB_RPM_GPG_KEYS="/srv/no-key"):
            self.assertIn("/srv/no-key is not there", said)

    def test_a_file_without_a_key(self) -> None:
        file = self.place / "empty"
        file.write_text("no key\n")
        for said in self.says(DIB_RPM_GPG_KEYS=str(file)):
            self.assertIn(f"{file} holds no key", said)

    def test_repositories_that_turn_a_check_off(self) -> None:
        file = self.place / "lax.repo"
        for check in ("gpgcheck = 0", "sslverify\t=\tno"):
            file.write_text(f"[lax]\nbaseurl=https://example.org\n{check}\n")
            said = self.built("dnf", DIB_YUM_REPO_CONF=str(file))
            self.assertIn("lax.repo turns the check", said)


class Words(Case):
    """What a request says is a value, and nothing else."""

    def test_a_package_is_a_name(self) -> None:
        for kind in HOOKS:
            said = self.built(kind, DIB_RPM_PACKAGES="--nogpgcheck")
            self.assertIn("'--nogpgcheck' is not the name of a package", said)

    def test_a_mirror_is_a_url(self) -> None:
        for kind in HOOKS:
            # Of several addresses only the first would be looked at.
            for mirror in (
                "https://a.example\ngpgcheck=0",
                "https://a.example/,http://b.example",
            ):
                said = self.built(kind, DIB_DISTRIBUTION_MIRROR=mirror)
                self.assertIn("is not the URL of a mirror", said)

    def test_a_release_is_one_word(self) -> None:
        for kind in HOOKS:
            said = self.built(kind, DIB_RELEASE="../../etc")
            self.assertIn("'../../etc' is no release", said)
