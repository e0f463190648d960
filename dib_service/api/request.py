"""What a handler is given, and what it gives back."""

from collections.abc import Callable, Mapping
import dataclasses
import json
from typing import Any
import urllib.parse

import falcon

from dib_service import conf, exception
from dib_service import context as context_lib
from dib_service.api import faults, schemas

# Makes a value of the text of one query parameter, or raises BadRequest.
Reader = Callable[[str, str], Any]


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer: a document, or bytes, or nothing."""

    body: Mapping[str, Any] | bytes | None = None
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Request:
    """Who asks, for what, in which version of the API."""

    def __init__(self, raw: falcon.Request) -> None:
        self._raw = raw
        self.context: context_lib.RequestContext = raw.context.asker

    def query(self, readers: Mapping[str, Reader]) -> dict[str, Any]:
        """The query parameters that were given, each read by its reader.

        :raises BadRequest: one is unknown, given twice, or does not read.
        """
        values = {}
        for name, text in self._raw.params.items():
            if name not in readers:
                known = ", ".join(sorted(readers)) or "none"
                raise faults.refusal(
                    faults.shortened(name) or "''",
                    f"no such query parameter; known here: {known}",
                )
            if not isinstance(text, str):
                raise faults.refusal(name, "given more than once")
            values[name] = readers[name](name, text)
        return values

    def body(self, schema: schemas.Schema) -> dict[str, Any]:
        """The JSON document of the body, checked.

        :raises BadRequest: naming the first field that is wrong.
        """
        data = parsed(self._bytes())
        schemas.check(data, schema)
        document: dict[str, Any] = data
        return document

    def link(self, path: str, query: Mapping[str, object] = {}) -> str:
        """The full address of one of our paths."""
        base = conf.CONF.api.public_endpoint or self._raw.prefix
        words = urllib.parse.urlencode(dict(query))
        return f"{base.rstrip('/')}{path}" + (f"?{words}" if words else "")

    def next_link(self, **changes: object) -> str:
        """The address of this request, with some query parameters changed."""
        return self.link(self._raw.path, {**self._raw.params, **changes})

    def _bytes(self) -> bytes:
        kind = self._raw.content_type or ""
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise faults.refusal(
                "Content-Type", "expected application/json", value=kind
            )
        if self._raw.content_length is None:
            raise faults.LengthRequired("a body needs a header Content-Length")
        data: bytes = self._raw.bounded_stream.read()
        return data


def parsed(data: bytes) -> Any:
    """The value of a JSON text that says each thing once.

    :raises BadRequest: it is no JSON, or not such as we take.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
        )
        # Half a surrogate pair is valid JSON, and no text that could be
        # stored or written.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as exc:
        raise exception.BadRequest(
            f"the body is not JSON: {exc}"[:200]
        ) from exc
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            # Which of the two counts would be a matter of taste, and two
            # readers may have two tastes.
            raise faults.refusal(
                faults.shortened(key), "given more than once in the body"
            )
        found[key] = value
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number")
