"""What may stand in a name."""

import unicodedata

from dib_service.api import faults

# Control characters, line and paragraph separators, half surrogate pairs.
_REFUSED = frozenset({"Cc", "Zl", "Zp", "Cs"})

# What makes the text behind it read in another direction: "gpj.exe" is then
# seen where "exe.jpg" stands.
_TURNS = frozenset(
    {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
)


def has_control(value: str) -> bool:
    """Whether some character would do something instead of being seen."""
    return any(
        unicodedata.category(char) in _REFUSED
        or unicodedata.bidirectional(char) in _TURNS
        for char in value
    )


def check_name(field: str, value: str) -> None:
    """Let a name pass that people can read.

    :raises BadRequest: it is blank, or has control characters.
    """
    if has_control(value):
        raise faults.refusal(
            field,
            "line ends and other control characters are not allowed",
            value=value,
        )
    if not value.strip():
        raise faults.refusal(field, "may not be blank", value=value)
