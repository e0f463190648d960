"""Gathering: what is merged, what is refused, and who brought what."""

from pathlib import Path

from dib_service.engine import elements, errors, hooks
from tests.unit.engine.test_elements import OnDisk


class Gather(OnDisk):
    def gather(self, *names: str) -> dict[str, str]:
        found = [
            elements.Found(
                elements.read_one(self.place / name), self.place / name
            )
            for name in names
        ]
        return dict(hooks.gather(found, self.place / "hooks"))

    def text(self, path: str) -> str:
        return (self.place / "hooks" / path).read_text()

    def test_the_hooks_of_all_elements_are_in_one_directory(self):
        self.write("a/install.d/10-a", "a", 0o755)
        self.write("b/install.d/10-b", "b", 0o755)
        origins = self.gather("a", "b")
        self.assertEqual("a", self.text("install.d/10-a"))
        self.assertEqual("b", origins["install.d/10-b"])
        hook = self.place / "hooks/install.d/10-a"
        self.assertEqual(0o755, hook.stat().st_mode & 0o777)

    def test_a_file_of_the_same_name_is_refused(self):
        self.write("a/bin/tool")
        self.write("b/bin/tool")
        with self.assertRaises(errors.DuplicateHook) as caught:
            self.gather("a", "b")
        self.assertEqual("bin/tool", caught.exception.facts["path"])
        self.assertEqual(["a", "b"], caught.exception.facts["elements"])

    def test_a_directory_of_the_same_name_is_merged(self):
        self.write("a/static/etc/one", "a")
        self.write("a/static/etc/both", "a")
        self.write("b/static/etc/both", "b")
        origins = self.gather("a", "b")
        self.assertEqual("a", self.text("static/etc/one"))
        self.assertEqual("b", self.text("static/etc/both"))
        self.assertEqual("b", origins["static/etc/both"])

    def test_a_file_and_a_directory_of_one_name_are_refused(self):
        self.write("a/static/etc")
        self.write("b/static/etc/x")
        with self.assertRaises(errors.DuplicateHook):
            self.gather("a", "b")

    def test_what_does_not_come_along(self):
        self.write("a/tests/test_x.py")
        self.write("a/__pycache__/x.pyc")
        self.write("a/install.d/.hidden")
        self.gather("a")
        left = {
            str(path.relative_to(self.place / "hooks"))
            for path in (self.place / "hooks").rglob("*")
        }
        self.assertEqual(
            {
                "dib-environment",
                "dib-python3",
                "dib-run-parts",
                "install.d",
            },
            left,
        )

    def test_two_elements_may_be_checkouts_of_their_own(self):
        self.write("a/.git/HEAD", "a")
        self.write("b/.git/HEAD", "b")
        self.gather("a", "b")
        self.assertFalse((self.place / "hooks/.git").exists())

    def test_files_beside_the_phases_come_along(self):
        self.write("a/pkg-map", "{}")
        self.gather("a")
        self.assertEqual("{}", self.text("pkg-map"))

    def test_symlinks_stay_symlinks(self):
        self.write("a/install.d/10-a", "a", 0o755)
        (self.place / "a/install.d/20-b").symlink_to("10-a")
        (self.place / "a/static").mkdir()
        (self.place / "a/static/gone").symlink_to("/dev/null")
        self.gather("a")
        link = self.place / "hooks/install.d/20-b"
        self.assertEqual(Path("10-a"), link.readlink())
        self.assertTrue((self.place / "hooks/static/gone").is_symlink())


class Names(OnDisk):
    def tree(self, **environment):
        return hooks.Tree(
            directory=self.place,
            origins={},
            environment=environment,
            cwd=self.place,
            say=lambda kind, **facts: None,
        )

    def test_which_names_run_is_for_a_variable_to_say(self):
        self.write("install.d/10-x.sh", "", 0o755)
        self.assertFalse(self.tree().has("install.d"))
        given = self.tree(RUN_PARTS_REGEX=r"\.sh$")
        self.assertTrue(given.has("install.d"))

    def test_a_pattern_that_is_none(self):
        with self.assertRaises(errors.SpecError) as caught:
            self.tree(RUN_PARTS_REGEX="(").has("install.d")
        self.assertEqual("RUN_PARTS_REGEX", caught.exception.facts["field"])

    def test_what_is_installed_from_where_is_never_read_by_a_shell(self):
        self.tree(DIB_DEFAULT_INSTALLTYPE='"; id; "').add_install_type()
        text = (self.place / hooks.INSTALL_TYPE).read_text()
        self.assertNotIn("id", text)
        self.assertIn(":-source", text)
