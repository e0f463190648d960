"""A Glance's images, as the bearer of a session may see and change them."""

from collections.abc import Iterator
from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exc

from dib_service.publish.target import Image

PATCH = "application/openstack-images-v2.1-json-patch"
PAGE = 100


class Images:
    """The images of one Glance.

    :raises keystoneauth1.exceptions.ClientException: from every method.
    """

    def __init__(self, glance: adapter.Adapter) -> None:
        self._glance = glance

    def get(self, image_id: str) -> Image | None:
        """The image; None when it is not there or deleted."""
        answer = self._ask("GET", f"/v2/images/{image_id}")
        return _image(answer) if answer else None

    def change(self, image_id: str, **fields: str | bool) -> None:
        """Give the image these fields, all or none; may be repeated."""
        self._glance.request(
            f"{self._base()}/v2/images/{image_id}",
            "PATCH",
            headers={"Content-Type": PATCH},
            json=[
                {"op": "replace", "path": f"/{name}", "value": value}
                for name, value in fields.items()
            ],
        )

    def members(self, image_id: str) -> dict[str, str]:
        """The projects that a shared image is shown to: who has accepted."""
        answer = self._ask("GET", f"/v2/images/{image_id}/members") or {}
        return {
            member["member_id"]: member["status"]
            for member in answer.get("members", ())
        }

    def add_member(self, image_id: str, project_id: str) -> None:
        """Show a shared image to that project; may be repeated."""
        try:
            self._glance.request(
                f"{self._base()}/v2/images/{image_id}/members",
                "POST",
                json={"member": project_id},
            )
        except ksa_exc.Conflict:
            return

    def accept(self, image_id: str, project_id: str) -> None:
        """Take what is shown to that project into its lists."""
        self._glance.request(
            f"{self._base()}/v2/images/{image_id}/members/{project_id}",
            "PUT",
            json={"status": "accepted"},
        )

    def delete(self, image_id: str) -> bool:
        """Delete the image, protected or not; False when there was none."""
        try:
            try:
                self._delete(image_id)
            except ksa_exc.Forbidden:
                self.change(image_id, protected=False)
                self._delete(image_id)
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

    def _delete(self, image_id: str) -> None:
        self._glance.request(f"{self._base()}/v2/images/{image_id}", "DELETE")

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
        protected=data["protected"],
        size=data.get("size"),
        hash_algorithm=data.get("os_hash_algo"),
        hash_value=data.get("os_hash_value"),
    )
