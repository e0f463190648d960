"""The catalogue is what enabled builders hold."""

from oslo_db import exception as db_exc
import testtools

from dib_service.engine import catalogue
from dib_service.objects import element
from tests import database


class ElementTest(testtools.TestCase):
    """Elements of up to three builders."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def digests(self) -> dict[str, str]:
        return {
            name: known.digest for name, known in element.registered().items()
        }

    def test_what_most_builders_hold_is_meant(self) -> None:
        for name, digest in (("1", "a"), ("2", "b"), ("3", "b")):
            database.new_builder(name, elements={"vm": digest})
        self.assertEqual({"vm": "b"}, self.digests())

    def test_a_disabled_builders_elements_do_not_count(self) -> None:
        builder, _ = database.new_builder(elements={"vm": "a"})
        builder.enable(False)
        self.assertEqual({}, self.digests())
        builder.enable(True)
        self.assertEqual({"vm": "a"}, self.digests())

    def test_what_a_builder_no_longer_holds_is_gone(self) -> None:
        builder, _ = database.new_builder(elements={"vm": "a", "old": "x"})
        builder.register(
            session="s",
            version="1",
            slots=1,
            architectures=["x86_64"],
            elements={"vm": "a"},
        )
        self.assertEqual({"vm": "a"}, self.digests())

    def test_only_unknown_digests_are_asked_for(self) -> None:
        database.new_builder(elements={"vm": "a"})
        self.assertEqual(["b"], element.unknown({"vm": "a", "base": "b"}))
        # The same files under another name are another element.
        self.assertEqual(["a"], element.unknown({"copy": "a"}))

    def test_elements_come_to_be_known_together(self) -> None:
        database.new_builder(elements={"vm": "a"})
        # A second one that the table does not take: the first is not there
        # either.
        described = [
            catalogue.Element(name="base", digest="b"),
            catalogue.Element(name=None, digest="c"),
        ]
        self.assertRaises(db_exc.DBError, element.register, described)
        self.assertEqual(["b"], element.unknown({"base": "b"}))
        element.register(
            [*described[:1], catalogue.Element(name="vm", digest="a")]
        )
        self.assertEqual([], element.unknown({"base": "b", "vm": "a"}))
