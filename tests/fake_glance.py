"""Glance's side of the wire, in memory: as far as a conductor uses it."""

from collections.abc import Callable
import hashlib
import re
from typing import Any

import fixtures
from keystoneauth1 import adapter, noauth, session
import requests
import requests_mock

from dib_service.publish import glance

URL = "http://glance.test"

Answer = Callable[[Any, Any], Any]


def _adapter() -> adapter.Adapter:
    bare = session.Session(auth=noauth.NoAuth())
    return adapter.Adapter(bare, endpoint_override=f"{URL}/v2/")


def sha512(data: bytes) -> str:
    """What Glance says of the bytes."""
    return hashlib.sha512(data).hexdigest()


class FakeGlance(fixtures.Fixture):
    """Answers at URL; ``images`` is what it has.

    ``faults`` are used up one by one, each in place of one answer: a status,
    or ``None`` for a connection that breaks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, dict[str, Any]] = {}
        self.members: dict[str, dict[str, str]] = {}
        self.deleted: set[str] = set()
        self.faults: list[tuple[str, int | None]] = []
        self.patches: list[str] = []
        self.filters_by_owner = True

    def _setUp(self) -> None:
        mock = requests_mock.Mocker()
        mock.start()
        self.addCleanup(mock.stop)
        image = re.compile(rf"^{URL}/v2/images/[^/?]+$")
        for method, answer in (
            ("GET", self._show),
            ("PATCH", self._patch),
            ("DELETE", self._delete),
        ):
            mock.register_uri(method, image, json=self._or_fault(answer))
        members = re.compile(rf"^{URL}/v2/images/[^/?]+/members(/.*)?$")
        for method in ("GET", "POST", "PUT"):
            mock.register_uri(
                method, members, json=self._or_fault(self._members)
            )
        mock.register_uri(
            "GET",
            re.compile(rf"^{URL}/v2/images\?"),
            json=self._or_fault(self._list),
        )

    def target(self, **rules: str | bool | None) -> glance.Glance:
        """What the conductor speaks to it through."""
        return glance.Glance(
            "glance",
            _adapter,
            _adapter,
            glance.Rules(**{"staging_project": "staging", **rules}),  # type: ignore[arg-type]
        )

    def upload(
        self, image_id: str, data: bytes, *, owner: str | None = "staging"
    ) -> None:
        """What a builder does."""
        self.images[image_id] = {
            "id": image_id,
            "status": "active",
            "owner": owner,
            "visibility": "private",
            "os_hidden": True,
            "protected": False,
            "size": len(data),
            "os_hash_algo": "sha512",
            "os_hash_value": sha512(data),
        }

    def _or_fault(self, answer: Answer) -> Answer:
        def respond(request: Any, context: Any) -> Any:
            for place, (method, status) in enumerate(self.faults):
                if method == request.method:
                    del self.faults[place]
                    if status is None:
                        raise requests.ConnectionError("broken")
                    context.status_code = status
                    return {}
            return answer(request, context)

        return respond

    def _show(self, request: Any, context: Any) -> Any:
        return self._found(request, context) or {}

    def _patch(self, request: Any, context: Any) -> Any:
        found = self._found(request, context)
        if found is None:
            return {}
        self.patches.append(found["id"])
        for change in request.json():
            assert change["op"] == "replace"
            found[change["path"].removeprefix("/")] = change["value"]
        return found

    def _members(self, request: Any, context: Any) -> Any:
        image_id = request.path.split("/")[3]
        if image_id not in self.images:
            context.status_code = 404
            return {}
        members = self.members.setdefault(image_id, {})
        if request.method == "POST":
            project = request.json()["member"]
            if self.images[image_id]["visibility"] != "shared":
                context.status_code = 403
            elif project in members:
                context.status_code = 409
            else:
                members[project] = "pending"
        elif request.method == "PUT":
            members[request.path.rsplit("/", 1)[1]] = request.json()["status"]
        return {
            "members": [
                {"member_id": project, "status": status}
                for project, status in members.items()
            ]
        }

    def _delete(self, request: Any, context: Any) -> Any:
        found = self._found(request, context)
        if found is not None and found["protected"]:
            context.status_code = 403
        elif found is not None:
            del self.images[found["id"]]
            self.deleted.add(found["id"])
            context.status_code = 204
        return {}

    def _list(self, request: Any, context: Any) -> Any:
        owner = request.qs["owner"][0]
        hidden = request.qs["os_hidden"] == ["true"]
        ids = sorted(
            image["id"]
            for image in self.images.values()
            if not self.filters_by_owner
            or str(image["owner"]).lower() == owner
            if image["os_hidden"] is hidden
        )
        marker = request.qs.get("marker", [""])[0]
        page = [image_id for image_id in ids if image_id > marker][:2]
        answer: dict[str, Any] = {
            "images": [self.images[image_id] for image_id in page]
        }
        if page and page[-1] != ids[-1]:
            answer["next"] = (
                f"/v2/images?owner={owner}&marker={page[-1]}"
                f"&os_hidden={request.qs['os_hidden'][0]}"
            )
        return answer

    def _found(self, request: Any, context: Any) -> dict[str, Any] | None:
        image_id = request.path.rsplit("/", 1)[1]
        if image_id not in self.images:
            context.status_code = 404
        return self.images.get(image_id)
