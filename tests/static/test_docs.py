"""The documentation can be built, with no network and without a warning."""

import contextlib
import io
import os
import pathlib
import tempfile
import unittest
from unittest import mock
import warnings

from sphinx.cmd import build as sphinx_build

ROOT = pathlib.Path(__file__).parents[2]


class TestDocs(unittest.TestCase):
    def built(self, source: str) -> pathlib.Path:
        """Where the pages are that sphinx made of a folder."""
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        pages = pathlib.Path(place.name)
        said = io.StringIO()
        with (
            contextlib.chdir(ROOT),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
            mock.patch.dict(os.environ),
        ):
            warnings.simplefilter("ignore")
            status = sphinx_build.main(
                ["-W", "--keep-going", "-q", "-b", "html", source, str(pages)]
            )
        self.assertEqual(0, status, said.getvalue())
        return pages

    def test_the_guides(self):
        pages = self.built("doc/source")
        for name, said in (
            ("cli/openstack.html", "image build create"),
            ("configuration/config.html", "lease_seconds"),
            ("configuration/policy.html", "build:create:public"),
            ("user/elements/debian-minimal/index.html", "DIB_RELEASE"),
        ):
            self.assertIn(said, (pages / name).read_text())
        for element in (ROOT / "elements").iterdir():
            page = pages / "user/elements" / element.name / "index.html"
            self.assertTrue(page.exists(), f"{element.name} has no README")

    def test_the_api_reference(self):
        pages = self.built("api-ref/source")
        self.assertIn("/v1/builds", (pages / "index.html").read_text())

    def test_the_release_notes(self):
        pages = self.built("releasenotes/source")
        self.assertTrue((pages / "unreleased.html").exists())
