"""What a conductor tells a builder of the build that it gives it."""

import dataclasses

import testtools

from dib_service.conductor import endpoint
from tests import database


class SpecTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def told(self, *elements: str, **wanted: object) -> dict[str, str]:
        """The variables of a build of these elements."""
        build = dataclasses.replace(
            database.new_build(environment={"DIB_RELEASE": "x"}, **wanted),
            elements=dict.fromkeys(elements, "digest"),
        )
        return dict(endpoint._spec(build).environment)

    def test_local_config_is_told_what_was_asked_for(self) -> None:
        told = self.told(
            *("debian", "local-config"),
            ssh_keys=["one", "two"],
            proxy={"http": "http://proxy"},
        )
        self.assertEqual("x", told["DIB_RELEASE"])
        self.assertEqual("one\ntwo", told["DIB_LOCAL_CONFIG_SSH_KEYS"])
        self.assertEqual("http://proxy", told["DIB_LOCAL_CONFIG_HTTP_PROXY"])

    def test_it_is_told_that_nothing_was(self) -> None:
        # It would look at the builder's own, however it came into the image.
        told = self.told("debian", "local-config")
        self.assertEqual("", told["DIB_LOCAL_CONFIG_SSH_KEYS"])
        self.assertEqual("", told["DIB_LOCAL_CONFIG_HTTPS_PROXY"])

    def test_no_other_image_is_told_of_it(self) -> None:
        self.assertEqual({"DIB_RELEASE": "x"}, self.told("debian"))
