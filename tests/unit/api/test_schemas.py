"""What a body must look like."""

import time
from typing import Any
import unittest

from dib_service import exception
from dib_service.api import schemas

# What is put into the build, the field that is named, a part of the message.
BAD: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"elements": []}, "build.elements", "1 to 64 different"),
    ({"elements": "debian"}, "build.elements", "a list"),
    ({"elements": ["debian", "debian"]}, "build.elements", "different"),
    ({"elements": ["x"] * 65}, "build.elements", "1 to 64"),
    ({"elements": [7]}, "build.elements[0]", "name of an element"),
    ({"elements": ["a", "../b"]}, "build.elements[1]", "name of an element"),
    ({"elements": ["a/b"]}, "build.elements[0]", "name of an element"),
    ({"elements": ["-rf"]}, "build.elements[0]", "name of an element"),
    ({"elements": ["a\0"]}, "build.elements[0]", "name of an element"),
    ({"elements": ["a\n"]}, "build.elements[0]", "name of an element"),
    ({"elements": ["dеbian"]}, "build.elements[0]", "ASCII"),  # noqa: RUF001
    ({"elements": ["x" * 129]}, "build.elements[0]", "at most 128"),
    ({"elements": [""]}, "build.elements[0]", "name of an element"),
    ({"id": "1"}, "build.id", "a UUID"),
    ({"id": "AAAAAAAA-0000-4000-8000-000000000001"}, "build.id", "lower"),
    ({"id": "aaaaaaaa-0000-4000-8000-000000000001\n"}, "build.id", "UUID"),
    ({"name": ""}, "build.name", "1 to 255"),
    ({"name": "x" * 256}, "build.name", "1 to 255"),
    ({"name": None}, "build.name", "1 to 255"),
    ({"formats": []}, "build.formats", "at least one"),
    ({"formats": ["vmdk"]}, "build.formats[0]", "one of raw, qcow2"),
    ({"formats": ["raw", "raw"]}, "build.formats", "different"),
    ({"architecture": "sparc"}, "build.architecture", "x86_64, aarch64"),
    ({"architecture": "amd64"}, "build.architecture", "x86_64, aarch64"),
    ({"environment": []}, "build.environment", "variables"),
    ({"environment": {"DIB_A": 1}}, "build.environment.DIB_A", "text"),
    (
        {"environment": {f"DIB_{n}": "" for n in range(129)}},
        "build.environment",
        "at most 128",
    ),
    ({"disk_size_gib": 0}, "build.disk_size_gib", "at least 1"),
    ({"disk_size_gib": -1}, "build.disk_size_gib", "at least 1"),
    ({"disk_size_gib": 1.5}, "build.disk_size_gib", "whole number"),
    ({"disk_size_gib": "4"}, "build.disk_size_gib", "whole number"),
    ({"disk_size_gib": True}, "build.disk_size_gib", "whole number"),
    ({"skip_base": "no"}, "build.skip_base", "a boolean"),
    ({"boot_test": "no"}, "build.boot_test", "a boolean"),
    ({"image": "debian"}, "build.image", "an object"),
    ({"image": {"name": ""}}, "build.image.name", "1 to 255"),
    (
        {"image": {"visibility": "hidden"}},
        "build.image.visibility",
        "private, shared, community, public",
    ),
    (
        {"image": {"properties": {"a": 1}}},
        "build.image.properties.a",
        "text",
    ),
    (
        {"image": {"properties": {f"p{n}": "" for n in range(129)}}},
        "build.image.properties",
        "at most 100",
    ),
    ({"image": {"owner": "me"}}, "build.image.owner", "no such field"),
    ({"image": {"protected": 1}}, "build.image.protected", "a boolean"),
    ({"image": {"members": "a"}}, "build.image.members", "at most 100"),
    (
        {"image": {"members": ["demo"]}},
        "build.image.members[0]",
        "the id of a project, or 'baremetal'",
    ),
    (
        {"image": {"members": ["baremetal", "baremetal"]}},
        "build.image.members",
        "different",
    ),
    ({"image": {"tags": ["a", "a"]}}, "build.image.tags", "different"),
    ({"image": {"tags": [""]}}, "build.image.tags[0]", "1 to 255"),
    ({"image": {"tags": ["x" * 256]}}, "build.image.tags[0]", "1 to 255"),
    (
        {"image": {"tags": [f"{n}" for n in range(101)]}},
        "build.image.tags",
        "at most 100",
    ),
    ({"image": {"traits": ["gpu"]}}, "build.image.traits[0]", "CUSTOM_"),
    ({"image": {"traits": ["CUSTOM_"]}}, "build.image.traits[0]", "capitals"),
    ({"image": {"traits": ["CUSTOM_a"]}}, "build.image.traits[0]", "capitals"),
    ({"image": {"traits": ["GPU_A"]}}, "build.image.traits[0]", "standard"),
    ({"image": {"traits": ["HW_A", "HW_A"]}}, "build.image.traits", "diff"),
    ({"image": {"targets": []}}, "build.image.targets", "1 to 16"),
    ({"image": {"targets": ["../a"]}}, "build.image.targets[0]", "a place"),
    ({"disk_size": 4}, "build.disk_size", "no such field"),
)


class SchemaTest(unittest.TestCase):
    """The table above, and the outermost layer."""

    def test_all_that_may_be_said(self) -> None:
        schemas.check(
            {
                "build": {
                    "id": "aaaaaaaa-0000-4000-8000-000000000001",
                    "name": "a",
                    "elements": ["debian", "a.b+c_d-e"],
                    "skip_base": True,
                    "boot_test": False,
                    "formats": ["raw", "qcow2"],
                    "architecture": "aarch64",
                    "environment": {"DIB_A": "b"},
                    "disk_size_gib": 1,
                    "image": {
                        "name": "b",
                        "visibility": "public",
                        "properties": {"c": "d"},
                        "members": [
                            "baremetal",
                            "0123456789abcdef0123456789abcdef",
                            "aaaaaaaa-0000-4000-8000-000000000001",
                        ],
                        "protected": True,
                        "tags": ["größer", "x" * 255],
                        "traits": ["CUSTOM_A_1", "HW_CPU_X86_VMX"],
                        "targets": ["glance", "region-2.a_b"],
                    },
                }
            },
            schemas.BUILD_CREATE,
        )

    def test_each_wrong_field_is_named(self) -> None:
        for changes, field, why in BAD:
            with self.subTest(changes=str(changes)[:60]):
                error = self.refused(
                    {"build": {"elements": ["debian"], **changes}}
                )
                self.assertEqual(field, error.facts["field"])
                self.assertTrue(error.message.startswith(f"{field}: "))
                self.assertIn(why, error.message)
                self.assertLess(len(error.message), 350)

    def test_a_list_of_anything_is_refused_in_no_time(self) -> None:
        # What is no text cannot be sorted with it, and comparing each item
        # with each other one would take minutes.
        mixed = [value for n in range(20_000) for value in (n, f"a{n}")]
        deep: list[Any] = []
        for _ in range(400):
            deep = [deep]
        for elements in (mixed, [deep, deep]):
            began = time.process_time()
            with self.assertRaises(exception.BadRequest) as caught:
                schemas.check(
                    {"build": {"elements": elements}}, schemas.BUILD_CREATE
                )
            self.assertIn("build.elements", caught.exception.facts["field"])
            self.assertLess(time.process_time() - began, 10.0)

    def test_what_is_missing_is_named(self) -> None:
        self.assertEqual("build", self.refused({}).facts["field"])
        self.assertEqual(
            "build.elements", self.refused({"build": {}}).facts["field"]
        )

    def test_what_may_be_a_secret_is_not_repeated(self) -> None:
        for changes in (
            {"proxy": "http://me:hunter2@proxy.example.com"},
            {"proxy": {"http": "http://x", "no_proxy": "me:hunter2@x"}},
            {"ssh_keys": "-----BEGIN PRIVATE KEY-----\nhunter2"},
            {"environment": "DIB_DEV_USER_PASSWORD=hunter2"},
        ):
            with self.subTest(changes=changes):
                error = self.refused(
                    {"build": {"elements": ["debian"], **changes}}
                )
                said = str(error.facts) + error.message
                self.assertNotIn("hunter2", said)

    def test_what_is_no_object_at_all(self) -> None:
        for data in (None, [], "build", 7, {"build": []}):
            with self.subTest(data=data):
                self.assertIn("an object", self.refused(data).message)

    def refused(self, data: Any) -> exception.BadRequest:
        """The error that this body gets."""
        with self.assertRaises(exception.BadRequest) as caught:
            schemas.check(data, schemas.BUILD_CREATE)
        return caught.exception
