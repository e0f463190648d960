"""A signed apt archive on disk, of packages that are made or taken here."""

from collections.abc import Iterable, Mapping
import gzip
import hashlib
import os
from pathlib import Path
import platform
import shutil
import subprocess
import tempfile
import time

CHECKOUT = Path(__file__).parents[1]
TOOLS = CHECKOUT / "elements/debootstrap/debian-tools"

ARCHITECTURE = "amd64"


def run(*words: object, **options: object) -> str:
    """What a program printed.

    :raises AssertionError: it failed; with what it said.
    """
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        **options,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Keys:
    """Test keys, and what they sign; ``close`` ends gpg's agent."""

    def __init__(self) -> None:
        # gpg's agent has its socket there, and a socket's path is short.
        self.home = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))

    def close(self) -> None:
        run("gpgconf", "--homedir", self.home, "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)

    def make(self, name: str, *, expired: bool = False) -> Path:
        """A new key's own keyring.

        :param expired: it was good in the year 2020, and only then.
        """
        ring = self.home / f"{name}.gpg"
        words = ["--passphrase", "", "--quick-gen-key", _address(name)]
        if expired:
            words = [*_IN_2020, *words, "default", "default", "30d"]
        self._gpg(*words)
        self._gpg("--output", ring, "--export", _address(name))
        return ring

    def clearsign(
        self, source: Path, target: Path, *, key: str, expired: bool = False
    ) -> None:
        """Write the text with the signature around it."""
        self._sign(source, target, key, expired, "--clearsign")

    def detach(
        self,
        source: Path,
        target: Path,
        *,
        key: str,
        expired: bool = False,
        armored: bool = False,
    ) -> None:
        """Write the signature alone."""
        options = ["--armor"] if armored else []
        self._sign(source, target, key, expired, *options, "--detach-sign")

    def _sign(
        self,
        source: Path,
        target: Path,
        key: str,
        expired: bool,
        *how: str,
    ) -> None:
        self._gpg(
            *(_IN_2020 if expired else ()),
            *("--yes", "--local-user", _address(key)),
            *("--output", target, *how, source),
        )

    def _gpg(self, *words: object) -> None:
        run("gpg", "--homedir", self.home, "--batch", "--quiet", *words)


_IN_2020 = ("--faked-system-time", "20200101T000000!")


def _address(name: str) -> str:
    return f"{name}@example.org"


class Archive:
    """Packages and the suites that list them, in a directory to be served."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._index = ""
        (place / "pool").mkdir(parents=True)

    def make(
        self,
        name: str,
        *,
        files: Mapping[str, str] | None = None,
        version: str = "1",
        postinst: str = "",
        **fields: str,
    ) -> Path:
        """A new package of these files; those with a "#!" can be run."""
        with tempfile.TemporaryDirectory() as held:
            tree = Path(held, "tree")
            control = tree / "DEBIAN"
            control.mkdir(parents=True)
            (control / "control").write_text(_control(name, version, fields))
            if postinst:
                script = control / "postinst"
                script.write_text(f"#!/bin/sh\nset -e\n{postinst}\n")
                script.chmod(0o755)
            for path, text in (files or {}).items():
                file = tree / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
                file.chmod(0o755 if text.startswith("#!") else 0o644)
            # Without its epoch, as Debian names them.
            deb = Path(held, f"{name}_{version.split(':')[-1]}_all.deb")
            run(
                *("dpkg-deb", "--root-owner-group", "-Znone"),
                *("--build", tree, deb),
            )
            return self.add(deb)

    def change(self, deb: Path, path: str, text: str) -> Path:
        """Take a package with other text in one of its files."""
        with tempfile.TemporaryDirectory() as held:
            tree = Path(held, "tree")
            run("dpkg-deb", "--raw-extract", deb, tree)
            (tree / path).write_text(text)
            changed = Path(held, deb.name)
            run("dpkg-deb", "-Znone", "--build", tree, changed)
            return self.add(changed)

    def add(self, deb: Path) -> Path:
        """Take a package as it is; where it is in the archive."""
        held = self.place / "pool" / deb.name
        shutil.copy(deb, held)
        data = held.read_bytes()
        self._index += (
            f"{run('dpkg-deb', '--field', held).rstrip()}\n"
            f"Filename: pool/{held.name}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        )
        return held

    def suite(
        self,
        name: str,
        keys: Keys,
        *,
        key: str,
        expired: bool = False,
        components: Iterable[str] = ("main",),
    ) -> Path:
        """Sign what there is as a suite, all of it in the first component."""
        place = self.place / "dists" / name
        listed = ""
        text = self._index
        for component in components:
            path = f"{component}/binary-{ARCHITECTURE}/Packages"
            packed = gzip.compress(text.encode(), mtime=0)
            index = place / f"{path}.gz"
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_bytes(packed)
            for data, ending in ((text.encode(), ""), (packed, ".gz")):
                digest = hashlib.sha256(data).hexdigest()
                listed += f" {digest} {len(data)} {path}{ending}\n"
            text = ""
        date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        release = place / "Release"
        release.write_text(
            f"Origin: Test\nSuite: {name}\nCodename: {name}\nDate: {date}\n"
            f"Architectures: {ARCHITECTURE}\n"
            f"Components: {' '.join(components)}\nSHA256:\n{listed}"
        )
        signed = place / "InRelease"
        keys.clearsign(release, signed, key=key, expired=expired)
        release.unlink()
        return signed


def _control(name: str, version: str, fields: Mapping[str, str]) -> str:
    control = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": "nobody <nobody@example.org>",
        **{key.replace("_", "-"): value for key, value in fields.items()},
        "Description": "a package",
    }
    return "".join(f"{key}: {value}\n" for key, value in control.items())


def debian_packages(place: Path, *names: str) -> list[Path]:
    """These packages of this host's mirror, and all that they depend on.

    They are kept for other builds where those look for theirs.
    """
    archives = place / "archives"
    (archives / "partial").mkdir(parents=True)
    (place / "lists/partial").mkdir(parents=True)
    status = place / "status"
    status.touch()
    # Not whatever else this host has among its sources.
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    sources = place / "sources.list"
    sources.write_text(run(TOOLS / "sources", release))
    apt = place / "apt.conf"
    apt.write_text(
        f'Dir::State "{place}";\nDir::State::status "{status}";\n'
        f'Dir::State::lists "{place}/lists";\n'
        f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\n'
        f'Dir::Cache "{place}";\nDir::Cache::archives "{archives}";\n'
        'APT::Install-Recommends "false";\nAPT::Sandbox::User "root";\n'
        'Acquire::Languages "none";\n'
    )
    env = {
        **os.environ,
        "APT_CONFIG": str(apt),
        "DIB_IMAGE_CACHE": str(Path("~/.cache/image-create").expanduser()),
    }
    run("apt-get", "-qq", "update", env=env)
    install = ("apt-get", "-qq", "--yes", "install")
    uris = place / "uris"
    uris.write_text(run(*install, "--print-uris", *names, env=env))
    run(TOOLS / "deb-cache", "take", uris, archives, env=env)
    run(*install, "--download-only", *names, env=env)
    run(TOOLS / "deb-cache", "keep", uris, archives, env=env)
    return sorted(archives.glob("*.deb"))
