"""What comes from a mirror is what the archive signed, or nothing does."""

import functools
import gzip
import hashlib
import http.server
import os
from pathlib import Path
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

ELEMENT = Path(__file__).parents[2] / "elements/debootstrap"
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")

CONTROL = """\
Package: {name}
Version: 1
Architecture: all
Essential: yes
Maintainer: nobody <nobody@example.org>
Description: a package
"""


def run(*words: object, **options: object) -> str:
    return subprocess.run(
        [str(word) for word in words],
        check=True,
        capture_output=True,
        text=True,
        **options,
    ).stdout


class Archive(unittest.TestCase):
    """A signed archive of two packages, and the hook that reads it."""

    @classmethod
    def setUpClass(cls) -> None:
        if os.geteuid() != 0:
            raise AssertionError("apt works in a tree here: run it as root")
        # gpg's agent has its socket there, and a socket's path is short.
        cls.keys = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.keys, ignore_errors=True)
        cls.gpg = ("gpg", "--homedir", cls.keys, "--batch", "--quiet")
        run(*cls.gpg, *("--passphrase", ""), "--quick-gen-key", "a@b.c")
        cls.addClassCleanup(
            run, *("gpgconf", "--homedir", cls.keys), "--kill", "all"
        )
        cls.ring = cls.keys / "ring.gpg"
        run(*cls.gpg, "--output", cls.ring, "--export", "a@b.c")

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.archive = self.place / "archive"
        self.packages = ""
        for name in ("tiny", "usr-is-merged"):
            self.package(name)
        for suite in SUITES:
            self.suite(suite)
        self.hooks = self.place / "hooks"
        shutil.copytree(ELEMENT, self.hooks)
        (self.hooks / "debian-tools/packages").write_text("tiny\n")

    def package(self, name: str) -> None:
        source = self.place / name
        (source / "DEBIAN").mkdir(parents=True)
        (source / "DEBIAN/control").write_text(CONTROL.format(name=name))
        self.archive.mkdir(exist_ok=True)
        deb = self.archive / f"{name}_1_all.deb"
        run("dpkg-deb", "--build", source, deb)
        data = deb.read_bytes()
        self.packages += (
            f"{CONTROL.format(name=name)}Filename: {deb.name}\n"
            f"Size: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        )

    def suite(self, name: str) -> None:
        place = self.archive / "dists" / name
        index = place / "main/binary-amd64/Packages.gz"
        index.parent.mkdir(parents=True)
        index.write_bytes(gzip.compress(self.packages.encode()))
        listed = "".join(
            f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n"
            for path, data in (
                ("main/binary-amd64/Packages", self.packages.encode()),
                ("main/binary-amd64/Packages.gz", index.read_bytes()),
            )
        )
        date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        (place / "Release").write_text(
            f"Origin: Debian\nSuite: {name}\nCodename: {name}\nDate: {date}\n"
            f"Architectures: amd64\nComponents: main\nSHA256:\n{listed}"
        )
        signed = place / "InRelease"
        run(*self.gpg, "--output", signed, "--clearsign", place / "Release")
        (place / "Release").unlink()

    def served(self) -> str:
        handler = functools.partial(Quiet, directory=str(self.archive))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def built(self, mirror: str, **environment: str) -> str:
        """What the hook says on a tree of its own; it never gets far."""
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        done = subprocess.run(
            [ELEMENT / "root.d/08-debootstrap"],
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

    def test_an_index_that_was_changed_is_refused(self) -> None:
        path = self.archive / "dists/bookworm/InRelease"
        path.write_text(path.read_text().replace("Origin: D", "Origin: d"))
        said = self.built(self.served())
        self.assertIn("signature", said)
        self.assertEqual([], self.downloaded())

    def test_an_index_that_somebody_else_signed_is_refused(self) -> None:
        other = self.keys / "other.gpg"
        if not other.exists():
            run(*self.gpg, *("--passphrase", ""), "--quick-gen-key", "d@e.f")
            run(*self.gpg, "--output", other, "--export", "d@e.f")
        said = self.built(self.served(), DIB_APT_KEYRING=str(other))
        self.assertIn("NO_PUBKEY", said)
        self.assertEqual([], self.downloaded())

    def test_an_unsigned_index_is_refused(self) -> None:
        for suite in SUITES:
            place = self.archive / "dists" / suite
            run(
                *(*self.gpg, "--output", place / "Release"),
                *("--decrypt", place / "InRelease"),
            )
            (place / "InRelease").unlink()
        said = self.built(self.served())
        self.assertIn("not signed", said)
        self.assertEqual([], self.downloaded())

    def test_a_package_that_was_changed_is_refused(self) -> None:
        path = self.archive / "tiny_1_all.deb"
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        said = self.built(self.served())
        self.assertIn("Hash Sum mismatch", said)

    def test_a_suite_that_cannot_be_read_is_an_error(self) -> None:
        # Not an image without security updates.
        shutil.rmtree(self.archive / "dists/bookworm-security")
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


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass
