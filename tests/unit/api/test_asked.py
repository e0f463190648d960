"""What is asked for is what some builder can do."""

from collections.abc import Mapping

import testtools

from dib_service import exception
from dib_service.api import asked
from dib_service.engine import catalogue
from dib_service.objects import element
from dib_service.objects.build import Build
from dib_service.objects.builder import Builder
from tests import database


class RoomTest(testtools.TestCase):
    """No way leads to a larger disk than the operator allows."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def asked(self, **environment: str) -> Mapping[str, str]:
        body = {"elements": ["debian"], "environment": environment}
        return asked.wanted(body)[1].environment

    def test_room_beside_the_tree(self) -> None:
        for name in ("DIB_IMAGE_EXTRA_SIZE", "DIB_JOURNAL_SIZE"):
            most = 2048 * 1024
            self.assertEqual(
                {name: f"{most}"}, self.asked(**{name: f"{most}"})
            )
            for more in (f"{most + 1}", f"{most + 1}.5"):
                error = self.assertRaises(
                    exception.BadRequest, self.asked, **{name: more}
                )
                self.assertIn("2097152 MiB are allowed", error.message)


class ResolveTest(testtools.TestCase):
    """Builders that have different elements, or different versions."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def test_what_most_builders_have(self) -> None:
        self.builder("a", {"debian": "1"})
        self.builder("b", {"debian": "2"})
        self.builder("c", {"debian": "2"})
        self.assertEqual({"debian": "2"}, self.resolved())

    def test_elements_come_from_one_builder(self) -> None:
        # By majority debian would be 3 and tools 2, which nobody has.
        self.builder("a", {"debian": "1", "tools": "2"})
        self.builder("b", {"debian": "3", "tools": "4"})
        self.builder("c", {"debian": "3", "tools": "5"})
        self.builder("d", {"debian": "6", "tools": "2"})
        self.assertIn(
            self.resolved("debian", "tools"),
            (
                {"debian": "1", "tools": "2"},
                {"debian": "3", "tools": "4"},
                {"debian": "3", "tools": "5"},
                {"debian": "6", "tools": "2"},
            ),
        )

    def test_what_no_builder_has_together(self) -> None:
        self.builder("a", {"debian": "1"})
        self.builder("b", {"tools": "1"})
        error = self.assertRaises(
            exception.Unavailable, self.resolved, "debian", "tools"
        )
        self.assertIn("has all of these elements", error.message)

    def test_the_builder_is_of_the_architecture(self) -> None:
        self.builder("a", {"debian": "1"}, architecture="aarch64")
        self.builder("b", {"debian": "2"})
        self.builder("c", {"debian": "2"})
        self.assertEqual(
            {"debian": "1"}, self.resolved(architecture="aarch64")
        )

    def test_a_builder_that_is_off_counts_for_nothing(self) -> None:
        self.builder("a", {"debian": "1"})
        self.builder("b", {"other": "1"}, architecture="aarch64")
        Builder.get("a").enable(False)
        Builder.get("b").enable(False)
        self.assertRaises(exception.Unavailable, self.resolved)

    def test_no_builder_of_the_architecture(self) -> None:
        self.builder("a", {"debian": "1"})
        error = self.assertRaises(
            exception.BadRequest, self.resolved, architecture="aarch64"
        )
        self.assertEqual("build.architecture", error.facts["field"])
        self.assertIn("x86_64", error.message)

    def test_elements_that_make_no_image_have_no_format(self) -> None:
        self.builder("a", {"debian": "1", "no-final-image": "2"})
        wanted = database.wanted(
            elements=["debian", "no-final-image"], skip_base=True
        )
        chosen = asked.resolve(wanted)
        fitted = asked.without_formats(wanted, chosen, given=False)
        self.assertEqual((), fitted.formats)
        error = self.assertRaises(
            exception.BadRequest,
            asked.without_formats,
            wanted,
            chosen,
            given=True,
        )
        self.assertEqual("build.formats", error.facts["field"])
        wanted = database.wanted(skip_base=True)
        self.assertEqual(
            wanted,
            asked.without_formats(wanted, asked.resolve(wanted), given=True),
        )

    def builder(
        self,
        name: str,
        digests: Mapping[str, str],
        *,
        architecture: str = "x86_64",
    ) -> None:
        """A builder with these elements."""
        builder, _ = Builder.enrol(name)
        builder.register(
            session="session",
            version="1",
            slots=1,
            architectures=[architecture],
            elements=digests,
        )
        element.register(
            [
                catalogue.Element(
                    name=name,
                    digest=digest,
                    provides=("operating-system",) if name == "debian" else (),
                )
                for name, digest in digests.items()
            ]
        )

    def resolved(
        self, *names: str, architecture: str = "x86_64"
    ) -> dict[str, str]:
        """Digests by name of what would be built."""
        wanted = database.wanted(
            elements=list(names or ("debian",)),
            architecture=architecture,
            skip_base=True,
        )
        return {row.name: row.digest for row in asked.resolve(wanted)}


class WantedTest(testtools.TestCase):
    """Defaults, and names that nobody can read."""

    def setUp(self) -> None:
        super().setUp()
        self.config = self.useFixture(database.Database()).config

    def test_names_come_from_the_elements(self) -> None:
        name, wanted = asked.wanted({"elements": ["debian", "vm"]})
        self.assertEqual("debian-vm", name)
        self.assertEqual("debian-vm", wanted.image_name)
        name, _ = asked.wanted({"elements": ["x" * 128, "y" * 128]})
        self.assertEqual(255, len(name))

    def test_sizes_are_bytes_inside(self) -> None:
        _, wanted = asked.wanted({"elements": ["a"], "disk_size_gib": 3.0})
        self.assertEqual(3 * 2**30, wanted.disk_size)
        self.assertIs(int, type(wanted.disk_size))

    def test_names_that_nobody_can_read(self) -> None:
        for name in (" ", "\t", "a\nb", "a\0", "a\x85b", "a\u2028b"):
            for body in (
                {"elements": ["a"], "name": name},
                {"elements": ["a"], "image": {"name": name}},
            ):
                self.assertRaises(exception.BadRequest, asked.wanted, body)

    def test_what_becomes_of_the_image_has_its_defaults(self) -> None:
        _, wanted = asked.wanted({"elements": ["a"]})
        self.assertTrue(wanted.boot_test)
        self.assertEqual("private", wanted.visibility)
        self.assertEqual(("glance",), wanted.targets)
        self.assertFalse(wanted.protected)
        for empty in (wanted.members, wanted.tags, wanted.traits):
            self.assertEqual((), empty)

    def test_the_first_target_is_that_of_who_names_none(self) -> None:
        self.config.config(group="publish", targets=["web", "glance"])
        _, wanted = asked.wanted({"elements": ["a"]})
        self.assertEqual(("web",), wanted.targets)

    def test_an_unknown_target_is_told_the_known_ones(self) -> None:
        self.config.config(group="publish", targets=["glance", "web"])
        body = {"elements": ["a"], "image": {"targets": ["web", "moon"]}}
        error = self.assertRaises(exception.BadRequest, asked.wanted, body)
        self.assertEqual("build.image.targets[1]", error.facts["field"])
        self.assertIn("glance, web", error.message)

    def test_nobody_shares_with_bare_metal_that_is_not_there(self) -> None:
        self.config.config(group="publish", bare_metal_project_id=None)
        body = {"elements": ["a"], "image": {"members": ["baremetal"]}}
        error = self.assertRaises(exception.BadRequest, asked.wanted, body)
        self.assertEqual("build.image.members", error.facts["field"])

    def test_an_image_with_members_is_shared(self) -> None:
        self.config.config(group="publish", bare_metal_project_id="1" * 32)
        image = {"members": ["baremetal"]}
        _, wanted = asked.wanted({"elements": ["a"], "image": image})
        self.assertEqual("shared", wanted.visibility)
        self.assertEqual(("baremetal",), wanted.members)
        error = self.assertRaises(
            exception.BadRequest,
            asked.wanted,
            {"elements": ["a"], "image": {**image, "visibility": "private"}},
        )
        self.assertEqual("build.image.members", error.facts["field"])

    def test_secure_boot_is_required_of_what_was_tested(self) -> None:
        body = {
            "elements": ["a"],
            "image": {"properties": {"os_secure_boot": "required"}},
        }
        asked.wanted(body)
        error = self.assertRaises(
            exception.BadRequest, asked.wanted, {**body, "boot_test": False}
        )
        self.assertIn("os_secure_boot", error.facts["field"])

    def test_a_trait_counts_as_a_property(self) -> None:
        image = {
            "properties": {f"p{number}": "" for number in range(99)},
            "traits": ["CUSTOM_A"],
        }
        asked.wanted({"elements": ["a"], "image": image})
        image["traits"] = ["CUSTOM_A", "CUSTOM_B"]
        error = self.assertRaises(
            exception.BadRequest,
            asked.wanted,
            {"elements": ["a"], "image": image},
        )
        self.assertIn("at most 100", error.message)

    def test_a_tag_that_nobody_can_read(self) -> None:
        error = self.assertRaises(
            exception.BadRequest,
            asked.wanted,
            {"elements": ["a"], "image": {"tags": ["a", "b\n"]}},
        )
        self.assertEqual("build.image.tags[1]", error.facts["field"])

    def test_a_uuid_that_is_used_is_found_first(self) -> None:
        self.useFixture(database.Database())
        build: Build = database.new_build()
        error = self.assertRaises(
            exception.Conflict,
            asked.refuse_repeat,
            build.id,
            lambda path: path,
        )
        self.assertEqual(
            f"/v1/builds/{build.id}", error.facts["links"][0]["href"]
        )
        asked.refuse_repeat("aaaaaaaa-0000-4000-8000-000000000001", str)
        asked.refuse_repeat(None, str)
