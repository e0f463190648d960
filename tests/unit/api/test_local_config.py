"""Which keys and proxies go into an image, and which do not."""

import base64
from typing import Any
import unittest

from dib_service import exception
from dib_service.api import local_config
from dib_service.objects.local_config import Proxy

ED25519 = (
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIEM2Ne91Bm5PCiEDssNMA/QOSEQ6PSUTbTFS22X/2PSy"
)


def key(kind: str, *fields: bytes, said: str = "") -> str:
    """A key of these fields, as OpenSSH writes it."""
    strings = (kind.encode(), *fields)
    blob = b"".join(len(each).to_bytes(4) + each for each in strings)
    return f"{said or kind} {base64.b64encode(blob).decode()}"


def rsa(bits: int) -> str:
    return key(
        "ssh-rsa", b"\1\0\1", b"\0" + (1 << (bits - 1)).to_bytes(bits // 8)
    )


GOOD_KEYS = (
    ED25519,
    f"{ED25519} me@example.com, my laptop",
    rsa(2048),
    rsa(16384),
    key("ecdsa-sha2-nistp256", b"nistp256", b"\4" * 65),
    key("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
)

# A line that is refused, and words of why.
BAD_KEYS = (
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2hunter2", "private key"),
    ("-----BEGIN RSA PRIVATE KEY----- hunter2hunter2", "private key"),
    ("PuTTY-User-Key-File-3: ssh-ed25519 hunter2hunter2", "private key"),
    ("ssh-ed25519 hunter2hunter2 " + "x" * 3500, "3500 bytes"),
    (f"{ED25519} " + "\N{GRINNING FACE}" * 900, "3500 bytes"),
    (f"{ED25519} \ud800", "one line"),
    (f"{ED25519} two\n{ED25519} lines", "one line"),
    (f"{ED25519}\n", "one line"),
    (f"{ED25519} \x1b[2Jhunter2hunter2", "one line"),
    (f'command="rm -r /" {ED25519}', "without options"),
    (f'from="192.0.2.1" {ED25519}', "without options"),
    (f"cert-authority {ED25519}", "without options"),
    (f" {ED25519}", "without options"),
    ("", "expected the type"),
    ("hunter2hunter2", "expected the type"),
    (key("ssh-dss", b"x" * 128), "of one of the types"),
    (key("ssh-ed25519-cert-v01@openssh.com", b"x"), "of one of the types"),
    ("ssh-ed25519", "no key in base64"),
    ("ssh-ed25519 hunter2!hunter2", "no key in base64"),
    (ED25519[:-8], "no key in base64"),
    (key("ssh-ed25519"), "no key in base64"),
    (key("ssh-rsa", b"k" * 32, said="ssh-ed25519"), "its content is not"),
    (key("ssh-ed25519", b"k" * 31), "cut short"),
    (rsa(1024), "has 1024 bits"),
)

GOOD_PROXIES = (
    "http://proxy.example.com:3128",
    "https://proxy.example.com/",
    "http://192.0.2.1:8080",
    "http://[2001:db8::1]:3128",
    "http://proxy",
    "HTTP://proxy:3128/",
)

BAD_PROXIES = (
    ("http://me:hunter2hunter2@proxy.example.com", "password"),
    ("http://hunter2hunter2@proxy.example.com", "user name"),
    ("hunter2hunter2@proxy", "user name"),
    ("proxy.example.com:3128", "URL of a proxy"),
    ("socks5://proxy.example.com", "URL of a proxy"),
    ("http://", "URL of a proxy"),
    ("http://proxy.example.com:0", "URL of a proxy"),
    ("http://proxy.example.com:99999", "URL of a proxy"),
    ("http://proxy.example.com:x", "URL of a proxy"),
    ("http://[::1", "URL of a proxy"),
    ("http://proxy.example.com/hunter2hunter2", "URL of a proxy"),
    ("http://proxy.example.com?t=hunter2hunter2", "URL of a proxy"),
    ("http://proxy.example.com?", "URL of a proxy"),
    ("http://proxy.example.com/#", "URL of a proxy"),
    (" http://proxy.example.com", "URL of a proxy"),
    ('http://proxy";evil "', "URL of a proxy"),
    ("http://proxy.example.com\n", "URL of a proxy"),
    ("http://größer.example.com", "URL of a proxy"),
    (f"http://{'a' * 255}", "URL of a proxy"),
)

GOOD_EXCEPTIONS = (
    *("localhost", ".example.com", "*.example.com", "192.0.2.0/24"),
    *("host:8080", "2001:db8::/32", "[::1]", "*"),
)
BAD_EXCEPTIONS = ("", "a,b", "a b", 'a"', "-x", "a\n", "a" * 256, "$(id)")


class CheckTest(unittest.TestCase):
    def refused(self, proxy: Any = None, *keys: str) -> exception.BadRequest:
        with self.assertRaises(exception.BadRequest) as caught:
            local_config.check(Proxy(**(proxy or {})), keys)
        return caught.exception

    def test_public_keys(self) -> None:
        local_config.check(Proxy(), GOOD_KEYS)

    def test_what_is_no_public_key(self) -> None:
        for line, why in BAD_KEYS:
            with self.subTest(line):
                error = self.refused(None, ED25519, line)
                self.assertEqual("build.ssh_keys[1]", error.facts["field"])
                self.assertIn(why, error.message)
                # What may be a private key is said nowhere.
                self.assertNotIn("hunter2", str(error.facts) + error.message)

    def test_proxies(self) -> None:
        for address in GOOD_PROXIES:
            with self.subTest(address):
                local_config.check(Proxy(http=address, https=address), ())

    def test_what_is_no_proxy(self) -> None:
        for name in ("http", "https"):
            for address, why in BAD_PROXIES:
                with self.subTest(address):
                    error = self.refused({name: address})
                    field = f"build.proxy.{name}"
                    self.assertEqual(field, error.facts["field"])
                    self.assertIn(why, error.message)
                    said = str(error.facts) + error.message
                    self.assertNotIn("hunter2", said)

    def test_exceptions(self) -> None:
        local_config.check(
            Proxy(https="http://proxy", no_proxy=GOOD_EXCEPTIONS), ()
        )

    def test_what_is_no_exception(self) -> None:
        for each in BAD_EXCEPTIONS:
            with self.subTest(each):
                error = self.refused(
                    {"http": "http://proxy", "no_proxy": ("x", each)}
                )
                field = "build.proxy.no_proxy[1]"
                self.assertEqual(field, error.facts["field"])

    def test_exceptions_from_nothing(self) -> None:
        error = self.refused({"no_proxy": ("localhost",)})
        self.assertEqual("build.proxy.no_proxy", error.facts["field"])
