"""A package has the name that the most particular section gives it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"
PKG_MAP = ELEMENTS / "pkg-map/bin/pkg-map"
PATH = f"{ELEMENTS / 'dib-json/bin'}:{os.environ['PATH']}"
MAP = {
    "default": {"web": "web-default", "none": "", "null": None},
    "family": {"redhat": {"web": "httpd"}, "debian": {"web": "apache2"}},
    "distro": {"ubuntu": {"web": "apache2-ubuntu extra"}},
    "release": {
        "centos": {"8": {"web": "httpd-8"}, "9-stream": {"web": "httpd-9"}}
    },
}


class TestPkgMap(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.map = pathlib.Path(folder.name, "map")
        self.map.write_text(json.dumps(MAP))

    def run_map(
        self, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PKG_MAP, "--pkg-map", self.map, *words],
            env={"PATH": PATH, **environment},
            capture_output=True,
            text=True,
        )

    def mapped(self, distro: str, release: str, *names: str) -> list[str]:
        done = self.run_map("--distro", distro, "--release", release, *names)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout.split("\n")[:-1]

    def test_default(self) -> None:
        self.assertEqual(["web-default"], self.mapped("plan9", "", "web"))

    def test_family_before_default(self) -> None:
        self.assertEqual(["apache2"], self.mapped("debian", "sid", "web"))
        self.assertEqual(["httpd"], self.mapped("rocky", "9", "web"))

    def test_distro_before_family(self) -> None:
        # All names of one value stand on one line.
        self.assertEqual(
            ["apache2-ubuntu extra"], self.mapped("ubuntu", "noble", "web")
        )

    def test_release_before_distro(self) -> None:
        for release, name in (
            ("8", "httpd-8"),
            ("8-stream", "httpd-8"),
            ("9-stream", "httpd-9"),
            ("9", "httpd"),
        ):
            self.assertEqual([name], self.mapped("centos", release, "web"))

    def test_the_image_says_where_it_is(self) -> None:
        done = self.run_map("web", DISTRO_NAME="centos", DIB_RELEASE="8")
        self.assertEqual("httpd-8\n", done.stdout)

    def test_an_empty_value_is_nothing(self) -> None:
        self.assertEqual([], self.mapped("debian", "sid", "none", "null"))

    def test_each_line_has_the_prefix(self) -> None:
        done = self.run_map(
            "--distro=debian", "--prefix=-", "--missing-ok", "web", "other"
        )
        self.assertEqual("-apache2\n-other\n", done.stdout)

    def test_what_is_not_mapped(self) -> None:
        done = self.run_map("--distro", "debian", "other")
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("no mapping for other", done.stderr)
        done = self.run_map("--distro", "debian", "--missing-ok", "other")
        self.assertEqual((0, "other\n"), (done.returncode, done.stdout))

    def test_a_map_that_is_none(self) -> None:
        self.map.write_text("{'web': 'x'}")
        done = self.run_map("--distro", "debian", "--missing-ok", "web")
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn(f"{self.map} is not JSON", done.stderr)

    def test_no_map(self) -> None:
        self.map.unlink()
        done = self.run_map("--distro", "debian", "web")
        self.assertEqual(2, done.returncode)
        done = self.run_map("--distro", "debian", "--missing-ok", "web")
        self.assertEqual((0, "web\n"), (done.returncode, done.stdout))

    def test_what_is_missing_is_said(self) -> None:
        for words, said in (
            (("web",), "no --distro"),
            (("--element", "x", "web"), "one of --element"),
            (("--distro",), "--distro wants a value"),
        ):
            done = self.run_map(*words)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertIn(said, done.stderr)
