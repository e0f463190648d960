"""What there is to build from."""

from tempest import config
from tempest.lib import decorators, exceptions

from dib_service.tempest_plugin.tests import base

CONF = config.CONF


class ElementsTest(base.BaseImageBuildTest):
    """The catalogue of elements that the builders have registered."""

    @decorators.attr(type="smoke")
    @decorators.idempotent_id("c2700eac-c582-4e1b-ad23-db6983663c47")
    def test_the_list_has_what_the_tests_build(self) -> None:
        """The elements of tempest.conf are there, each once, by name."""
        names = [
            row["name"] for row in self.elements.list_elements()["elements"]
        ]
        self.assertEqual(sorted(set(names)), names)
        self.assertLessEqual(set(CONF.image_build.elements), set(names))

    @decorators.idempotent_id("e779d2cc-6b3f-4c74-8148-9c0f632f27ab")
    def test_an_element_shows_its_hooks(self) -> None:
        """One element is as in the list, and says what it runs."""
        name = CONF.image_build.elements[0]
        element = self.elements.show_element(name)["element"]
        self.assertIsInstance(element.pop("hooks"), dict)
        self.assertIn(element, self.elements.list_elements()["elements"])

    @decorators.attr(type=["negative"])
    @decorators.idempotent_id("def8d7cf-7fb3-4d0b-a7e8-7c8b7afabd9b")
    def test_an_unknown_element_is_not_found(self) -> None:
        """404 for what no builder has."""
        self.assertRaises(
            exceptions.NotFound,
            self.elements.show_element,
            "no-such-element-of-tempest",
        )
