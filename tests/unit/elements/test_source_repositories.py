"""Sources come to their place in the tree, by way of the cache."""

import hashlib
import importlib
import os
import pathlib
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
from unittest import mock

from tests.repository import git

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"
ELEMENT = ELEMENTS / "source-repositories"
HOOK = ELEMENT / "extra-data.d/98-source-repositories"


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name).resolve()
        self.hooks = self.place / "hooks"
        self.root = self.place / "root"
        self.cache = self.place / "cache"
        for path in (self.hooks / "bin", self.root / "etc", self.cache):
            path.mkdir(parents=True)
        (self.hooks / "bin/cache-url").symlink_to(
            ELEMENTS / "cache-url/bin/cache-url"
        )

    def declare(self, *lines: str, name: str = "x") -> None:
        text = "".join(f"{line}\n" for line in lines)
        (self.hooks / f"source-repository-{name}").write_text(text)

    def ended(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, HOOK],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.place),
                "TMP_HOOKS_PATH": str(self.hooks),
                "TMP_MOUNT_PATH": str(self.root),
                "DIB_IMAGE_CACHE": str(self.cache),
                "DIB_MANIFEST_IMAGE_DIR": "/etc/dib-manifests",
                "DIB_OFFLINE": "",
                "IMAGE_NAME": "image",
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def fetch(self, **environment: str) -> str:
        done = self.ended(**environment)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def refused(self, *words: str, **environment: str) -> None:
        done = self.ended(**environment)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertNotIn("Traceback", done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def listed(self) -> list[str]:
        file = self.root / "etc/dib-source-repositories"
        return file.read_text().splitlines() if file.exists() else []

    def repository(self, name: str = "upstream") -> pathlib.Path:
        """A repository of two commits, a tag and a branch."""
        place = self.place / name
        git("init", "--quiet", "--initial-branch=master", place)
        for number in ("1", "2"):
            (place / "file").write_text(number)
            git("-C", place, "add", ".")
            git("-C", place, "commit", "--quiet", "-m", number)
            if number == "1":
                git("-C", place, "tag", "first")
                git("-C", place, "branch", "side")
                git("-C", place, "update-ref", "refs/changes/1/1/1", "HEAD")
        return place

    def tarball(self, name: str, *files: str) -> str:
        place = self.place / name
        mode = name.rpartition(".")[2]
        with tarfile.open(place, f"w:{mode}") as tar:
            for file in files:
                member = tarfile.TarInfo(file)
                member.uid = member.gid = 1234
                tar.addfile(member)
        return f"file://{place}"


class TestLines(Case):
    def test_what_is_no_source(self) -> None:
        for line, said in (
            ("x", "'x' is not a source repository"),
            ("x svn /y http://z", "is not a source repository"),
            ("x git /y http://z a b", "is not a source repository"),
            ("x git", "it wants a destination"),
            ("x git /y", "it wants a destination and a location"),
            ("x git /y --upload-pack=id", "is an option"),
            ("x tar /y http://z ../..", "not in the tarball"),
            ("x tar /y http://z /etc", "not in the tarball"),
            ("x git /y $NOT_SET", "the shell does not take"),
            ("x git /y http://z#sha256=12", "name a commit"),
            ("x file /y http://z#sha256=12", "a sha256 has 64 digits"),
            ("x file /y http://z#sha256:12", "a checksum is written"),
        ):
            with self.subTest(line):
                self.declare(line)
                self.refused("source-repository-x", said)
                self.assertEqual([], self.listed())

    def test_a_type_that_is_none(self) -> None:
        self.declare("x git /y http://z")
        self.refused("no type 'svn'", DIB_REPOTYPE_x="svn")

    def test_nothing_to_do(self) -> None:
        self.declare("# x git /y", "", "  ", "x package")
        self.fetch()
        self.declare("x git /y nowhere")
        self.fetch(NO_SOURCE_REPOSITORIES="1")
        for variable in ("DIB_DEFAULT_INSTALLTYPE", "DIB_INSTALLTYPE_x"):
            self.assertIn("package", self.fetch(**{variable: "package"}))
        self.assertEqual([], self.listed())

    def test_variables_are_read_and_what_they_hold_is_not(self) -> None:
        source = self.place / "a$(id)`id`"
        source.write_text("hello")
        self.declare('x file /x "file://$WHERE/$WHAT"')
        self.fetch(WHERE=str(self.place), WHAT=source.name)
        self.assertEqual("hello", (self.root / "x").read_text())

    def test_the_last_line_needs_no_end(self) -> None:
        (self.place / "a").write_text("")
        file = self.hooks / "source-repository-x"
        file.write_text(f"x file /x file://{self.place}/a")
        (self.hooks / "source-repository-x~").write_text("nonsense\n")
        self.fetch()
        self.assertEqual(["/x"], self.listed())


class TestFile(Case):
    def setUp(self) -> None:
        super().setUp()
        self.source = self.place / "source"
        self.source.write_text("one")

    def test_it_is_copied(self) -> None:
        self.declare(f"x file /opt/x file://{self.source}")
        self.fetch()
        copied = self.root / "opt/x"
        self.assertEqual("one", copied.read_text())
        self.assertEqual(0o644, stat.S_IMODE(copied.stat().st_mode))

    def test_offline_it_comes_from_the_cache(self) -> None:
        self.declare(f"x file /x file://{self.source}")
        self.fetch()
        self.source.unlink()
        self.refused("could not be fetched")
        self.fetch(DIB_OFFLINE="1")
        self.assertEqual("one", (self.root / "x").read_text())

    def test_a_checksum_is_looked_at(self) -> None:
        for algorithm in ("sha256", "sha512"):
            digest = hashlib.new(algorithm, b"one").hexdigest()
            location = f"file://{self.source}#{algorithm}={digest}"
            self.declare(f"x file /x {location}")
            self.fetch()
            self.source.write_text("two")
            # What is proven is not asked for again.
            self.fetch()
            self.assertEqual("one", (self.root / "x").read_text())
            (cached,) = self.cache.glob(f"*/x_{'[0-9a-f]' * 40}")
            cached.write_text("spoilt")
            self.refused("is not what its checksum says")
            self.assertFalse(cached.exists())
            self.source.write_text("one")
            # Nor is what the cache has taken on trust.
            self.fetch()
            cached.write_text("spoilt")
            self.refused("not what its checksum says", DIB_OFFLINE="1")

    def test_a_symlink_of_the_tree_stays_in_the_tree(self) -> None:
        host = self.place / "host"
        host.mkdir()
        (self.root / "opt").symlink_to(host)
        (self.root / "up").symlink_to("../../../..")
        (self.root / "round").symlink_to("round")
        (self.root / "etc/dib-source-repositories").symlink_to(host / "list")
        for path in ("/opt/x", "/up/x"):
            self.declare(f"x file {path} file://{self.source}")
            self.fetch()
        self.assertEqual([], list(host.iterdir()))
        inside = self.root / str(host)[1:]
        self.assertEqual("one", (inside / "x").read_text())
        self.assertEqual("/opt/x\n/up/x\n", (inside / "list").read_text())
        self.assertEqual("one", (self.root / "x").read_text())
        self.declare(f"x file /round/x file://{self.source}")
        self.refused("too many symlinks")

    def test_not_over_a_directory(self) -> None:
        self.declare(f"x file /etc file://{self.source}")
        self.refused("/etc is a directory")


class TestTar(Case):
    def found(self) -> list[str]:
        target = self.root / "opt/x"
        return sorted(
            str(path.relative_to(target))
            for path in target.rglob("*")
            if path.is_file()
        )

    def test_what_the_reference_picks(self) -> None:
        location = self.tarball("x.tar.gz", "x-1/a", "x-1/b/c", "y-1/d", "e")
        for ref, expected in (
            (".", ["e", "x-1/a", "x-1/b/c", "y-1/d"]),
            ("*", ["a", "b/c", "d"]),
            ("", ["a", "b/c", "d"]),
            ("x-1", ["a", "b/c"]),
            ("x-*", ["a", "b/c"]),
            ("x-1/b", ["c"]),
        ):
            with self.subTest(ref):
                self.declare(f"x tar /opt/x {location} {ref}")
                self.fetch()
                self.assertEqual(expected, self.found())
                subprocess.run(["rm", "-r", self.root / "opt"], check=True)

    def test_a_reference_to_nothing(self) -> None:
        self.declare(f"x tar /opt/x {self.tarball('x.tar.gz', 'a')} x")
        self.refused("no directory 'x' in the tarball")

    def test_any_compression_and_files_of_ours(self) -> None:
        for kind in ("gz", "xz", "bz2"):
            location = self.tarball(f"x.tar.{kind}", kind)
            self.declare(f"x tar /opt/x {location} .")
            self.fetch()
            status = (self.root / "opt/x" / kind).stat()
            self.assertEqual(os.geteuid(), status.st_uid)
        self.assertEqual(["bz2", "gz", "xz"], self.found())

    def test_zstd(self) -> None:
        self.tarball("x.tar", "a")
        packed = self.place / "x.tar.zst"
        subprocess.run(
            ["zstd", "--quiet", self.place / "x.tar", "-o", packed], check=True
        )
        self.declare(f"x tar /opt/x file://{packed} .")
        self.fetch()
        self.assertEqual(["a"], self.found())

    def test_what_is_no_tarball(self) -> None:
        (self.place / "x").write_text("x")
        self.declare(f"x tar /opt/x file://{self.place}/x .")
        self.refused("tar")


class TestGit(Case):
    def checkout(self) -> tuple[str, str]:
        """What is checked out, and its branch."""
        place = self.root / "opt/x"
        return (
            (place / "file").read_text(),
            git("-C", place, "branch", "--show-current"),
        )

    def test_each_kind_of_reference(self) -> None:
        upstream = self.repository()
        commit = git("-C", upstream, "rev-parse", "first")
        for ref, expected in (
            ("", "2"),
            ("master", "2"),
            ("side", "1"),
            ("first", "1"),
            (commit, "1"),
            ("refs/changes/1/1/1", "1"),
            ("*", "2"),
        ):
            with self.subTest(ref):
                self.declare(f"x git /opt/x {upstream} {ref}")
                self.fetch()
                # The branch stays, and is where the reference is.
                self.assertEqual((expected, "master"), self.checkout())
                refs = git("-C", self.root / "opt/x", "branch", "--list")
                name = "side" if ref == "*" else f"fetch_{ref or 'master'}"
                self.assertIn(name, refs)
                subprocess.run(["rm", "-r", self.root / "opt"], check=True)

    def test_nothing_in_it_names_the_cache(self) -> None:
        upstream = self.repository()
        self.declare(f"x git /opt/x file://me:secret@{upstream}")
        self.declare(f"x git /opt/x {upstream}")
        self.fetch()
        place = self.root / "opt/x"
        origin = git("-C", place, "config", "remote.origin.url")
        self.assertEqual(str(upstream), origin)
        for path in place.rglob("*"):
            if path.is_file():
                self.assertNotIn(bytes(self.cache), path.read_bytes(), path)
        # Nor can who writes here reach it.
        for path in (place / ".git/objects").rglob("*"):
            if path.is_file():
                self.assertEqual(1, path.stat().st_nlink)

    def test_the_lists(self) -> None:
        upstream = self.repository()
        self.declare(f"x git /opt/x {upstream}", f"x git /opt/x {upstream}")
        self.fetch()
        self.assertEqual(["/opt/x", "/opt/x"], self.listed())
        commit = git("-C", upstream, "rev-parse", "HEAD")
        manifest = self.root / "etc/dib-manifests/dib-manifest-git-image"
        self.assertEqual(
            f"x git /opt/x {upstream} {commit}\n", manifest.read_text()
        )

    def test_two_that_want_one_place(self) -> None:
        upstream = self.repository()
        self.declare(f"x git /opt/x {upstream}", f"y git /opt/x {upstream} x")
        self.refused("/opt/x is wanted for", "y: git")
        (self.root / "opt/z").mkdir()
        (self.root / "opt/z/file").write_text("")
        self.declare(f"x git /opt/z {upstream}")
        self.refused("/opt/z is there already")

    def test_offline_it_comes_from_the_cache(self) -> None:
        upstream = self.repository()
        self.declare(f"x git /opt/x {upstream}")
        self.fetch()
        upstream.rename(self.place / "moved")
        subprocess.run(["rm", "-r", self.root / "opt"], check=True)
        self.fetch(DIB_OFFLINE="1")
        self.assertEqual(("2", "master"), self.checkout())

    def test_a_reference_to_nothing(self) -> None:
        self.declare(f"x git /opt/x {self.repository()} none")
        self.refused("there is no 'none' in")

    def test_what_the_environment_says_instead(self) -> None:
        upstream = self.repository("my-x")
        self.declare("a-b git /opt/x https://example.org/my-x")
        for environment in (
            {"DIB_REPOLOCATION_a_b": str(upstream)},
            {"DIB_GITREPOBASE": f"{self.place}/"},
        ):
            self.fetch(DIB_REPOREF_a_b="first", **environment)
            self.assertEqual(("1", "master"), self.checkout())
            subprocess.run(["rm", "-r", self.root / "opt"], check=True)
        self.fetch(DIB_REPOTYPE_a_b="package")
        self.assertFalse((self.root / "opt").exists())

    def test_a_cache_of_diskimage_builders(self) -> None:
        upstream = self.repository()
        told = f"git_{upstream}\n".encode()
        name = f"x_{hashlib.sha1(told).hexdigest()}"
        git("clone", "--quiet", upstream, self.cache / name)
        os.renames(
            self.cache / name, self.cache / "source-repositories" / name
        )
        self.declare(f"x git /opt/x {upstream} side")
        self.fetch()
        self.assertEqual(("1", "master"), self.checkout())


class TestRetries(unittest.TestCase):
    def test_a_location_is_tried_again_and_then_given_up(self) -> None:
        tools = str(ELEMENT / "source-repositories-tools")
        with mock.patch.object(sys, "path", [tools, *sys.path]):
            declared = importlib.import_module("declared")
            fetched = importlib.import_module("fetched")
        failed = subprocess.CompletedProcess([], 128, "", "")
        source = declared.Source(
            *("x", "git", "/x", "https://me:secret@example.org/x", "master")
        )
        with (
            tempfile.TemporaryDirectory() as place,
            mock.patch.object(fetched, "git", return_value=failed) as git_run,
            mock.patch.object(fetched.time, "sleep", autospec=True) as sleep,
            mock.patch("builtins.print", autospec=True),
            self.assertRaises(declared.Mistake) as caught,
        ):
            store = fetched.Store(
                pathlib.Path(place), cache_url="none", offline=False
            )
            with store.held(source):
                self.fail("there is nothing to hold")
        self.assertEqual(5, git_run.call_count)
        self.assertEqual([mock.call(5.0)] * 4, sleep.mock_calls)
        self.assertIn("could not be read by git", str(caught.exception))
        self.assertNotIn("secret", str(caught.exception))
