"""What hooks find in their environment."""

from pathlib import Path
import unittest

from dib_service.engine import elements, environment, spec

ROOT = Path("/srv")


def given(surroundings=None, **asked):
    return environment.of_hooks(
        spec.BuildSpec(elements=("tiny",), environment=asked),
        (),
        path=(),
        workspace=ROOT,
        cache_dir=ROOT / "cache",
        surroundings=surroundings,
    )


class ElementsPath(unittest.TestCase):
    def test_ours_is_there_only_with_an_element_of_ours(self):
        [ours] = elements.default_path()
        theirs = Path("/theirs")
        shelf = elements.read((ours,))
        for chosen, wanted in (
            ((), "/theirs"),
            ((shelf["dpkg"],), f"/theirs:{ours}"),
        ):
            found = environment.of_hooks(
                spec.BuildSpec(elements=("tiny",)),
                chosen,
                path=(theirs, ours),
                workspace=ROOT,
                cache_dir=ROOT / "cache",
            )
            self.assertEqual(wanted, found["ELEMENTS_PATH"])


class Surroundings(unittest.TestCase):
    def test_a_person_has_their_own_around_them(self):
        found = given(
            {
                "HOME": "/home/me",
                "DIB_LOCKFILES": "/my/locks",
                "NODEPOOL_MIRROR": "http://mirror",
                "BASH_FUNC_mine%%": "() { true; }",
            }
        )
        self.assertEqual("/home/me", found["HOME"])
        self.assertEqual("/my/locks", found["DIB_LOCKFILES"])
        self.assertEqual("http://mirror", found["NODEPOOL_MIRROR"])
        self.assertEqual("() { true; }", found["BASH_FUNC_mine%%"])

    def test_where_things_are_is_not_theirs_to_say(self):
        found = given(
            {
                "LC_ALL": "de_DE.UTF-8",
                "TMP_HOOKS_PATH": "/elsewhere",
                "IMAGE_ELEMENT": "none",
                "_LIB": "/usr/lib/dib",
            }
        )
        self.assertEqual("C", found["LC_ALL"])
        self.assertEqual("/srv/dib_build.srv/hooks", found["TMP_HOOKS_PATH"])
        self.assertEqual("", found["IMAGE_ELEMENT"])
        self.assertNotEqual("/usr/lib/dib", found["_LIB"])

    def test_what_was_asked_for_comes_before_them(self):
        found = given({"FS_TYPE": "xfs", "DIB_A": "1"}, DIB_A="2")
        self.assertEqual("xfs", found["FS_TYPE"])
        self.assertEqual("2", found["DIB_A"])

    def test_the_command_line_has_no_passwords(self):
        found = given({"DIB_ARGS": "-x https://me:secret@host/ debian"})
        self.assertEqual("-x https://me:***@host/ debian", found["DIB_ARGS"])
        self.assertNotIn("secret", found["DIB_ENV"])

    def test_a_short_path_is_made_longer(self):
        found = given({"PATH": "/opt/bin:/usr/bin"})
        first, second, *others = found["PATH"].split(":")
        self.assertEqual(["/opt/bin", "/usr/bin"], [first, second])
        self.assertIn("/usr/sbin", others)
        self.assertNotIn("/usr/bin", others)

    def test_a_request_from_elsewhere_has_none(self):
        self.assertEqual("/srv/home", given()["HOME"])
        self.assertEqual("/srv/cache/lockfiles", given()["DIB_LOCKFILES"])
