"""What Glance is told of an artefact."""

import dataclasses

import testtools

from dib_service.conductor import uploads
from dib_service.objects import release
from tests import database

MANIFEST = {
    "layout": "whole-disk",
    "os_release": {"ID": "debian", "VERSION_ID": "12"},
}
STAGED = release.Staged(
    image_id="i",
    role="image",
    format="qcow2",
    target="glance",
    state="staged",
    size=100,
    virtual_size=2**31,
    sha512="a",
)


class UploadTest(testtools.TestCase):
    """One artefact of one build."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        self.build = database.new_build(
            properties={"color": "red", "dib_build_id": "forged"}
        )

    def test_the_properties_are_facts_and_wishes(self) -> None:
        self.assertEqual(
            {
                "color": "red",
                "architecture": "x86_64",
                "os_type": "linux",
                "img_type": "whole-disk",
                "os_distro": "debian",
                "os_version": "12",
                "dib_build_id": self.build.id,
            },
            uploads.upload(self.build, STAGED, MANIFEST).properties,
        )

    def test_a_partition_image_says_so(self) -> None:
        upload = uploads.upload(
            self.build, STAGED, {**MANIFEST, "layout": "partition"}
        )
        self.assertEqual("partition", upload.properties["img_type"])

    def test_a_kernel_beside_a_whole_disk_is_nobodys(self) -> None:
        self.assertFalse(uploads.published("kernel", MANIFEST))
        self.assertFalse(uploads.published("ramdisk", {}))
        self.assertTrue(uploads.published("image", MANIFEST))
        for layout in ("partition", None):
            self.assertTrue(uploads.published("kernel", {"layout": layout}))

    def test_what_is_not_known_is_not_said(self) -> None:
        upload = uploads.upload(self.build, STAGED, {})
        self.assertNotIn("os_distro", upload.properties)
        self.assertEqual("whole-disk", upload.properties["img_type"])

    def test_the_disk_must_hold_all_of_it(self) -> None:
        for virtual_size, min_disk in (
            (1, 1),
            (2**30, 1),
            (2**30 + 1, 2),
            (2**31, 2),
        ):
            staged = dataclasses.replace(STAGED, virtual_size=virtual_size)
            self.assertEqual(
                min_disk,
                uploads.upload(self.build, staged, MANIFEST).min_disk,
            )
