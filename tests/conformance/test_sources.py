"""The same sources, and the same ways to install, as with the peer."""

import os
from pathlib import Path
import subprocess
import tarfile
import tempfile
import unittest

from tests.conformance import peer
from tests.repository import git

OURS = Path(__file__).parents[2] / "elements"
SOURCES = "source-repositories/extra-data.d/98-source-repositories"
TYPES = "install-types/extra-data.d/99-enable-install-types"


class HookTest(unittest.TestCase):
    """One hook, run beside a tree, of theirs and of ours."""

    maxDiff = None

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("the peer's hooks are root's: run this as root")
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)

    def ran(
        self, elements: Path, hook: str, files: dict[str, str], **more: str
    ) -> Path:
        """The hooks and the tree after it, in a new place of their own."""
        # The peer's own has such a name, and its hooks count on the dot.
        place = Path(tempfile.mkdtemp(prefix="dib_build.", dir=self.place))
        hooks = place / "hooks"
        for name, text in files.items():
            path = hooks / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (hooks / "bin").mkdir()
        (hooks / "bin/cache-url").symlink_to(
            elements / "cache-url/bin/cache-url"
        )
        for name in ("etc/dib-manifests", "tmp"):
            (place / "mnt" / name).mkdir(parents=True)
        done = subprocess.run(
            [elements / hook],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(place),
                "DIB_DEFAULT_INSTALLTYPE": "source",
                "DIB_IMAGE_CACHE": str(place / "cache"),
                "DIB_MANIFEST_IMAGE_DIR": "/etc/dib-manifests",
                "DIB_OFFLINE": "",
                "IMAGE_NAME": "image",
                "TMP_HOOKS_PATH": str(hooks),
                "TMP_MOUNT_PATH": str(place / "mnt"),
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        (place / "exit-code").write_text(str(done.returncode))
        return place


class SourcesTest(HookTest):
    """Checkouts, tarballs and files, and the lists of them."""

    def upstream(self) -> Path:
        place = self.place / "upstream"
        git("init", "--quiet", "--initial-branch=master", place)
        for number in ("1", "2"):
            (place / "file").write_text(number)
            git("-C", place, "add", ".")
            git("-C", place, "commit", "--quiet", "-m", number)
            if number == "1":
                git("-C", place, "tag", "first")
                git("-C", place, "branch", "side/way")
        return place

    def tarball(self) -> str:
        place = self.place / "x.tar.gz"
        with tarfile.open(place, "w:gz") as tar:
            for name in ("x-1/a", "x-1/b/c", "y/d", "e"):
                tar.addfile(tarfile.TarInfo(name))
        return f"file://{place}"

    def brought(self, elements: Path, lines: str, **more: str) -> object:
        place = self.ran(
            elements, SOURCES, {"source-repository-x": f"{lines}\n"}, **more
        )
        root = place / "mnt"
        if (place / "exit-code").read_text() != "0":
            return "failed"
        return (
            {
                str(path.relative_to(root)): path.read_bytes()
                for path in root.rglob("*")
                if path.is_file() and ".git" not in path.parts
            },
            [
                # Where each branch and tag is, and which is checked out. Of
                # the other branches there, the peer's has those that its
                # cache happens to know.
                git(
                    *("-C", path.parent, "for-each-ref"),
                    "--format=%(HEAD)%(refname) %(objectname)",
                    *("refs/heads", "refs/tags"),
                )
                for path in sorted(root.glob("**/.git"))
            ],
        )

    def assert_same(self, lines: str, **more: str) -> None:
        with self.subTest(lines, more=more):
            self.assertEqual(
                self.brought(peer.elements(), lines, **more),
                self.brought(OURS, lines, **more),
            )

    def test_git(self) -> None:
        upstream = self.upstream()
        commit = git("-C", upstream, "rev-parse", "first")
        for ref in ("", "master", "side/way", "first", commit, "*", "none"):
            self.assert_same(f"x git /opt/x {upstream} {ref}".rstrip())

    def test_tar_and_file(self) -> None:
        location = self.tarball()
        for ref in (".", "*", "x-1", "x-*", "none"):
            self.assert_same(f"x tar /opt/x {location} {ref}")
        self.assert_same(f"x file /opt/some/x {location}")

    def test_what_the_environment_says(self) -> None:
        upstream = self.upstream()
        line = "a-b git /opt/x https://example.org/upstream"
        for more in (
            {
                "DIB_REPOLOCATION_a_b": str(upstream),
                "DIB_REPOREF_a_b": "first",
            },
            {"DIB_GITREPOBASE": f"{self.place}/"},
            {"DIB_INSTALLTYPE_a_b": "package"},
            {"DIB_DEFAULT_INSTALLTYPE": "package"},
            {"NO_SOURCE_REPOSITORIES": "1"},
            {"DIB_REPOTYPE_a_b": "svn"},
        ):
            self.assert_same(line, **more)
        self.assert_same(
            "x git $WHERE $WHAT", WHERE="/opt/x", WHAT=str(upstream)
        )

    def test_lines(self) -> None:
        upstream = self.upstream()
        for lines in (
            "# nothing\n\n",
            f"x git /a {upstream}\n  # one more\ny git /b {upstream} first",
            f"x git /a {upstream}\nx git /a {upstream}",
            f"x git /a {upstream}\nx git /a {upstream} first",
            "x svn /a http://x",
            "x git /a $NOT_SET",
        ):
            self.assert_same(lines)


class TypesTest(HookTest):
    """The links that an install type makes."""

    def linked(self, elements: Path, **more: str) -> dict[str, str]:
        hooks = {
            f"install.d/{name}": name
            for name in (
                *("tool-source-install/50-tool", "tool-repo-install/50-tool"),
                *(
                    "my-app-source-install/60-app",
                    "my-app-repo-install/61-app",
                ),
                *("odd-a-b-install/70-odd", "80-plain"),
            )
        }
        place = self.ran(elements, TYPES, hooks, **more)
        self.assertEqual("0", (place / "exit-code").read_text())
        return {
            path.name: path.read_text()
            for path in (place / "hooks/install.d").iterdir()
            if path.is_file()
        }

    def test_links(self) -> None:
        for more in (
            {},
            {"DIB_DEFAULT_INSTALLTYPE": "repo"},
            {"DIB_INSTALLTYPE_my_app": "repo"},
            {"DIB_INSTALLTYPE_my_app": "none"},
            {"DIB_INSTALLTYPE_odd": "a-b", "DIB_INSTALLTYPE_tool": "repo"},
        ):
            with self.subTest(more):
                self.assertEqual(
                    self.linked(peer.elements(), **more),
                    self.linked(OURS, **more),
                )
