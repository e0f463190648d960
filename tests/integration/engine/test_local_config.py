"""Who builds on a machine of their own gets what their shell has."""

import os
from pathlib import Path
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = Path(__file__).parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEM2Ne91Bm5PCiEDssNMA me@here"
BUILD = (
    "import sys; "
    "from dib_service.engine.commands import image_create as program"
)


class OwnTest(unittest.TestCase):
    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("a build mounts and chroots: run it as root")
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.keys = self.place / "home/.ssh/authorized_keys"
        self.keys.parent.mkdir(parents=True)

    def build(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-c", f"{BUILD}; sys.exit(program.main())"),
                *("-n", "-t", "raw", "-o", self.place / "image"),
                *("tiny", "tiny-tools", "local-config"),
            ],
            cwd=self.place,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PYTHONPATH": str(CHECKOUT),
                "HOME": str(self.place / "home"),
                "ELEMENTS_PATH": ":".join(
                    str(CHECKOUT / name)
                    for name in ("elements", "tests/elements")
                ),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def file(self, path: str) -> str:
        """A file of the image; empty if there is none."""
        done = subprocess.run(
            ["debugfs", "-R", f"cat {path}", self.place / "image.raw"],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def refused(self, why: str, **environment: str) -> None:
        done = self.build(**environment)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(why, done.stdout + done.stderr)
        self.assertNotIn("hunter2", done.stdout + done.stderr)
        self.assertFalse((self.place / "image.raw").exists())

    def test_keys_and_proxy_of_whoever_builds(self) -> None:
        # Options are theirs to give here.
        self.keys.write_text(f'from="192.0.2.1" {KEY}\n')
        done = self.build(http_proxy="http://proxy.example.com:3128")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(
            f'from="192.0.2.1" {KEY}\n',
            self.file("/root/.ssh/authorized_keys"),
        )
        self.assertIn(
            "http_proxy=http://proxy.example.com:3128\n",
            self.file("/etc/environment"),
        )
        self.assertEqual(
            "", self.file("/etc/ssh/sshd_config.d/00-local-config.conf")
        )

    def test_what_was_asked_for_is_the_default_users(self) -> None:
        self.keys.write_text("ssh-rsa of-who-builds\n")
        for user, environment in (
            ("debian", {}),
            ("light", {"DIB_METADATA_INIT_USER": "light"}),
            ("me", {"DIB_LOCAL_CONFIG_USERNAME": "me"}),
        ):
            done = self.build(DIB_LOCAL_CONFIG_SSH_KEYS=KEY, **environment)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual(
                f"{KEY}\n", self.file(f"/etc/ssh/authorized_keys.d/{user}")
            )
        self.assertEqual("", self.file("/root/.ssh/authorized_keys"))

    def test_a_password_is_for_no_image(self) -> None:
        self.refused(
            "has a user or a password in it",
            https_proxy="http://me:hunter2@proxy.example.com:3128",
        )

    def test_a_proxy_is_nothing_else(self) -> None:
        self.refused("the proxy is no URL", http_proxy='http://p";hunter2')
        self.refused("no list", no_proxy="$(hunter2)")

    def test_a_private_key_is_for_no_image(self) -> None:
        self.keys.write_text("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n")
        self.refused("private key among the public")

    def test_a_user_who_is_not_there(self) -> None:
        self.keys.write_text(f"{KEY}\n")
        self.refused(
            "there is no user nobody-else in the image",
            DIB_LOCAL_CONFIG_USERNAME="nobody-else",
        )
        self.refused("no user's name", DIB_LOCAL_CONFIG_USERNAME="../etc")
