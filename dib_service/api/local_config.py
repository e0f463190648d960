"""Which proxies and ssh keys a request may have put into its image.

Everybody who gets the image can read them, and builds are shown with them: so
there is nothing secret in either. What may be a secret is not repeated in the
refusal.
"""

import base64
import binascii
from collections.abc import Sequence
import re
import urllib.parse

from dib_service.api import faults, text
from dib_service.objects.local_config import Proxy

MAX_SSH_KEYS = 16
# An RSA key of 16384 bits has some 2800. All keys are one variable of the
# build, for which the kernel has 128 KiB.
KEY_BYTES = 3500
# sshd will still take half of it, and nobody should give it that.
LEAST_RSA_BITS = 2048

MAX_EXCEPTIONS = 64
ADDRESS_LENGTH = 255

# The types that today's OpenSSH takes, with the bytes of a key where all of
# a type are of one length.
_ED25519_BYTES = 32
_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)

_PRIVATE = re.compile(r"-----BEGIN|PRIVATE KEY|PuTTY-User-Key-File")
_HOST = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]"
)
# What the element lets pass: urlsplit drops blanks at the beginning, and an
# empty query.
_ADDRESS = re.compile(r"[A-Za-z0-9:/.\[\]_-]+")
# A host, a domain, an address or a network, maybe with a port.
_EXCEPTION = re.compile(r"[A-Za-z0-9.*\[:][A-Za-z0-9.*:\[\]/_-]*")


def check(proxy: Proxy, ssh_keys: Sequence[str]) -> None:
    """Let pass what can go into an image.

    :raises BadRequest: naming the first field that is wrong.
    """
    for name, address in (("http", proxy.http), ("https", proxy.https)):
        if address:
            _check_proxy(f"build.proxy.{name}", address)
    if proxy.no_proxy and not (proxy.http or proxy.https):
        raise faults.refusal(
            "build.proxy.no_proxy", "is said without a proxy: http or https"
        )
    for number, each in enumerate(proxy.no_proxy):
        if len(each) > ADDRESS_LENGTH or not _EXCEPTION.fullmatch(each):
            raise faults.refusal(
                f"build.proxy.no_proxy[{number}]",
                "expected a host, a domain, an address or a network",
            )
    for number, key in enumerate(ssh_keys):
        problem = _fault_of_key(key)
        if problem:
            raise faults.refusal(f"build.ssh_keys[{number}]", problem)


def _check_proxy(field: str, address: str) -> None:
    # Before anything that would repeat it.
    if "@" in address:
        raise faults.refusal(
            field,
            "holds a user name or a password; everybody who has the image "
            "could read it, so only a proxy that needs none can be used",
        )
    try:
        parts = urllib.parse.urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.urlsplit(""), None
    plain = (
        len(address) <= ADDRESS_LENGTH
        and _ADDRESS.fullmatch(address)
        and parts.scheme in ("http", "https")
        and parts.path in ("", "/")
        and port != 0
        and _HOST.fullmatch(re.sub(r":\d+\Z", "", parts.netloc))
    )
    if not plain:
        # There may be a token in it.
        raise faults.refusal(
            field,
            "expected the URL of a proxy, as http://proxy.example.com:3128",
        )


def _fault_of_key(line: str) -> str:
    """Why this is no public key to put into an image; "" if it is one."""
    if _PRIVATE.search(line):
        return (
            "is a private key, which now is known to others: make a new one, "
            "and give the public one, the file that ends in .pub"
        )
    if text.has_control(line):
        return "one key on one line, without control characters, is expected"
    if len(line.encode()) > KEY_BYTES:
        return f"at most {KEY_BYTES} bytes are allowed"
    kind, _, rest = line.partition(" ")
    if kind not in _TYPES:
        return (
            "expected the type, the key and maybe a comment, as in a .pub "
            "file; without options such as command= or from= before them, "
            f"and of one of the types {', '.join(_TYPES)}"
        )
    return _fault_of_blob(kind, rest.split(" ", 1)[0])


def _fault_of_blob(kind: str, encoded: str) -> str:
    try:
        fields = _fields(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        return f"what follows {kind} is no key in base64, or a part of one"
    if fields[0] != kind.encode():
        return f"says it is of type {kind}, and its content is not"
    if kind == "ssh-ed25519" and len(fields[-1]) != _ED25519_BYTES:
        return "is cut short, or something has been added"
    if kind == "ssh-rsa":
        bits = int.from_bytes(fields[-1]).bit_length()
        if bits < LEAST_RSA_BITS:
            return f"has {bits} bits; {LEAST_RSA_BITS} are the least for RSA"
    return ""


def _fields(blob: bytes) -> list[bytes]:
    """The strings that a key consists of: at least its type and one more.

    :raises ValueError: it is not made of such.
    """
    found = []
    while blob:
        size = int.from_bytes(blob[:4])
        if len(blob) < 4 + size:
            raise ValueError("cut short")
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    if len(found) < 2:
        raise ValueError("no key")
    return found
