"""A build from the request to its deletion."""

from typing import Any

from tempest import config
from tempest.lib import decorators, exceptions

from dib_service.tempest_plugin.tests import base

CONF = config.CONF


class CompleteBuildTest(base.BaseImageBuildTest):
    """One build, complete before the first test, and its image."""

    build: dict[str, Any]

    @classmethod
    def resource_setup(cls) -> None:
        super().resource_setup()
        made = cls.create_build(
            image={
                "properties": {"tempest_asked": "for it"},
                "tags": ["tempest"],
            }
        )
        cls.build = cls.wait_until_complete(made["id"])

    @decorators.idempotent_id("0e6a34f8-cce2-449c-b3ad-2ed84679a086")
    def test_the_build_says_what_came_of_it(self) -> None:
        """One image, one artefact, one attempt that was not lost."""
        self.assertEqual(1, len(self.build["image_ids"]), self.build)
        self.assertIsNone(self.build["fault"])
        last = self.build["attempts"][-1]
        published = [
            row
            for row in self.build["artefacts"]
            if row["epoch"] == last["epoch"] and row["format"] == "qcow2"
        ]
        self.assertEqual(1, len(published), self.build)
        self.assertGreaterEqual(
            published[0]["virtual_size"], published[0]["size"] // 2
        )

    @decorators.attr(type="smoke")
    @decorators.idempotent_id("74553406-eac7-445a-8e9c-24012d0a953b")
    def test_the_image_is_active_and_of_this_project(self) -> None:
        """Glance shows it, private, with the bytes that were built."""
        image = self.image()
        self.assertEqual("active", image["status"])
        self.assertEqual("private", image["visibility"])
        self.assertFalse(image["os_hidden"])
        self.assertEqual(self.build["project_id"], image["owner"])
        self.assertEqual(
            self.os_primary.credentials.project_id, image["owner"]
        )
        self.assertEqual(("qcow2", "bare"), self.formats(image))
        self.assertIn(
            image["os_hash_value"],
            [row["sha512"] for row in self.build["artefacts"]],
        )

    @decorators.idempotent_id("0d97061f-b625-4040-a64b-b720488a9039")
    def test_the_image_has_the_properties_that_deploying_needs(self) -> None:
        """What Nova and Ironic read, and whose build it was."""
        image = self.image()
        self.assertEqual(self.build["architecture"], image["architecture"])
        self.assertEqual("linux", image["os_type"])
        self.assertIn(image["img_type"], ("whole-disk", "partition"))
        # With them Ironic would take a whole disk for a partition.
        if image["img_type"] == "whole-disk":
            self.assertNotIn("kernel_id", image)
            self.assertNotIn("ramdisk_id", image)
        self.assertEqual(self.build["id"], image["dib_build_id"])
        self.assertEqual("for it", image["tempest_asked"])
        self.assertIn("tempest", image["tags"])
        self.assertEqual(
            CONF.image_build.boot_test, image["dib_boot_tested"] != "no"
        )
        self.assertGreater(image["min_disk"], 0)

    @decorators.idempotent_id("d7c7571e-2ce2-43a8-ad0f-052ec706b66b")
    def test_the_log_is_whole(self) -> None:
        """Read in pieces it is the same as read at once."""
        log = self.read_whole_log(self.build["id"])
        self.assertIn("root.d", log)
        half, _, complete = self.builds.read_log(
            self.build["id"], len(log.encode()) // 2
        )
        self.assertTrue(complete)
        self.assertTrue(log.endswith(half))

    @decorators.idempotent_id("b9114fda-4083-46b9-b3e9-376d57fc72f0")
    def test_the_events_tell_the_phases(self) -> None:
        """Every phase that began has ended."""
        events = self.builds.list_events(self.build["id"])["events"]
        phases: dict[str, list[str]] = {"start": [], "end": []}
        for event in events:
            if event["kind"] == "phase":
                phases[event["state"]].append(event["phase"])
        self.assertIn("root.d", phases["start"])
        self.assertEqual(phases["start"], phases["end"])

    @decorators.idempotent_id("6be6d4a6-a86b-400e-bad7-743b12d87069")
    def test_the_list_has_it(self) -> None:
        """By name, and by state."""
        for query in (
            {"name": self.build["name"]},
            {"state": "complete"},
        ):
            rows = self.builds.list_builds(**query)["builds"]
            self.assertIn(self.build["id"], [row["id"] for row in rows])

    def image(self) -> dict[str, Any]:
        """The image that the build became."""
        image: dict[str, Any] = self.images.show_image(
            self.build["image_ids"][0]
        )
        return image

    @staticmethod
    def formats(image: dict[str, Any]) -> tuple[str, str]:
        """Those of the disk and of its container."""
        return image["disk_format"], image["container_format"]


class EndOfBuildTest(base.BaseImageBuildTest):
    """Builds that somebody ends."""

    @decorators.idempotent_id("fcf43822-d130-4a5a-8364-277122026062")
    def test_a_cancelled_build_has_no_image(self) -> None:
        """Whether it had begun or not; and it can be forgotten then."""
        build_id = self.create_build()["id"]
        self.builds.cancel_build(build_id)
        build = self.wait_for_end(build_id)
        self.assertEqual("cancelled", build["state"], build)
        self.assertEqual([], build["image_ids"])
        self.builds.delete_build(build_id)
        self.assertRaises(
            exceptions.NotFound, self.builds.show_build, build_id
        )

    @decorators.idempotent_id("b4116c69-9bb1-4b13-ae15-7b87409b427d")
    def test_a_deleted_build_leaves_its_image(self) -> None:
        """The build is gone for good, the image is the project's."""
        made = self.create_build()
        (image_id,) = self.wait_until_complete(made["id"])["image_ids"]
        self.addCleanup(self.images.delete_image, image_id)
        self.builds.delete_build(made["id"])
        self.assertTrue(self.builds.is_resource_deleted(made["id"]))
        self.assertEqual("active", self.images.show_image(image_id)["status"])
