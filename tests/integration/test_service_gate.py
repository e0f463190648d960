"""What cannot start is not published: the boot gate, without a boot."""

from tests.integration import service_case


class UnbootableTest(service_case.ServiceCase):
    def test_an_image_that_nothing_starts(self) -> None:
        build_id = self.create(**{**service_case.TINY, "boot_test": True})
        build = self.wait_for(build_id)
        self.assertEqual("failed", build["state"])
        self.assertEqual("boot-no-loader", build["fault"]["code"])
        self.assertEqual("element", build["fault"]["turn"])
        # Nobody tries again what will not start the next time either.
        self.assertEqual(1, len(build["attempts"]))
        self.assertEqual([], build["image_ids"])
        self.assertEqual([], images_of(self, build_id))
        self.assertIn("==> boot-test", self.log(build_id))
        self.assert_nothing_left()


def images_of(case: service_case.ServiceCase, build_id: str) -> list[str]:
    """All that became of a build in Glance, whoever owns it, hidden or not.

    Other tests leave images of their own in the same cloud.
    """
    with case.connect("admin") as cloud:
        return [
            image.id
            for hidden in (True, False)
            for image in cloud.image.images(is_hidden=hidden)
            if image.properties.get("dib_build_id") == build_id
        ]
