"""Small, real repositories of RPM packages, signed and served on loopback.

The packages are made by ``rpmbuild`` of what this machine has installed, so
that a tree made of them runs: a shell, systemd's tools, rpm, dnf, zypper.
What they are of is in ``rpm_packages``.
"""

import atexit
from collections.abc import Iterable, Mapping
import dataclasses
import functools
import http.server
import os
from pathlib import Path
import shutil
import ssl
import subprocess
import tempfile
import threading
import unittest

from tests import serving

SPEC = """\
Name: everything
Version: 1
Release: 1
Summary: packages of tests
License: none
AutoReqProv: no
%description
None of these is itself in a package.
"""
BUILT_WITH = {
    # Without an owner to ask about, and as fast as it goes.
    "_binary_payload": "w1.zstdio",
    "_build_id_links": "none",
    "__os_install_post": "%{nil}",
    "_unpackaged_files_terminate_build": "0",
    "debug_package": "%{nil}",
}
PAST = "20200101T000000"


@dataclasses.dataclass(frozen=True)
class Package:
    """What is in a package: texts of its own, and files of this machine.

    ``texts`` are executable where they start with "#!"; ``scripts`` are
    scriptlets, "post" and the like.
    """

    name: str
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()
    links: Mapping[str, str] = dataclasses.field(default_factory=dict)
    directories: Mapping[str, int] = dataclasses.field(default_factory=dict)
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    scripts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    version: str = "1"

    def section(self) -> str:
        """What a spec file says of it."""
        lines = [
            f"%package -n {self.name}",
            f"Version: {self.version}",
            f"Summary: {self.name}",
            "AutoReqProv: no",
            *(f"Requires: {name}" for name in self.requires),
            *(f"Provides: {name}" for name in self.provides),
            *(f"Conflicts: {name}" for name in self.conflicts),
            f"%description -n {self.name}",
            f"{self.name}, for tests.",
        ]
        for when, script in self.scripts.items():
            lines += [f"%{when} -n {self.name}", script]
        lines.append(f"%files -n {self.name}")
        lines += [
            f"%dir %attr({mode:o},root,root) {path}"
            for path, mode in self.directories.items()
        ]
        lines += [f'"{path}"' for path in (*self.texts, *self.files)]
        lines += [f'"{path}"' for path in self.links]
        return "\n".join(lines) + "\n"

    def lay_out(self, root: Path) -> None:
        """Put what is in it where rpmbuild looks for it."""
        for path, mode in self.directories.items():
            (root / path[1:]).mkdir(parents=True, exist_ok=True)
            (root / path[1:]).chmod(mode)
        for path, text in self.texts.items():
            place = root / path[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            place.chmod(0o755 if text.startswith("#!") else 0o644)
        for path in self.files:
            place = root / path[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            if Path(path).is_symlink():
                place.symlink_to(Path(path).readlink())
            else:
                shutil.copy2(path, place)
        for path, target in self.links.items():
            place = root / path[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)


def run(*words: object, **environment: str) -> str:
    """What a program wrote; what it complained of, if it failed."""
    done = subprocess.run(
        [str(word) for word in words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C", **environment},
    )
    if done.returncode:
        raise AssertionError(f"{words[:3]}: {done.stdout}{done.stderr}")
    return done.stdout


def build(packages: Iterable[Package], place: Path) -> list[Path]:
    """The packages as files, unsigned, in directories of place."""
    return [
        path
        for number, group in enumerate(_apart(packages))
        for path in _build_at_once(group, place / str(number))
    ]


def _apart(packages: Iterable[Package]) -> list[list[Package]]:
    """Groups in which no two packages have a file of the same name."""
    groups: list[tuple[set[str], list[Package]]] = []
    for package in packages:
        paths = {*package.texts, *package.files, *package.links}
        free = [each for each in groups if not each[0] & paths]
        if not free:
            free = [(set(), [])]
            groups += free
        taken, group = free[0]
        taken |= paths
        group.append(package)
    return [group for _, group in groups]


def _build_at_once(packages: Iterable[Package], place: Path) -> list[Path]:
    packages = list(packages)
    source = place / "source"
    source.mkdir(parents=True)
    for package in packages:
        package.lay_out(source)
    spec = place / "everything.spec"
    install = f"%install\nmv {source}/* %{{buildroot}}/\n"
    spec.write_text(
        SPEC + "".join(package.section() for package in packages) + install
    )
    defines = {**BUILT_WITH, "_topdir": str(place / "top")}
    words = [
        word
        for name, value in defines.items()
        for word in ("--define", f"{name} {value}")
    ]
    run("rpmbuild", "-bb", "--quiet", *words, spec, HOME=str(place))
    return sorted((place / "top/RPMS").glob("*/*.rpm"))


class Keys:
    """Keys to sign with, in a directory of their own."""

    def __init__(self) -> None:
        # gpg's agent has its socket there, and a socket's path is short.
        self.home = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))

    def close(self) -> None:
        run("gpgconf", "--homedir", self.home, "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)

    def gpg(self, *words: object, expired: bool = False) -> str:
        past = ("--faked-system-time", PAST) if expired else ()
        common = ("--homedir", self.home, "--batch", "--quiet", "--yes")
        return run("gpg", *common, *past, "--passphrase", "", *words)

    def make(self, name: str, *, expired: bool = False) -> Path:
        """A new key, and the file that it is given to others as."""
        life = "1d" if expired else "0"
        self.gpg(
            *("--quick-gen-key", name, "rsa2048", "sign", life),
            expired=expired,
        )
        public = self.home / f"{name}.asc"
        self.gpg("--armor", "--output", public, "--export", f"={name}")
        return public

    def sign_packages(self, name: str, packages: Iterable[Path]) -> None:
        run(
            *("rpmsign", "--define", f"_gpg_name {name}"),
            *("--define", f"_gpg_path {self.home}"),
            # Debian's rpm has no path to it.
            *("--define", f"__gpg {shutil.which('gpg')}", "--addsign"),
            *packages,
        )

    def sign_index(
        self, name: str, place: Path, *, expired: bool = False
    ) -> None:
        index = place / "repodata/repomd.xml"
        signature = index.with_name("repomd.xml.asc")
        self.gpg(
            *("--local-user", f"={name}", "--armor", "--output", signature),
            *("--detach-sign", index),
            expired=expired,
        )
        key = self.home / f"{name}.asc"
        shutil.copy(key, index.with_name("repomd.xml.key"))


def index(place: Path) -> None:
    """Make the metadata of a directory of packages."""
    run("createrepo_c", "--quiet", "--general-compress-type", "gz", place)


class Anywhere(serving.Quiet):
    """One repository at whichever path a distribution has one."""

    def translate_path(self, path: str) -> str:
        parts = path.rstrip("/").split("/")
        kept = 2 if parts[-2:-1] == ["repodata"] else 1
        return super().translate_path("/" + "/".join(parts[-kept:]))


class OneRelease(Anywhere):
    """The same of 9.4, and nothing of any other release."""

    def translate_path(self, path: str) -> str:
        known = path.startswith("/9.4/")
        return super().translate_path(path if known else "/of-another")


def serve_clients(
    case: unittest.TestCase,
    directory: Path,
    certificates: Path,
    handler: type[Anywhere] = Anywhere,
) -> str:
    """The URL of a server that only speaks to who has the client's key.

    ``certificates`` gets server.pem, client.pem and client.key.
    """
    for name in ("server", "client"):
        run(
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", certificates / f"{name}.pem"),
            *("-keyout", certificates / f"{name}.key"),
        )
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "client.pem")
    )
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(
        certificates / "server.pem", certificates / "server.key"
    )
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0),
        functools.partial(handler, directory=str(directory)),
    )
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    case.addCleanup(server.server_close)
    case.addCleanup(server.shutdown)
    return f"https://127.0.0.1:{server.server_address[1]}"


@dataclasses.dataclass(frozen=True)
class Repository:
    """A directory of packages, and the key that they are signed with."""

    place: Path
    key: Path


@functools.cache
def whole() -> Repository:
    """All packages of the tests, made once in a run of them."""
    # Imported here: they are made of what stands above.
    from tests import rpm_packages

    # Its directory is not in /tmp, of which a build has its own.
    holder = tempfile.TemporaryDirectory(prefix="rpm-", dir="/var/tmp")
    atexit.register(holder.cleanup)
    place = Path(holder.name)
    built = build(rpm_packages.system(), place / "build")
    signed = place / "signed"
    signed.mkdir()
    for path in built:
        path.rename(signed / path.name)
    shutil.rmtree(place / "build")
    keys = Keys()
    atexit.register(keys.close)
    key = keys.make("packager")
    keys.sign_packages("packager", signed.glob("*.rpm"))
    index(signed)
    keys.sign_index("packager", signed)
    return Repository(signed, key)
