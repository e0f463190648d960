"""What Glance is told of the properties that this service sets: a namespace.

With it, other programs can show them by their titles, and offer them where
images are looked for.
"""

from collections.abc import Mapping
import json
import pathlib
import sysconfig
from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exc
import requests

from dib_service.publish import images

FILE = "etc/dib-service/metadefs/image-build.json"

NAMESPACES = "/v2/metadefs/namespaces"
RESOURCE_TYPES = "resource_type_associations"

Json = Mapping[str, Any]


def definition(path: pathlib.Path | None = None) -> dict[str, Any]:
    """The namespace in that file, or in the one that came with the service.

    :raises OSError: there is none.
    :raises ValueError: it is no JSON.
    """
    data: dict[str, Any] = json.loads((path or _installed()).read_text())
    return data


def _installed() -> pathlib.Path:
    """In a checkout, or where an installation has its data."""
    checkout = pathlib.Path(__file__).resolve().parents[2]
    if (checkout / FILE).is_file():
        return checkout / FILE
    return pathlib.Path(sysconfig.get_path("data")) / FILE


class Metadefs:
    """The catalogue of definitions in one Glance.

    :raises keystoneauth1.exceptions.ClientException: from every method.
    """

    def __init__(self, glance: adapter.Adapter) -> None:
        self._glance = glance

    def load(self, wanted: Mapping[str, Any]) -> str:
        """Have Glance hold that namespace, with nothing else in it.

        Says what became of it: ``created``, ``updated``, ``unchanged``.
        """
        place = _below("", wanted["namespace"])
        found = self._get(place)
        if found is None:
            self._ask("POST", "", wanted)
            return "created"
        changed = [
            self._remove(place, wanted, found),
            self._load_fields(place, wanted, found),
            self._load_properties(place, wanted, found),
            self._load_resource_types(place, wanted, found),
        ]
        return "updated" if any(changed) else "unchanged"

    def _remove(self, place: str, wanted: Json, found: Json) -> bool:
        """Take away the properties that are no more."""
        gone = sorted({*_properties(found)} - {*_properties(wanted)})
        if gone:
            # Nothing can be taken out of a namespace that is protected.
            self._ask("PUT", place, {**_fields(wanted), "protected": False})
        for name in gone:
            self._ask("DELETE", _below(f"{place}/properties", name))
        if gone:
            self._ask("PUT", place, _fields(wanted))
        return bool(gone)

    def _load_fields(self, place: str, wanted: Json, found: Json) -> bool:
        if not _differs(_fields(wanted), found):
            return False
        self._ask("PUT", place, _fields(wanted))
        return True

    def _load_properties(self, place: str, wanted: Json, found: Json) -> bool:
        place = f"{place}/properties"
        known = _properties(found)
        changed = False
        for name, new in sorted(_properties(wanted).items()):
            if name not in known:
                self._ask("POST", place, {"name": name, **new})
            elif _differs(new, known[name]):
                self._ask("PUT", _below(place, name), {"name": name, **new})
            else:
                continue
            changed = True
        return changed

    def _load_resource_types(
        self, place: str, wanted: Json, found: Json
    ) -> bool:
        known = {row["name"] for row in found.get(RESOURCE_TYPES, ())}
        new = [
            row
            for row in wanted.get(RESOURCE_TYPES, ())
            if row["name"] not in known
        ]
        for row in new:
            self._ask("POST", f"{place}/resource_types", row)
        return bool(new)

    def _get(self, path: str) -> Json | None:
        try:
            found: Json = self._request("GET", path).json()
        except ksa_exc.NotFound:
            return None
        return found

    def _ask(self, method: str, path: str, body: Json | None = None) -> None:
        self._request(method, path, **({"json": body} if body else {}))

    def _request(
        self, method: str, path: str, **options: Any
    ) -> requests.Response:
        place = f"{images.base_url(self._glance)}{NAMESPACES}{path}"
        answer: requests.Response = self._glance.request(
            place, method, **options
        )
        return answer


def _below(path: str, name: str) -> str:
    return f"{path}/{urllib.parse.quote(name, safe='')}"


def _fields(namespace: Json) -> dict[str, Any]:
    """What a namespace is, beside what is in it."""
    parts = ("properties", RESOURCE_TYPES)
    return {k: v for k, v in namespace.items() if k not in parts}


def _properties(namespace: Json) -> Mapping[str, Json]:
    found: Mapping[str, Json] = namespace.get("properties") or {}
    return found


def _differs(wanted: Json, found: Json) -> bool:
    """Whether something is not as wanted; Glance adds what nobody asked."""
    return any(found.get(name) != value for name, value in wanted.items())
