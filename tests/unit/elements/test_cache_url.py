"""What is fetched once is there for the next build, or its lack is said."""

import os
import pathlib
import subprocess
import tempfile
import unittest

CACHE_URL = (
    pathlib.Path(__file__).parents[3] / "elements/cache-url/bin/cache-url"
)
# Answers as it is told to, and notes down what it was asked.
CURL = """#!/bin/bash
echo "$*" >"$0.asked"
while [ $# -gt 0 ]; do
    if [ "$1" = --output ]; then
        printf '%s' "$BODY" >"$2"
    fi
    shift
done
printf '%s' "$STATUS"
"""


class TestCacheUrl(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name)
        self.file = self.place / "cache/image"
        self.curl = self.place / "curl"
        self.curl.write_text(CURL)
        self.curl.chmod(0o755)

    def fetch(
        self, status: str, body: str = "", *, trace: str = "0"
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CACHE_URL, "https://me:secret@mirror.example.org/x", self.file],
            env={
                "PATH": f"{self.place}:{os.environ['PATH']}",
                "STATUS": status,
                "BODY": body,
                "DIB_DEBUG_TRACE": trace,
            },
            capture_output=True,
            text=True,
        )

    def test_a_file_is_kept_until_there_is_a_newer_one(self) -> None:
        for status, body, kept in (
            ("200", "first", "first"),
            ("304", "", "first"),
            ("200", "second", "second"),
        ):
            self.assertEqual(0, self.fetch(status, body).returncode)
            self.assertEqual(kept, self.file.read_text())
        self.assertEqual([], list(self.file.parent.glob(".download.*")))

    def test_half_a_file_is_none(self) -> None:
        self.fetch("200", "first")
        self.assertEqual(1, self.fetch("500", "an error's page").returncode)
        self.assertEqual("first", self.file.read_text())

    def test_a_server_that_falls_silent_is_given_up(self) -> None:
        self.fetch("200", "x")
        asked = (self.place / "curl.asked").read_text()
        self.assertIn("--speed-time 60", asked)
        self.assertIn("--speed-limit 1", asked)

    def test_a_password_is_not_shown(self) -> None:
        for status, code in (("404", 44), ("500", 1)):
            done = self.fetch(status)
            self.assertEqual(code, done.returncode)
            self.assertIn("https://mirror.example.org/x", done.stderr)
            self.assertNotIn("secret", done.stderr)

    def test_a_file_of_this_host_has_a_url_too(self) -> None:
        source = self.place / "source"
        for text, kept in (("first", "first"), (None, "first")):
            source.unlink(missing_ok=True)
            if text:
                source.write_text(text)
            done = subprocess.run(
                [CACHE_URL, source.as_uri(), self.file],
                env={"PATH": os.environ["PATH"]},
                capture_output=True,
                text=True,
            )
            self.assertEqual(0 if text else 1, done.returncode, done.stderr)
            self.assertEqual(kept, self.file.read_text())
