"""matrix.yaml as gabbi reads it: the requests of each role, in order."""

from collections.abc import Iterator
import pathlib
import re
from typing import Any

import yaml

TABLE = pathlib.Path(__file__).with_suffix(".yaml")

_IDS = re.compile(r"\b(OWN|OTHER|BUILDER)(_[A-Z]+)?\b")


def stories() -> Iterator[tuple[str, dict[str, Any]]]:
    """A name and a gabbi document for each role."""
    table = yaml.safe_load(TABLE.read_text())
    for column, role in enumerate(table["roles"], start=1):
        yield (
            role,
            {
                "fixtures": ["Matrix"],
                "defaults": {
                    "request_headers": {
                        "x-auth-token": role,
                        "content-type": "application/json",
                    }
                },
                "tests": [_test(row[0], row[column]) for row in table["rows"]],
            },
        )


def routes() -> set[tuple[str, str]]:
    """What the table asks, as method and path."""
    rows = yaml.safe_load(TABLE.read_text())["rows"]
    asked = (row[0].split(" ") for row in rows)
    return {(words[0], words[1].partition("?")[0]) for words in asked}


def _test(request: str, status: int) -> dict[str, Any]:
    method, path, *wish = request.split(" ")
    test: dict[str, Any] = {
        "name": request,
        method: _IDS.sub(r"$ENVIRON['\g<0>']", path),
        "status": status,
    }
    if status >= 400:
        test["response_json_paths"] = {"$.error.code": status}
    if wish:
        test["data"] = {"build": {"elements": ["debian"], **_wish(wish[0])}}
    return test


def _wish(word: str) -> dict[str, Any]:
    if word == "untested":
        return {"boot_test": False}
    if word == "west":
        return {"image": {"targets": ["glance", word]}}
    return {"image": {"visibility": word}}
