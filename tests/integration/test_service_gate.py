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
        self.assertEqual([], images_of(self, "demo"))
        self.assertIn("==> boot-test", self.log(build_id))
        self.assert_nothing_left()


def images_of(case: service_case.ServiceCase, user: str) -> list[str]:
    """The images of a user's own project, hidden or not."""
    with case.connect(user) as cloud:
        project = cloud.current_project_id
        return [
            image.id
            for hidden in (True, False)
            for image in cloud.image.images(owner=project, is_hidden=hidden)
        ]
