"""What elements declare becomes what each phase installs and removes."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import yaml

SQUASH = (
    pathlib.Path(__file__).parents[3]
    / "elements/package-installs/bin/package-installs-squash"
)


class TestSquash(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.shelf = pathlib.Path(folder.name)
        self.elements: dict[str, str] = {}

    def element(self, name: str, text: str, form: str = "yaml") -> None:
        directory = self.shelf / name
        directory.mkdir()
        (directory / f"package-installs.{form}").write_text(text)
        self.elements[name] = str(directory)

    def run_squash(
        self, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(SQUASH), "-"],
            env={
                "PATH": os.environ["PATH"],
                "ARCH": "amd64",
                "IMAGE_ELEMENT": " ".join(self.elements),
                "IMAGE_ELEMENT_YAML": yaml.safe_dump(self.elements),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def squash(self, **environment: str) -> dict[str, dict[str, list[str]]]:
        done = self.run_squash(**environment)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return {
            phase: {
                action: [name for name, _ in entries]
                for action, entries in actions.items()
            }
            for phase, actions in json.loads(done.stdout).items()
        }

    def installed(self, **environment: str) -> list[str]:
        plan = self.squash(**environment)
        return plan.get("install.d", {}).get("install", [])

    def test_a_bare_name_is_installed_in_install_d(self) -> None:
        self.element("one", "editor:\n")
        self.assertEqual(
            {"install.d": {"install": ["editor"], "uninstall": []}},
            self.squash(),
        )

    def test_json_is_read_too(self) -> None:
        self.element("one", '{"editor": {"phase": "post-install.d"}}', "json")
        self.assertEqual(["post-install.d"], list(self.squash()))

    def test_who_wants_it_is_kept_for_the_map(self) -> None:
        self.element("one", "editor:\n")
        plan = json.loads(self.run_squash().stdout)
        self.assertEqual([["editor", "one"]], plan["install.d"]["install"])

    def test_build_only_is_installed_and_removed(self) -> None:
        self.element("one", "compiler:\n  build-only: true\n")
        self.assertEqual(
            {"install": ["compiler"], "uninstall": ["compiler"]},
            self.squash()["install.d"],
        )

    def test_build_only_is_kept_for_who_wants_it_for_good(self) -> None:
        self.element("one", "compiler:\n  build-only: true\n")
        self.element("two", "compiler:\n")
        self.assertEqual([], self.squash()["install.d"]["uninstall"])

    def test_a_removal_yields_to_an_install(self) -> None:
        self.element("one", "editor:\n  uninstall: true\n")
        self.element("two", "editor:\n")
        self.assertEqual(
            {"install": ["editor"], "uninstall": []},
            self.squash()["install.d"],
        )

    def test_a_removal_stands_when_the_install_does_not_apply(self) -> None:
        self.element("one", "editor:\n  uninstall: true\n")
        self.element("two", "editor:\n  arch: arm64\n")
        self.assertEqual(
            {"install": [], "uninstall": ["editor"]},
            self.squash()["install.d"],
        )

    def test_uninstall_false_is_an_install(self) -> None:
        self.element("one", "editor:\n  uninstall: false\n")
        self.assertEqual(["editor"], self.installed())

    def test_whatever_says_nothing_is_an_install(self) -> None:
        self.element("one", "a: []\nb: {}\nc: ''\nd: null\n")
        self.assertEqual(["a", "b", "c", "d"], self.installed())

    def test_uninstall_of_nothing_means_yes(self) -> None:
        self.element("one", "editor:\n  uninstall:\n")
        self.assertEqual(
            {"install": [], "uninstall": ["editor"]},
            self.squash()["install.d"],
        )

    def test_who_removes_it_is_kept_for_the_map(self) -> None:
        self.element("one", "compiler:\n  build-only: true\n")
        self.element("two", "compiler:\n  uninstall: true\n")
        self.assertEqual(
            ["compiler", "compiler"], self.squash()["install.d"]["uninstall"]
        )

    def test_yaml_and_json_both_count(self) -> None:
        self.element("one", '{"a":\t{}}', "json")
        (self.shelf / "one/package-installs.yaml").write_text("b:\n")
        self.assertEqual(["a", "b"], self.installed())

    def test_a_phase_of_which_nothing_comes_is_said(self) -> None:
        self.element("one", "a:\n  phase: finalise.d\nb:\n")
        done = self.run_squash()
        self.assertIn("nothing is installed in finalise.d", done.stderr)
        self.assertEqual(
            ["install.d", "finalise.d"], list(json.loads(done.stdout))
        )

    def test_an_option_is_not_a_package(self) -> None:
        self.element("one", '"--allow-unauthenticated":\n')
        done = self.run_squash()
        self.assertEqual(1, done.returncode)
        self.assertIn("one: '--allow-unauthenticated'", done.stderr)

    def test_a_path_is_searched_where_no_one_says_the_places(self) -> None:
        (self.shelf / "a/one").mkdir(parents=True)
        (self.shelf / "a/one/package-installs.yaml").write_text("first:\n")
        (self.shelf / "b/one").mkdir(parents=True)
        (self.shelf / "b/one/package-installs.yaml").write_text("second:\n")
        done = subprocess.run(
            [
                *(sys.executable, SQUASH, "--elements", "one"),
                *("--path", f"{self.shelf}/a:{self.shelf}/b", "-"),
            ],
            env={"PATH": os.environ["PATH"], "ARCH": "amd64"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(
            [["first", "one"]],
            json.loads(done.stdout)["install.d"]["install"],
        )

    def test_architectures_may_have_blanks_between_them(self) -> None:
        self.element("one", "a:\n  arch: arm64, amd64\nb:\n  arch: arm64\n")
        self.assertEqual(["a"], self.installed())

    def test_not_arch_leaves_out(self) -> None:
        self.element("one", "a:\n  not-arch: arm64, amd64\nb:\n")
        self.assertEqual(["b"], self.installed())

    def test_architectures_may_be_a_list_or_nothing(self) -> None:
        self.element("one", "a:\n  arch: [arm64, amd64]\nb:\n  arch:\n")
        self.assertEqual(["a", "b"], self.installed())

    def test_arch_and_not_arch_is_a_mistake(self) -> None:
        self.element("one", "a:\n  arch: amd64\n  not-arch: arm64\n")
        done = self.run_squash()
        self.assertEqual(1, done.returncode)
        self.assertIn("one: a: arch and not-arch", done.stderr)

    def test_install_type_of_the_element_decides(self) -> None:
        self.element("one-two", "a:\n  installtype: package\nb:\n")
        self.assertEqual(["b"], self.installed())
        self.assertEqual(
            ["a", "b"], self.installed(DIB_INSTALLTYPE_one_two="package")
        )
        self.assertEqual(
            ["a", "b"], self.installed(DIB_DEFAULT_INSTALLTYPE="package")
        )

    def test_all_conditions_have_to_hold(self) -> None:
        self.element("one", "a:\n  when:\n    - X = 1\n    - Y != 2\n")
        self.assertEqual(["a"], self.installed(X="1", Y="1"))
        self.assertEqual([], self.installed(X="1", Y="2"))

    def test_a_condition_on_nothing_is_a_mistake(self) -> None:
        self.element("one", "a:\n  when: X = 1\n")
        done = self.run_squash()
        self.assertEqual(1, done.returncode)
        self.assertIn("one: a: when: X is not set", done.stderr)

    def test_one_of_a_list_is_enough(self) -> None:
        self.element("one", "a:\n  - arch: arm64\n  - arch: amd64\n")
        self.assertEqual(["a"], self.installed())

    def test_only_the_chosen_copy_of_an_element_counts(self) -> None:
        self.element("one", "a:\n")
        hidden = self.shelf / "hidden" / "one"
        hidden.mkdir(parents=True)
        (hidden / "package-installs.yaml").write_text("b:\n")
        self.assertEqual(
            ["a"], self.installed(ELEMENTS_PATH=f"{hidden.parent}")
        )
