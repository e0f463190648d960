"""Query parameters as values, and lists in pages."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dib_service import conf
from dib_service.api import faults
from dib_service.api.request import Reader, Request

Row = TypeVar("Row")

# Larger than any row's number or log's length; databases still add to it.
_LARGEST = 2**53


def text(name: str, value: str) -> str:
    """The text as it is.

    :raises BadRequest: it is empty, or longer than any name.
    """
    if not 0 < len(value) <= 255 or "\0" in value:
        raise faults.refusal(name, "expected 1 to 255 characters", value=value)
    return value


def number(name: str, value: str) -> int:
    """A whole number, 0 or more.

    :raises BadRequest: it is none.
    """
    if not (value.isascii() and value.isdigit()) or len(value) > 19:
        raise faults.refusal(
            name, "expected a whole number, 0 or more", value=value
        )
    return min(int(value), _LARGEST)


def limit(name: str, value: str) -> int:
    """How many rows to answer with, at most what the operator allows.

    :raises BadRequest: it is no number above 0.
    """
    wanted = number(name, value)
    if wanted == 0:
        raise faults.refusal(name, "expected a number above 0", value=value)
    most: int = conf.CONF.api.max_limit
    return min(wanted, most)


def truth(name: str, value: str) -> bool:
    """True or false.

    :raises BadRequest: it is neither.
    """
    answer = {"true": True, "1": True, "false": False, "0": False}.get(
        value.lower()
    )
    if answer is None:
        raise faults.refusal(name, "expected true or false", value=value)
    return answer


def one_of(*words: str) -> Reader:
    """A reader of one of ``words``."""

    def read(name: str, value: str) -> str:
        if value not in words:
            raise faults.refusal(
                name, f"expected one of {', '.join(words)}", value=value
            )
        return value

    return read


def page(
    req: Request,
    noun: str,
    rows: Sequence[Row],
    *,
    limit: int,
    marker: Callable[[Row], str],
    view: Callable[[Row], dict[str, Any]],
) -> dict[str, Any]:
    """One page of a list, with a link to the next if there is more.

    ``rows`` are up to one more than ``limit``: the last only says that there
    is a next page.
    """
    shown = rows[:limit]
    body: dict[str, Any] = {noun: [view(row) for row in shown]}
    if len(rows) > limit:
        href = req.next_link(limit=limit, marker=marker(shown[-1]))
        body[f"{noun}_links"] = [{"rel": "next", "href": href}]
    return body
