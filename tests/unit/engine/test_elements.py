"""Elements on disk: what is read, what will run, what makes two differ."""

from pathlib import Path
import tempfile
import unittest

from dib_service.engine import elements, errors, spec


class OnDisk(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name).resolve()

    def write(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        written = self.place / path
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text)
        written.chmod(mode)
        return written


class Read(OnDisk):
    def one(self, name: str = "a"):
        return elements.read_one(self.place / name)

    def test_dependencies_and_provides(self):
        self.write("a/element-deps", "b\n\n  c  # why\n# not one\nb\n")
        self.write("a/element-provides", "operating-system\n")
        self.assertEqual(("b", "c"), self.one().dependencies)
        self.assertEqual(("operating-system",), self.one().provides)

    def test_the_summary_is_the_first_sentence_after_the_title(self):
        self.write(
            "a/README.rst",
            "=====\n  a\n=====\n\nMakes a\nthing. And more.\n\nLater.\n",
        )
        self.assertEqual("Makes a thing.", self.one().summary)

    def test_a_title_may_be_as_short_as_vm(self):
        self.write("a/README.rst", "==\nvm\n==\n\nStarts by itself.\n")
        self.assertEqual("Starts by itself.", self.one().summary)

    def test_a_comment_is_no_summary(self):
        self.write("a/README.rst", ".. a comment\n\na\n=====\n\nSays it.\n")
        self.assertEqual("Says it.", self.one().summary)

    def test_a_title_alone_is_the_summary(self):
        self.write("a/README.rst", "Title\n=====\n")
        self.assertEqual("Title", self.one().summary)

    def test_hooks_are_what_dib_run_parts_would_run(self):
        for name, mode in (
            ("10-b", 0o755),
            ("9-a", 0o755),
            ("20-not-executable", 0o644),
            ("30-dot.sh", 0o755),
            (".hidden", 0o755),
            ("data.conf", 0o644),
        ):
            self.write(f"a/install.d/{name}", "#!/bin/sh\n", mode)
        (self.place / "a/install.d/directory").mkdir()
        (self.place / "a/install.d/40-link").symlink_to("9-a")
        self.assertEqual(
            {"install.d": ("9-a", "10-b", "40-link")}, self.one().hooks
        )

    def test_what_looks_like_a_hook_and_is_none(self):
        script = "#!/bin/sh\n"
        self.write("a/install.d/10-runs", script, 0o755)
        self.write("a/install.d/.20-hidden", script, 0o755)
        self.write("a/install.d/30-dot.sh", script, 0o755)
        self.write("a/install.d/40-not-executable", "", 0o644)
        self.write("a/install.d/50-a+b", script, 0o755)
        self.write("a/install.d/script", script, 0o644)
        (self.place / "a/install.d/60-gone").symlink_to("nowhere")
        self.write("a/install.d/data.conf", "read by a hook")
        self.write("a/install.d/.gitignore", "*")
        self.write("a/other.d/70-x.sh", script, 0o755)
        (self.place / "a/install.d/80-directory").mkdir()
        found = dict(elements.ignored(self.place / "a"))
        for name, reason in (
            (".20-hidden", "is hidden by the dot"),
            ("30-dot.sh", "has a dot"),
            ("40-not-executable", "is not executable"),
            ("50-a+b", "has more in its name"),
            ("script", "is not executable"),
            ("60-gone", "is a symlink to nowhere"),
        ):
            self.assertIn(reason, found.pop(f"install.d/{name}"))
        self.assertEqual({}, found)

    def test_an_earlier_directory_overrides_a_later_one(self):
        self.write("one/a/README.rst", "First.\n")
        self.write("two/a/README.rst", "Second.\n")
        self.write("two/b/README.rst", "Only.\n")
        shelf = elements.read([self.place / "one", self.place / "two"])
        self.assertEqual({"a", "b"}, set(shelf))
        self.assertEqual("First.", shelf["a"].element.summary)
        self.assertEqual(
            [f"element {self.place}/one/a overrides {self.place}/two/a"],
            list(shelf["a"].warnings()),
        )
        self.assertEqual([], list(shelf["b"].warnings()))

    def test_an_element_does_not_override_itself(self):
        self.write("one/a/README.rst")
        (self.place / "one/b").symlink_to("a")
        shelf = elements.read([self.place / "one", self.place / "one"])
        self.assertEqual([], list(shelf["a"].warnings()))

    def test_a_symlink_has_the_name_of_what_it_points_to(self):
        self.write("real/a/README.rst")
        (self.place / "path").mkdir()
        (self.place / "path/b").symlink_to(self.place / "real/a")
        self.assertEqual(["a"], list(elements.read([self.place / "path"])))

    def test_what_is_no_element_is_left_out(self):
        self.write("path/README.rst")
        self.write("path/__pycache__/x")
        self.write("path/.git/x")
        self.assertEqual({}, elements.read([self.place / "path"]))

    def test_a_path_that_is_not_there(self):
        with self.assertRaises(errors.ElementPathError):
            elements.read([self.place / "gone"])

    def test_choosing_warns_of_hooks_that_will_not_run(self):
        self.write("path/os/element-provides", "operating-system")
        self.write("path/os/root.d/10-x.sh", "", 0o755)
        warnings: list[str] = []
        chosen = elements.choose(
            spec.BuildSpec(elements=("os",), skip_base=True),
            [self.place / "path"],
            warnings.append,
        )
        self.assertEqual(["os"], [found.name for found in chosen])
        self.assertEqual(
            [
                "os: root.d/10-x.sh has a dot in its name: it will not run",
            ],
            warnings,
        )

    def test_choosing_warns_of_what_it_has_chosen_only(self):
        self.write("one/os/element-provides", "operating-system")
        self.write("two/os/element-provides", "operating-system")
        for place in ("one", "two"):
            self.write(f"{place}/other/root.d/10-x.sh", "", 0o755)
        warnings: list[str] = []
        elements.choose(
            spec.BuildSpec(elements=("os",), skip_base=True),
            [self.place / "one", self.place / "two"],
            warnings.append,
        )
        [warning] = warnings
        self.assertIn("one/os overrides", warning)


class Pinned(OnDisk):
    def setUp(self):
        super().setUp()
        self.write("path/os/element-provides", "operating-system\n")
        self.write("path/os/element-deps", "more\n")
        self.write("path/more/install.d/10-x", "one", 0o755)
        shelf = elements.read([self.place / "path"])
        self.pinned = {
            name: found.element.digest for name, found in shelf.items()
        }

    def chosen(self, **digests):
        return elements.choose(
            spec.BuildSpec(elements=("os",), skip_base=True, digests=digests),
            [self.place / "path"],
            print,
        )

    def assert_changed(self, name, **digests):
        with self.assertRaises(errors.ElementChanged) as caught:
            self.chosen(**digests)
        fault = caught.exception.to_dict()
        self.assertEqual("element-changed", fault["code"])
        self.assertEqual("operator", fault["turn"])
        self.assertEqual(name, fault["element"])

    def test_what_was_meant_is_built(self):
        found = self.chosen(**self.pinned)
        self.assertEqual(["more", "os"], [each.name for each in found])

    def test_without_digests_anything_is(self):
        self.assertEqual(2, len(self.chosen()))

    def test_what_has_changed_meanwhile_is_not(self):
        self.write("path/more/install.d/10-x", "two", 0o755)
        self.assert_changed("more", **self.pinned)

    def test_what_has_gone_is_no_fault_of_who_asked(self):
        (self.place / "path/more/install.d/10-x").unlink()
        (self.place / "path/more/install.d").rmdir()
        (self.place / "path/more").rmdir()
        self.assert_changed("more", **self.pinned)

    def test_what_was_not_meant_is_not_added(self):
        self.assert_changed("more", os=self.pinned["os"])


class Digest(OnDisk):
    def digest(self) -> str:
        return elements.digest(self.place / "a")

    def test_what_it_does_not_depend_on(self):
        path = self.write("a/install.d/10-x", "one", 0o755)
        before = self.digest()
        path.chmod(0o775)
        self.write("a/__pycache__/x.pyc", "two")
        self.write("a/.git/HEAD", "two")
        self.assertEqual(before, self.digest())

    def test_what_it_depends_on(self):
        seen = set()
        path = self.write("a/install.d/10-x", "one", 0o755)
        seen.add(self.digest())
        path.write_text("two")
        seen.add(self.digest())
        path.chmod(0o644)
        seen.add(self.digest())
        path.rename(path.with_name("10-y"))
        seen.add(self.digest())
        (self.place / "a/link").symlink_to("here")
        seen.add(self.digest())
        (self.place / "a/empty").mkdir()
        seen.add(self.digest())
        self.assertEqual(6, len(seen))


class Path_(unittest.TestCase):
    def test_a_path_is_parted_at_its_colons(self):
        self.assertEqual(
            (Path("/a"), Path("/b/c")), elements.parse_path("/a::/b/c:")
        )
