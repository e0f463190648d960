"""The elements that there are, and the versions of the API."""

from tempest.lib.common import rest_client

from dib_service.tempest_plugin.services.v1.base_client import ImageBuildClient


class ElementsClient(ImageBuildClient):
    """What can be built from, and by which API."""

    def list_versions(self) -> rest_client.ResponseBody:
        """The versions that the service's root shows."""
        return self.ask("GET", "", expect=200)

    def show_version(self) -> rest_client.ResponseBody:
        """The one version that these clients speak."""
        return self.ask("GET", "v1", expect=200)

    def list_elements(self) -> rest_client.ResponseBody:
        """The elements of the builders, by name."""
        return self.ask("GET", "v1/elements", expect=200)

    def show_element(self, name: str) -> rest_client.ResponseBody:
        """One element, with its hooks."""
        return self.ask("GET", f"v1/elements/{name}", expect=200)
