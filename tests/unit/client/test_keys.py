"""A public key leaves this machine, a private one does not."""

import argparse
import pathlib
import tempfile
import unittest
from unittest import mock

from dib_service.client import keys

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEM2Ne91Bm5PCiEDssNMA me"
PRIVATE = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"
    "-----END OPENSSH PRIVATE KEY-----\n"
)


class PublicKeyTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)

    def file(self, content: str | bytes) -> str:
        path = self.place / "key"
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return str(path)

    def refused(self, text: str) -> str:
        with self.assertRaises(argparse.ArgumentTypeError) as caught:
            keys.public_key(text)
        return str(caught.exception)

    def test_a_key(self) -> None:
        self.assertEqual(KEY, keys.public_key(KEY))

    def test_a_file(self) -> None:
        path = self.file(f"# mine\n\n{KEY}\r\n")
        self.assertEqual(KEY, keys.public_key(path))

    def test_a_file_at_home(self) -> None:
        self.file(KEY)
        with mock.patch.dict("os.environ", HOME=str(self.place)):
            self.assertEqual(KEY, keys.public_key("~/key"))

    def test_a_private_key(self) -> None:
        for text in (
            PRIVATE,
            self.file(PRIVATE),
            self.file(f"{KEY}\n{PRIVATE}"),
        ):
            said = self.refused(text)
            self.assertIn("private key", said)
            self.assertIn(".pub", said)
            self.assertNotIn("hunter2", said)

    def test_no_key(self) -> None:
        for text, why in (
            (self.file(""), "holds 0 keys"),
            (str(self.place), "neither a public key nor a file"),
            (str(self.place / "none"), "No such file"),
            ("none\0", "neither a public key nor a file"),
            ("~nobody-at-all/key.pub", "neither a public key nor a file"),
        ):
            with self.subTest(text):
                self.assertIn(why, self.refused(text))
        self.assertIn("holds 2 keys", self.refused(self.file(f"{KEY}\n{KEY}")))
        self.assertIn("holds no key", self.refused(self.file(b"\xff\xfe")))
        self.assertIn("too long", self.refused(self.file("x" * 20000)))
