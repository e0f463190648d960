"""The conductor's side of Glance: staged images read, released, deleted."""

from collections.abc import Iterator
import dataclasses
from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exc

# What keystoneauth says when Glance, Keystone or the way to them is down,
# and when they are up and say something else than what was asked for.
ERRORS = (ksa_exc.ClientException,)

PATCH = "application/openstack-images-v2.1-json-patch"
PAGE = 100


@dataclasses.dataclass(frozen=True)
class Image:
    """An image as Glance has it."""

    id: str
    status: str
    owner: str | None
    visibility: str
    hidden: bool
    size: int | None
    hash_algorithm: str | None
    hash_value: str | None


class Images:
    """The images of one Glance, as the bearer of that session sees them.

    :raises keystoneauth1.exceptions.ClientException: from every method.
    """

    def __init__(self, glance: adapter.Adapter) -> None:
        self._glance = glance

    def get(self, image_id: str) -> Image | None:
        """The image; None when it is not there or deleted."""
        answer = self._ask("GET", f"/v2/images/{image_id}")
        return _image(answer) if answer else None

    def release(self, image_id: str, *, owner: str, visibility: str) -> None:
        """Give the image to its owner and show it; may be repeated."""
        self._glance.request(
            f"{self._base()}/v2/images/{image_id}",
            "PATCH",
            headers={"Content-Type": PATCH},
            json=[
                {"op": "replace", "path": "/owner", "value": owner},
                {"op": "replace", "path": "/visibility", "value": visibility},
                {"op": "replace", "path": "/os_hidden", "value": False},
            ],
        )

    def delete(self, image_id: str) -> bool:
        """Delete the image; False when there was none."""
        try:
            self._glance.request(
                f"{self._base()}/v2/images/{image_id}", "DELETE"
            )
        except ksa_exc.NotFound:
            return False
        return True

    def of_owner(self, project_id: str) -> Iterator[str]:
        """The ids of that project's images, hidden ones included."""
        for hidden in ("true", "false"):
            query = urllib.parse.urlencode(
                {"owner": project_id, "os_hidden": hidden, "limit": PAGE}
            )
            path: str | None = f"/v2/images?{query}"
            while path is not None:
                page = self._ask("GET", path) or {}
                for data in page.get("images", ()):
                    # Asked for by owner; checked, as what comes is deleted.
                    if data.get("owner") == project_id:
                        yield data["id"]
                path = page.get("next")

    def _ask(self, method: str, path: str) -> dict[str, Any] | None:
        try:
            response = self._glance.request(self._base() + path, method)
        except ksa_exc.NotFound:
            return None
        answer: dict[str, Any] = response.json()
        return answer

    def _base(self) -> str:
        return base_url(self._glance)


def base_url(glance: adapter.Adapter) -> str:
    """Glance's address without its version.

    :raises keystoneauth1.exceptions.EndpointNotFound: the catalog has none.
    """
    endpoint = glance.get_endpoint()
    if not endpoint:
        raise ksa_exc.EndpointNotFound("no endpoint for Glance is known")
    return str(endpoint).rstrip("/").removesuffix("/v2")


def _image(data: dict[str, Any]) -> Image:
    return Image(
        id=data["id"],
        status=data["status"],
        owner=data.get("owner"),
        visibility=data["visibility"],
        hidden=data["os_hidden"],
        size=data.get("size"),
        hash_algorithm=data.get("os_hash_algo"),
        hash_value=data.get("os_hash_value"),
    )
