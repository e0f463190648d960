"""What comes from a mirror is what the archive signed, or nothing does."""

import hashlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import tempfile
import textwrap
import time
from typing import ClassVar
import unittest

from tests import apt_archive, serving

CHECKOUT = Path(__file__).parents[2]
ELEMENT = CHECKOUT / "elements/debootstrap"
PAGE = CHECKOUT / "doc/source/contributor/adding-a-distribution.rst"
DERIVATIVE = re.compile(
    r"   :caption: my-derivative/environment\.d/\S+\n\n((?:   .*\n)+)"
)
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")


class Archive(unittest.TestCase):
    """A signed archive of two packages, and the hook that reads it."""

    keys: ClassVar[apt_archive.Keys]
    ring: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        if os.geteuid() != 0:
            raise AssertionError("apt works in a tree here: run it as root")
        cls.keys = apt_archive.Keys()
        cls.addClassCleanup(cls.keys.close)
        cls.ring = cls.keys.make("archive")

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.archive = apt_archive.Archive(self.place / "archive")
        self.tiny, _ = (
            self.archive.make(name, Essential="yes")
            for name in ("tiny", "usr-is-merged")
        )
        self.signed = [
            self.archive.suite(suite, self.keys, key="archive")
            for suite in SUITES
        ]
        self.hooks = self.place / "hooks"
        shutil.copytree(ELEMENT, self.hooks)
        (self.hooks / "debian-tools/packages").write_text("tiny\n")
        # No package of this archive has keys.
        wanted = self.hooks / "debian-tools/wanted"
        text = wanted.read_text()
        self.assertIn("echo debian-archive-keyring", text)
        wanted.write_text(text.replace("echo debian-archive-keyring", ":"))

    def served(self) -> str:
        return serving.serve(self, self.archive.place)

    def built(
        self, mirror: str, *, snippet: str = "", **environment: str
    ) -> str:
        """What the hook says on a tree of its own; it never gets far.

        ``snippet`` stands for an element's environment.d.
        """
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        hook = ELEMENT / "root.d/08-debootstrap"
        done = subprocess.run(
            ["bash", "-euc", f"{snippet}\nexec {hook}"],
            env={
                "PATH": os.environ["PATH"],
                "ARCH": "amd64",
                "LC_ALL": "C",
                "DISTRO_NAME": "debian",
                "TMP_HOOKS_PATH": str(self.hooks),
                "TARGET_ROOT": str(self.root),
                "DIB_RELEASE": "bookworm",
                "DIB_DEBIAN_KERNEL": "tiny",
                "DIB_APT_KEYRING": str(self.ring),
                "DIB_DISTRIBUTION_MIRROR": mirror,
                "DIB_DEBIAN_SECURITY_MIRROR": mirror,
                **environment,
            },
            capture_output=True,
            text=True,
        )
        self.assertNotEqual(0, done.returncode)
        return done.stderr

    def downloaded(self) -> list[str]:
        archives = self.root / "var/cache/apt/archives"
        return sorted(path.name for path in archives.glob("*.deb"))

    def test_what_is_signed_is_taken(self) -> None:
        said = self.built(self.served())
        self.assertEqual(
            ["tiny_1_all.deb", "usr-is-merged_1_all.deb"], self.downloaded()
        )
        # They make no system, so that is where it ends.
        self.assertIn("passwd.master", said)

    def test_a_derivative_has_archives_and_keys_of_its_own(self) -> None:
        for suite in ("green", "green-security"):
            self.archive.suite(suite, self.keys, key="archive")
        [written] = DERIVATIVE.findall(PAGE.read_text())
        snippet = textwrap.dedent(written)
        for of_the_page, ours in (
            ("https://archive.example.org/mine", self.served()),
            ("/usr/share/keyrings/my-archive-keyring.gpg", str(self.ring)),
        ):
            self.assertIn(of_the_page, snippet)
            snippet = snippet.replace(of_the_page, ours)
        said = self.built(
            "http://127.0.0.1:9/debians",
            snippet=snippet,
            DISTRO_NAME="",
            DIB_RELEASE="",
            DIB_APT_KEYRING="",
        )
        self.assertEqual(
            ["tiny_1_all.deb", "usr-is-merged_1_all.deb"], self.downloaded()
        )
        self.assertIn("passwd.master", said)

    def test_a_distribution_that_nobody_knows_is_told_what_to_be(self) -> None:
        said = self.built(self.served(), DISTRO_NAME="mine")
        self.assertIn("a derivative says which of them it comes from", said)

    def test_an_index_that_was_changed_is_refused(self) -> None:
        path = self.signed[0]
        path.write_text(path.read_text().replace("Origin: T", "Origin: t"))
        said = self.built(self.served())
        self.assertIn("signature", said)
        self.assertEqual([], self.downloaded())

    def test_an_index_that_somebody_else_signed_is_refused(self) -> None:
        other = self.keys.make("other")
        said = self.built(self.served(), DIB_APT_KEYRING=str(other))
        self.assertIn("NO_PUBKEY", said)
        self.assertEqual([], self.downloaded())

    def test_an_unsigned_index_is_refused(self) -> None:
        for signed in self.signed:
            lines = signed.read_text().splitlines(keepends=True)
            end = lines.index("-----BEGIN PGP SIGNATURE-----\n")
            # After the armor's head: "Hash: ..." and an empty line.
            signed.with_name("Release").write_text("".join(lines[3:end]))
            signed.unlink()
        said = self.built(self.served())
        self.assertIn("not signed", said)
        self.assertEqual([], self.downloaded())

    def test_a_package_that_was_changed_is_refused(self) -> None:
        data = self.tiny.read_bytes()
        self.tiny.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        said = self.built(self.served())
        self.assertIn("Hash Sum mismatch", said)

    def test_half_a_package_is_refused(self) -> None:
        self.tiny.write_bytes(self.tiny.read_bytes()[:500])
        said = self.built(self.served())
        self.assertIn("unexpected size", said)
        self.assertNotIn("tiny_1_all.deb", self.downloaded())

    def test_a_key_that_is_too_old_is_refused(self) -> None:
        old = self.keys.make("old", expired=True)
        for suite in SUITES:
            self.archive.suite(suite, self.keys, key="old", expired=True)
        said = self.built(self.served(), DIB_APT_KEYRING=str(old))
        self.assertIn("EXPKEYSIG", said)
        self.assertEqual([], self.downloaded())

    def test_a_package_that_is_gone_is_named(self) -> None:
        self.tiny.unlink()
        said = self.built(self.served())
        self.assertIn("tiny_1_all.deb  404", said)

    def test_what_a_package_lacks_is_named(self) -> None:
        self.archive.make("needy", Depends="nobody-has-this")
        for suite in SUITES:
            self.archive.suite(suite, self.keys, key="archive")
        said = self.built(self.served(), DIB_DEBIAN_PACKAGES="needy")
        self.assertIn("needy : Depends: nobody-has-this", said)

    def test_a_package_that_nobody_has_is_named(self) -> None:
        said = self.built(self.served(), DIB_DEBIAN_KERNEL="linux-image-no")
        self.assertIn("Unable to locate package linux-image-no", said)

    def test_without_a_keyring_nothing_is_asked_for(self) -> None:
        said = self.built(self.served(), DIB_APT_KEYRING="/srv/none.gpg")
        self.assertIn("No keyring /srv/none.gpg: install the package", said)
        self.assertIn("set DIB_APT_KEYRING; see the page on keys", said)
        self.assertEqual([], self.downloaded())

    def test_a_suite_that_cannot_be_read_is_an_error(self) -> None:
        # Not an image without security updates.
        shutil.rmtree(self.archive.place / "dists/bookworm-security")
        said = self.built(self.served())
        self.assertIn("bookworm-security", said)
        self.assertEqual([], self.downloaded())

    def test_a_mirror_that_is_not_there_is_named(self) -> None:
        started = time.monotonic()
        said = self.built("http://127.0.0.1:1/debian")
        self.assertIn("Could not connect to 127.0.0.1:1", said)
        self.assertNotIn("Unable to locate", said)
        self.assertLess(time.monotonic() - started, 30)

    def test_a_damaged_package_in_the_cache_is_fetched_anew(self) -> None:
        cache = self.place / "cache"
        mirror = self.served()
        self.built(mirror, DIB_IMAGE_CACHE=str(cache))
        kept = sorted((cache / "deb").iterdir())
        self.assertEqual(2, len(kept))
        for path in kept:
            path.write_bytes(b"x" * path.stat().st_size)
        self.built(mirror, DIB_IMAGE_CACHE=str(cache))
        self.assertEqual(2, len(self.downloaded()))
        for path in sorted((cache / "deb").iterdir()):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.assertEqual(path.name, digest)
