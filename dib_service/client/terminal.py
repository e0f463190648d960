"""What strangers wrote, on somebody's terminal: seen, and not obeyed."""

import codecs
from collections.abc import Iterable, Iterator

HARMLESS = frozenset("\n\t\r")


def shown(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The pieces, with every character escaped that is not to be seen."""
    # A piece may end within a character.
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for piece in pieces:
        yield _escaped(decoder.decode(piece)).encode(
            encoding, "backslashreplace"
        )
    yield _escaped(decoder.decode(b"", final=True)).encode(
        encoding, "backslashreplace"
    )


def _escaped(text: str) -> str:
    return "".join(
        char
        if char.isprintable() or char in HARMLESS
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
