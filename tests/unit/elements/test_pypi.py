"""What pip is told while an image is built, by the pypi element."""

import configparser
import os
from pathlib import Path
import subprocess
import tempfile
import unittest

HOOK = Path(__file__).parents[3] / "elements/pypi/extra-data.d/00-pypi"

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n"


class Settings(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)

    def settings(self, **environment: str) -> dict[str, str]:
        """The settings that the hook writes, as pip reads them."""
        said = subprocess.run(
            [HOOK],
            env={
                "PATH": os.environ["PATH"],
                "DIB_IMAGE_CACHE": str(self.place / "cache"),
                "TMP_HOOKS_PATH": str(self.place / "hooks"),
                "TMP_MOUNT_PATH": str(self.place / "tree"),
                **environment,
            },
            check=True,
            capture_output=True,
            text=True,
        )
        self.assertEqual(("", ""), (said.stdout, said.stderr))
        parser = configparser.RawConfigParser()
        parser.read(self.place / "hooks/pypi/pip.conf")
        return dict(parser["global"])

    def test_pip_does_what_it_always_does(self) -> None:
        self.assertEqual({}, self.settings())

    def test_mirrors_are_asked_beside_pips_own_index(self) -> None:
        found = self.settings(
            DIB_PYPI_MIRROR_URL_2="https://c.example.org/",
            DIB_PYPI_MIRROR_URL="https://a.example.org/",
            DIB_PYPI_MIRROR_URL_1="https://b.example.org/",
        )
        self.assertEqual({"extra-index-url"}, set(found))
        self.assertEqual(
            [f"https://{name}.example.org/" for name in "abc"],
            found["extra-index-url"].split(),
        )

    def test_mirrors_alone(self) -> None:
        for variable in ("DIB_NO_PYPI_PIP", "DIB_OFFLINE"):
            with self.subTest(variable):
                found = self.settings(
                    DIB_PYPI_MIRROR_URL="https://a.example.org/",
                    DIB_PYPI_MIRROR_URL_1="https://b.example.org/",
                    **{variable: "1"},
                )
                # Not even an empty line before it: pip would keep that.
                self.assertEqual(
                    {
                        "index-url": "https://a.example.org/",
                        "extra-index-url": "https://b.example.org/",
                    },
                    found,
                )

    def test_only_a_host_without_tls_is_trusted_without_it(self) -> None:
        found = self.settings(
            DIB_PYPI_MIRROR_URL="https://a.example.org/",
            DIB_PYPI_MIRROR_URL_1="http://me:secret@b.example.org:3141/x",
        )
        self.assertEqual("b.example.org:3141", found["trusted-host"])

    def test_a_percent_sign_stays_one(self) -> None:
        found = self.settings(DIB_PYPI_MIRROR_URL="https://a:%40@b.org/")
        self.assertEqual("https://a:%40@b.org/", found["extra-index-url"])

    def test_certificates_and_nothing_else_go_in(self) -> None:
        file = self.place / "file"
        file.write_text(f"secret\n{CERTIFICATE}secret\n{CERTIFICATE}")
        found = self.settings(DIB_PIP_CERT=str(file), DIB_PIP_RETRIES="0")
        self.assertEqual(
            {"cert": "/tmp/in_target.d/pypi/cert.pem", "retries": "0"}, found
        )
        self.assertEqual(
            CERTIFICATE * 2,
            (self.place / "hooks/pypi/cert.pem").read_text(),
        )
