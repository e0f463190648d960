"""A public ssh key from the command line; a private one stays where it is."""

import argparse
import pathlib

# A public key has at most some 3000 characters, a private one four times as
# many; nothing larger is read.
LONGEST_FILE = 16 * 1024

PRIVATE = ("PRIVATE KEY", "PuTTY-User-Key-File")


def public_key(text: str) -> str:
    """The key that ``text`` is, or that is in the file of that name.

    :raises ArgumentTypeError: it is none, or a private one.
    """
    # What begins as a key does is no file's name.
    inline = text.startswith(("ssh-", "ecdsa-", "sk-")) and " " in text
    content = text if inline else _content(text)
    if any(word in content for word in PRIVATE):
        # Not with the key in the message: it goes to scrollback and logs.
        raise argparse.ArgumentTypeError(
            "that is a private key, which nobody else may have; give the "
            "public one, as a rule the file beside it that ends in .pub"
        )
    lines = [line.strip() for line in content.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise argparse.ArgumentTypeError(
            f"{text} holds {len(found)} keys: give a file with one"
        )
    return found[0]


def _content(text: str) -> str:
    if any(word in text for word in PRIVATE):
        return text
    try:
        with pathlib.Path(text).expanduser().open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
        if len(data) > LONGEST_FILE:
            raise argparse.ArgumentTypeError(f"{text} is too long for a key")
        return data.decode()
    except UnicodeDecodeError as exc:
        raise argparse.ArgumentTypeError(f"{text} holds no key") from exc
    # RuntimeError: "~somebody", and there is nobody of that name.
    except (OSError, RuntimeError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "no such file"
        raise argparse.ArgumentTypeError(
            f"{text} is neither a public key nor a file that can be read "
            f"({reason})"
        ) from exc
