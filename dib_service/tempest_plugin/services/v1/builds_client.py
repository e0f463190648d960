"""Builds: asked for, watched, cancelled, forgotten."""

from typing import Any

from tempest.lib.common import rest_client

from dib_service.tempest_plugin.services.v1.base_client import ImageBuildClient


class BuildsClient(ImageBuildClient):
    """The builds of one project."""

    def create_build(self, **wanted: Any) -> rest_client.ResponseBody:
        """The build that was asked for."""
        return self.ask(
            "POST", "v1/builds", expect=202, body={"build": wanted}
        )

    def plan_build(self, **wanted: Any) -> rest_client.ResponseBody:
        """What would be built; nothing is."""
        return self.ask(
            "POST",
            "v1/builds",
            expect=200,
            body={"build": wanted},
            dry_run="true",
        )

    def list_builds(self, **query: Any) -> rest_client.ResponseBody:
        """Builds, the newest first."""
        return self.ask("GET", "v1/builds", expect=200, **query)

    def show_build(self, build_id: str) -> rest_client.ResponseBody:
        """One build."""
        return self.ask("GET", f"v1/builds/{build_id}", expect=200)

    def cancel_build(self, build_id: str) -> rest_client.ResponseBody:
        """Wish for a build's end."""
        return self.ask("POST", f"v1/builds/{build_id}/cancel", expect=202)

    def delete_build(self, build_id: str) -> rest_client.ResponseBody:
        """Forget a build that has ended; its images stay."""
        return self.ask("DELETE", f"v1/builds/{build_id}", expect=204)

    def list_events(self, build_id: str) -> rest_client.ResponseBody:
        """What happened in a build, the oldest first."""
        return self.ask("GET", f"v1/builds/{build_id}/events", expect=200)

    def read_log(
        self, build_id: str, offset: int = 0
    ) -> tuple[str, int, bool]:
        """A piece of the log, where to go on, and whether it was the last."""
        response, text = self.get(
            f"v1/builds/{build_id}/log?offset={offset}",
            headers={**self.get_headers(), "Accept": "text/plain"},
        )
        self.expected_success(200, response.status)
        return (
            text.decode(errors="replace") if isinstance(text, bytes) else text,
            int(response["x-log-next-offset"]),
            response.get("x-log-complete") == "true",
        )

    def is_resource_deleted(self, id: str) -> bool:
        """The build is not known any more."""
        try:
            self.show_build(id)
        except rest_client.exceptions.NotFound:
            return True
        return False

    @property
    def resource_type(self) -> str:
        """What a test that waited in vain calls it."""
        return "image-build"
