"""The namespace that Glance is told of, and what Glance answers."""

import re
from typing import Any

from keystoneauth1 import adapter, noauth, session
import requests_mock
import testtools

from dib_service.conductor import uploads
from dib_service.publish import metadefs
from tests import database
from tests.unit.conductor import test_uploads

URL = "http://glance.test/v2/metadefs/namespaces"

NAMESPACE: dict[str, Any] = {
    "namespace": "A::B",
    "description": "a",
    "protected": True,
    "resource_type_associations": [{"name": "OS::Glance::Image"}],
    "properties": {"x": {"title": "X", "type": "string"}},
}


class FileTest(testtools.TestCase):
    """The file that came with the service."""

    def test_it_has_all_that_is_said_of_images_and_nothing_else(self) -> None:
        self.useFixture(database.Database())
        build = database.new_build()
        every = (
            (test_uploads.MANIFEST, test_uploads.STAGED),
            (test_uploads.PARTITION, test_uploads.STAGED),
            (test_uploads.RAMDISK, test_uploads.KERNEL),
            (test_uploads.RAMDISK, test_uploads.BOOT),
        )
        said: dict[str, set[str]] = {}
        for manifest, staged in every:
            upload = uploads.upload(
                build, staged, manifest, [staged, test_uploads.KERNEL]
            )
            for name, value in upload.properties.items():
                if name.startswith("dib_"):
                    said.setdefault(name, set()).add(value)
        described = metadefs.definition()["properties"]
        self.assertEqual(set(said), set(described))
        for name, values in said.items():
            for value in values:
                self.assert_described(value, described[name])

    def assert_described(self, value: str, described: dict[str, Any]) -> None:
        """The value is one of those that the definition allows."""
        if described["type"] == "integer":
            self.assertGreaterEqual(int(value), described["minimum"])
        self.assertIn(value, described.get("enum", [value]))
        self.assertRegex(value, described.get("pattern", "."))


class LoadTest(testtools.TestCase):
    """What is asked of Glance, by what it has."""

    def setUp(self) -> None:
        super().setUp()
        self.glance = requests_mock.Mocker()
        self.glance.start()
        self.addCleanup(self.glance.stop)
        self.glance.register_uri(
            requests_mock.ANY, re.compile(f"{URL}.*"), json={}
        )
        self.metadefs = metadefs.Metadefs(
            adapter.Adapter(
                session.Session(auth=noauth.NoAuth()),
                endpoint_override="http://glance.test",
            )
        )

    def load(self, found: dict[str, Any] | None) -> tuple[str, list[str]]:
        """What became of it, and what was asked besides what is there."""
        self.glance.get(
            f"{URL}/A::B".replace("::", "%3A%3A"),
            status_code=200 if found else 404,
            json=found or {},
        )
        done = self.metadefs.load(NAMESPACE)
        return done, [
            f"{each.method} {each.path.removeprefix(metadefs.NAMESPACES)}"
            for each in self.glance.request_history
            if each.method != "GET"
        ]

    def test_there_is_none(self) -> None:
        self.assertEqual(("created", ["POST "]), self.load(None))
        self.assertEqual(NAMESPACE, self.glance.request_history[-1].json())

    def test_it_is_there(self) -> None:
        found = {**NAMESPACE, "created_at": "then", "owner": "me"}
        self.assertEqual(("unchanged", []), self.load(found))

    def test_it_was_described_otherwise(self) -> None:
        found = {**NAMESPACE, "description": "b"}
        self.assertEqual(("updated", ["PUT /a%3a%3ab"]), self.load(found))

    def test_a_property_is_new_one_differs_and_one_is_no_more(self) -> None:
        place = "/a%3a%3ab"
        self.assertEqual(
            ("updated", [f"POST {place}/properties"]),
            self.load({**NAMESPACE, "properties": {}}),
        )
        self.glance.reset_mock()
        old = {"title": "Y", "type": "string"}
        self.assertEqual(
            ("updated", [f"PUT {place}/properties/x"]),
            self.load({**NAMESPACE, "properties": {"x": old}}),
        )
        self.glance.reset_mock()
        more = {**NAMESPACE["properties"], "y": old}
        self.assertEqual(
            (
                "updated",
                [
                    # A protected namespace keeps what it has.
                    f"PUT {place}",
                    f"DELETE {place}/properties/y",
                    f"PUT {place}",
                ],
            ),
            self.load({**NAMESPACE, "properties": more}),
        )
        first, _, last = self.glance.request_history[-3:]
        self.assertFalse(first.json()["protected"])
        self.assertTrue(last.json()["protected"])

    def test_it_is_for_no_resource(self) -> None:
        found = {k: v for k, v in NAMESPACE.items() if "resource" not in k}
        self.assertEqual(
            ("updated", ["POST /a%3a%3ab/resource_types"]), self.load(found)
        )
