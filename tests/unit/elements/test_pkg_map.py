"""A package has the name that the most particular section gives it."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PKG_MAP = pathlib.Path(__file__).parents[3] / "elements/pkg-map/bin/pkg-map"
MAP = {
    "default": {"web": "web-default", "none": ""},
    "family": {"redhat": {"web": "httpd"}, "debian": {"web": "apache2"}},
    "distro": {"ubuntu": {"web": "apache2-ubuntu extra"}},
    "release": {"centos": {"8": {"web": "httpd-8"}}},
}


class TestPkgMap(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.map = pathlib.Path(folder.name, "map")
        self.map.write_text(json.dumps(MAP))

    def run_map(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(PKG_MAP), "--pkg-map", self.map, *words],
            capture_output=True,
            text=True,
        )

    def mapped(self, distro: str, release: str, *names: str) -> list[str]:
        done = self.run_map("--distro", distro, "--release", release, *names)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout.split("\n")[:-1]

    def test_default(self) -> None:
        self.assertEqual(["web-default"], self.mapped("gentoo", "", "web"))

    def test_family_before_default(self) -> None:
        self.assertEqual(["apache2"], self.mapped("debian", "sid", "web"))
        self.assertEqual(["httpd"], self.mapped("rocky", "9", "web"))

    def test_distro_before_family(self) -> None:
        self.assertEqual(
            ["apache2-ubuntu", "extra"], self.mapped("ubuntu", "noble", "web")
        )

    def test_release_before_distro_also_of_a_stream(self) -> None:
        self.assertEqual(["httpd-8"], self.mapped("centos", "8-stream", "web"))

    def test_an_empty_value_is_nothing(self) -> None:
        self.assertEqual([], self.mapped("debian", "sid", "none"))

    def test_a_prefix_stays_in_front(self) -> None:
        done = self.run_map(
            "--distro", "debian", "--prefix=-", "--", "-web", "web"
        )
        self.assertEqual("-apache2\napache2\n", done.stdout)

    def test_what_is_not_mapped(self) -> None:
        done = self.run_map("--distro", "debian", "other")
        self.assertEqual(1, done.returncode)
        self.assertIn("no mapping for other", done.stderr)
        done = self.run_map("--distro", "debian", "--missing-ok", "other")
        self.assertEqual((0, "other\n"), (done.returncode, done.stdout))

    def test_no_map(self) -> None:
        self.map.unlink()
        self.assertEqual(2, self.run_map("web").returncode)
        done = self.run_map("--missing-ok", "web")
        self.assertEqual((0, "web\n"), (done.returncode, done.stdout))
