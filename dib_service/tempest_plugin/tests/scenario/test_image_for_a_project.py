"""Somebody without admin rights gets an image that nobody else sees."""

import hashlib

from tempest import config
from tempest.common import utils
from tempest.lib import decorators, exceptions

from dib_service.tempest_plugin.tests import base

CONF = config.CONF


class ImageForAProjectTest(base.BaseImageBuildTest):
    """The whole path, as a person goes it."""

    credentials = ("primary", "alt")

    @classmethod
    def skip_checks(cls) -> None:
        super().skip_checks()
        if not CONF.image_build_feature_enabled.scenario:
            raise cls.skipException("the scenario is switched off")

    @decorators.attr(type=["scenario", "slow"])
    @utils.services("image")
    @decorators.idempotent_id("73149930-53bb-47bd-a398-6e562971fc6a")
    def test_from_the_elements_to_the_bytes(self) -> None:
        """Look at the elements, ask, follow the log, download, clear up."""
        offered = [
            row["name"] for row in self.elements.list_elements()["elements"]
        ]
        self.assertLessEqual(set(CONF.image_build.elements), set(offered))

        made = self.create_build()
        build = self.wait_until_complete(made["id"])
        for element in CONF.image_build.elements:
            self.assertIn(element, self.read_whole_log(build["id"]))

        (image_id,) = build["image_ids"]
        self.assert_nobody_else_sees(image_id)
        self.assert_bytes_are_those_built(image_id)

        self.images.delete_image(image_id)
        self.builds.delete_build(build["id"])
        self.assertTrue(self.builds.is_resource_deleted(build["id"]))

    def assert_nobody_else_sees(self, image_id: str) -> None:
        """Neither by its id nor in a list."""
        others = self.os_alt.image_client_v2
        self.assertRaises(exceptions.NotFound, others.show_image, image_id)
        rows = others.list_images()["images"]
        self.assertNotIn(image_id, [row["id"] for row in rows])

    def assert_bytes_are_those_built(self, image_id: str) -> None:
        """What comes down has the hash that Glance names."""
        image = self.images.show_image(image_id)
        found = hashlib.new(image["os_hash_algo"])
        answer = self.images.show_image_file(image_id, chunked=True)
        for piece in answer.stream(1 << 20):
            found.update(piece)
        answer.release_conn()
        self.assertEqual(image["os_hash_value"], found.hexdigest())
