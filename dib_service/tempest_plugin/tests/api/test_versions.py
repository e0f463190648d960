"""Which versions of the API there are."""

from tempest.lib import decorators

from dib_service.tempest_plugin.tests import base


class VersionsTest(base.BaseImageBuildTest):
    """What a client sees before it asks for anything."""

    @decorators.attr(type="smoke")
    @decorators.idempotent_id("7b7c8fcf-0eb5-4948-9aec-43b7df128966")
    def test_the_root_lists_a_current_version(self) -> None:
        """GET / names version 1 as current, with its address."""
        versions = self.elements.list_versions()["versions"]
        current = [row for row in versions if row["status"] == "CURRENT"]
        self.assertEqual(["v1.0"], [row["id"] for row in current])
        (link,) = current[0]["links"]
        self.assertEqual("self", link["rel"])
        self.assertTrue(link["href"].endswith("/v1/"), link)

    @decorators.idempotent_id("fa09dbcf-2462-48f5-8991-72b50a25a757")
    def test_the_version_shows_the_same_microversions(self) -> None:
        """GET /v1 and GET / agree about the oldest and the newest."""
        version = self.elements.show_version()["version"]
        self.assertIn(version, self.elements.list_versions()["versions"])
        oldest, newest = (
            tuple(int(part) for part in version[name].split("."))
            for name in ("min_version", "version")
        )
        self.assertLessEqual(oldest, newest)
