"""Sizes as people write them: a number with a unit, or a percentage."""

import dataclasses

from dib_service.engine import errors

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB
PiB = 1024 * TiB
EiB = 1024 * PiB

# Longest first: "KiB" ends in "B" too.
UNITS = (
    ("TiB", TiB),
    ("GiB", GiB),
    ("MiB", MiB),
    ("KiB", KiB),
    ("TB", 1000**4),
    ("GB", 1000**3),
    ("MB", 1000**2),
    ("KB", 1000),
    ("T", 1000**4),
    ("G", 1000**3),
    ("M", 1000**2),
    ("K", 1000),
    ("B", 1),
    ("", 1),
)

# More digits than bytes of the largest disk have.
LONGEST = 18


@dataclasses.dataclass(frozen=True)
class Size:
    """Bytes, or hundredths of what the others leave over."""

    bytes: int = 0
    percent: float = 0.0


@dataclasses.dataclass(frozen=True)
class Span:
    """Where a partition lies, in bytes, and its number in its table."""

    offset: int
    size: int
    number: int = 1


def parse(value: object, where: str) -> Size:
    """Bytes or a percentage, from a number with one of ``UNITS`` or ``%``.

    :raises errors.LayoutError: at ``where``.
    """
    text = str(value).strip().replace(" ", "")
    if text.endswith("%"):
        percent = number(text[:-1], where)
        if not 0 < percent <= 100:
            raise errors.LayoutError(where, f"{text} is not a share")
        return Size(percent=percent)
    unit, factor = next(u for u in UNITS if text.endswith(u[0]))
    size = int(number(text.removesuffix(unit), where) * factor)
    if size <= 0:
        raise errors.LayoutError(where, f"{value!r} is not a size")
    return Size(bytes=size)


def number(text: str, where: str) -> float:
    """A plain decimal number.

    :raises errors.LayoutError: at ``where``.
    """
    # float() would take "nan", "1e9" and "1_0" as well.
    whole, _, fraction = text.partition(".")
    if not (whole + fraction).isascii() or not (whole + fraction).isdigit():
        raise errors.LayoutError(where, f"{text!r} is not a number")
    if len(whole) > LONGEST:
        raise errors.LayoutError(where, f"{text[:LONGEST]}… is too much")
    return float(text)
