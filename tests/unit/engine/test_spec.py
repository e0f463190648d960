"""A spec is checked once, at the wall."""

import unittest

from dib_service.engine import errors, spec


def given(**fields):
    return spec.BuildSpec.from_dict(
        {"version": 1, "elements": ["debian"], **fields}
    )


class Spec(unittest.TestCase):
    def test_it_survives_json(self):
        wanted = given(
            formats=["raw"],
            environment={"DIB_A": "b"},
            disk_size=5,
            packages=["vim", "g++", "@web", "a=1.0~2"],
            ramdisk=True,
            boot_test=True,
        )
        self.assertEqual(wanted, spec.BuildSpec.from_dict(wanted.to_dict()))

    def test_digests_survive_it_too_and_are_left_out_where_there_are_none(
        self,
    ):
        wanted = given(digests={"debian": "d"})
        self.assertEqual(wanted, spec.BuildSpec.from_dict(wanted.to_dict()))
        self.assertNotIn("digests", given().to_dict())

    def test_what_is_refused_and_which_field_is_named(self):
        for field, value in (
            ("version", 2),
            ("version", None),
            ("elements", []),
            ("elements", "debian"),
            ("elements", ["../etc"]),
            ("elements", ["-x"]),
            ("elements", [1]),
            ("formats", []),
            ("formats", ["qcow3"]),
            ("architecture", "m68k"),
            ("environment", ["A=b"]),
            ("environment", {"A": 1}),
            ("environment", {"A-B": "x"}),
            ("environment", {"": "x"}),
            ("environment", {"LD_PRELOAD": "x"}),
            ("environment", {"PATH": "x"}),
            ("environment", {"TMP_HOOKS_PATH": "x"}),
            ("environment", {"A": "x\0y"}),
            ("environment", {"A": "x" * 100_000}),
            ("packages", ["--option"]),
            ("packages", ["two words"]),
            ("packages", [""]),
            ("digests", ["d"]),
            ("digests", {"debian": None}),
            ("disk_size", 0),
            ("disk_size", "5"),
            ("disk_size", 2 * 1024**5),
            ("disk_size", True),
            ("name", "a/b"),
            ("name", ""),
            ("unknown", 1),
        ):
            with (
                self.subTest(field=field, value=str(value)[:20]),
                self.assertRaises(errors.SpecError) as caught,
            ):
                given(**{field: value})
            self.assertEqual(field, caught.exception.facts["field"])
