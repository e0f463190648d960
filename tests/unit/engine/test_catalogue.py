"""Which elements make an image: the cases of diskimage-builder's resolver."""

import unittest

from dib_service.engine import catalogue, errors
from dib_service.engine.catalogue import Element


def shelf(**described) -> dict[str, Element]:
    """Elements by name; each described as "dependencies / provides"."""
    found = {}
    for name, text in described.items():
        name = name.replace("_", "-")
        dependencies, _, provides = text.partition("/")
        found[name] = Element(
            name=name,
            digest="0",
            dependencies=tuple(dependencies.split()),
            provides=tuple(provides.split()),
        )
    return found


OS = {"os": " / operating-system"}


def resolve(wanted: str, skip_base: bool = True, **described) -> list[str]:
    chosen = catalogue.resolve(
        wanted.split(), shelf(**OS, **described), skip_base=skip_base
    )
    return [element.name for element in chosen]


class Resolve(unittest.TestCase):
    def test_dependencies_come_too(self):
        self.assertEqual(
            ["a", "b", "c", "os"], resolve("os a", a="b", b="c", c="")
        )

    def test_the_order_is_that_of_the_names(self):
        described = {"z": "a", "a": "", "m": ""}
        self.assertEqual(
            resolve("z m os", **described), resolve("os m z", **described)
        )

    def test_circles_are_fine(self):
        self.assertEqual(["a", "b", "os"], resolve("os a", a="b", b="a"))

    def test_an_element_may_depend_on_itself(self):
        self.assertEqual(["a", "os"], resolve("os a", a="a"))

    def test_one_that_is_asked_for_twice_is_there_once(self):
        self.assertEqual(["a", "os"], resolve("os a a", a=""))

    def test_a_dependency_that_is_provided_is_left_out(self):
        self.assertEqual(
            ["a", "os", "real"],
            resolve("os a real", a="virtual", virtual="", real=" / virtual"),
        )

    def test_what_is_provided_need_not_exist(self):
        self.assertEqual(
            ["a", "os", "real"],
            resolve("os a real", a="virtual", real=" / virtual"),
        )

    def test_a_provider_that_comes_late_still_replaces(self):
        # The dependency of the virtual element stays, as in diskimage-
        # builder, whose test is called test_provide_virtual_ordering.
        self.assertEqual(
            ["a", "extra", "os", "real"],
            resolve(
                "os a",
                a="virtual real",
                virtual="extra",
                extra="",
                real=" / virtual",
            ),
        )

    def test_two_providers_of_one_thing_are_refused(self):
        with self.assertRaises(errors.AlreadyProvided) as caught:
            resolve("os a b", a=" / x", b=" / x")
        self.assertEqual(["a", "b"], caught.exception.facts["elements"])

    def test_one_that_was_asked_for_may_not_be_provided(self):
        with self.assertRaises(errors.AlreadyProvided) as caught:
            resolve("os a x", a=" / x", x="")
        self.assertEqual("x", caught.exception.facts["provides"])

    def test_an_unknown_element_is_named_with_who_needs_it(self):
        with self.assertRaises(errors.ElementNotFound) as caught:
            resolve("os a", a="gone")
        self.assertIn("'gone' not found (needed by a)", str(caught.exception))

    def test_an_unknown_element_that_was_asked_for(self):
        with self.assertRaises(errors.ElementNotFound) as caught:
            resolve("os gone")
        self.assertEqual("gone", caught.exception.facts["element"])

    def test_an_image_needs_an_operating_system(self):
        with self.assertRaises(errors.NoOperatingSystem):
            resolve("a", a="")

    def test_two_operating_systems_are_refused(self):
        with self.assertRaises(errors.AlreadyProvided):
            resolve("os other", other=" / operating-system")

    def test_base_comes_unless_it_is_skipped(self):
        self.assertEqual(
            ["base", "os"], resolve("os", skip_base=False, base="")
        )
        self.assertEqual(["os"], resolve("os", base=""))

    def test_base_that_was_asked_for_is_there_once(self):
        self.assertEqual(
            ["base", "os"], resolve("base os", skip_base=False, base="")
        )


class Layout(unittest.TestCase):
    described = {  # noqa: RUF012
        "vm": "",
        "block_device_efi": " / block-device",
        "block_device_mbr": " / block-device",
        "uses_vm": "vm",
    }

    def test_a_machine_takes_the_default_layout(self):
        self.assertEqual(
            ["block-device-efi", "os", "vm"],
            resolve("os vm", **self.described),
        )

    def test_a_layout_that_was_asked_for_wins(self):
        self.assertEqual(
            ["block-device-mbr", "os", "vm"],
            resolve("os vm block-device-mbr", **self.described),
        )

    def test_only_a_vm_that_was_asked_for_counts(self):
        # As in diskimage-builder, which looks at the command line only.
        self.assertEqual(
            ["os", "uses-vm", "vm"], resolve("os uses-vm", **self.described)
        )


class Plan(unittest.TestCase):
    def test_all_phases_in_order_with_their_hooks(self):
        one = Element("one", "0", hooks={"install.d": ("10-b", "100-z")})
        two = Element("two", "0", hooks={"install.d": ("9-a",)})
        rows = catalogue.plan([one, two])
        self.assertEqual(
            list(catalogue.PHASES), [row["phase"] for row in rows]
        )
        [install] = [row for row in rows if row["phase"] == "install.d"]
        self.assertTrue(install["inside"])
        self.assertEqual(
            [
                {"element": "two", "hook": "9-a"},
                {"element": "one", "hook": "10-b"},
                {"element": "one", "hook": "100-z"},
            ],
            install["hooks"],
        )

    def test_hooks_run_by_number_and_then_by_bytes(self):
        # What "LC_ALL=C sort -n" makes of these names.
        expected = [
            "-3-q",
            "_x",
            "abc",
            "05-x",
            "9-b",
            "010-c",
            "10-B",
            "10-_",
            "10-a",
            "100-z",
        ]
        self.assertEqual(
            expected,
            sorted(sorted(expected), key=catalogue.run_order),
        )


class Form(unittest.TestCase):
    def test_an_element_survives_json(self):
        element = Element(
            "a", "0", ("b",), ("c",), "Does a thing.", {"root.d": ("1",)}
        )
        self.assertEqual(element, Element.from_dict(element.to_dict()))
