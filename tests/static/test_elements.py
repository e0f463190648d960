"""Every element keeps the rules that element authors are held to."""

import collections
import itertools
import os
import pathlib
import re
import subprocess
import sys
import unittest

import yaml

ELEMENTS = pathlib.Path(__file__).parents[2] / "elements"
PHASES = re.compile(
    r"(root|extra-data|pre-install|install|post-install|post-root|"
    r"block-device|pre-finalise|finalise|cleanup)\.d"
)
RUNNABLE = re.compile(r"[0-9A-Za-z_-]+")
# Commands that hooks call again and again say nothing before level 2.
TRACE = re.compile(
    r"""if \[ "\$\{DIB_DEBUG_TRACE:-0\}" -gt [01] \]; then
    set -x
fi
"""
)
# What reads from the network by itself. apt, dnf and zypper prove what they
# install; pip takes what the operator's mirror has.
DOWNLOAD = re.compile(
    r"\b(curl|wget|cache-url|urlopen|urlretrieve|git clone|git fetch)\b"
)
PROOF = re.compile(r"sha(256|512)sum|gpgv?\b|verify-(commit|tag)")
# These fetch for others, who say what it has to be.
FETCHERS = ("cache-url", "source-repositories", "sysprep")
# Of this environment, which need not be on the path.
RUFF = pathlib.Path(sys.executable).parent / "ruff"
# Put together here, so that this file does not name one itself. A distribution
# that cannot be had from the host's own sources has its own mirrors named by
# its element.
REGISTRIES = re.compile(
    r"(?i)\b(?:(?:pypi|debian|npmjs)[.](?:org|com|net)"
    r"|pythonhosted[.]org|quay[.]io|docker[.](?:io|com))\b"
)


def elements() -> list[pathlib.Path]:
    return sorted(path for path in ELEMENTS.iterdir() if path.is_dir())


def files() -> list[pathlib.Path]:
    return sorted(
        path
        for path in ELEMENTS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def shebang(path: pathlib.Path) -> str:
    with path.open("rb") as source:
        first = source.readline()
    return first.decode().strip() if first.startswith(b"#!") else ""


def code(path: pathlib.Path) -> str:
    """What a script does, without what it says of that."""
    return re.sub(r"^\s*#.*", "", path.read_text(), flags=re.MULTILINE)


def shell_scripts() -> list[pathlib.Path]:
    return [path for path in files() if shebang(path) == "#!/bin/bash"]


def snippets() -> list[pathlib.Path]:
    return [path for path in files() if path.parent.name == "environment.d"]


class TestElements(unittest.TestCase):
    maxDiff = None

    def assert_none(
        self, wrong: list[pathlib.Path] | list[str], why: str
    ) -> None:
        self.assertEqual(
            [],
            [
                str(item.relative_to(ELEMENTS))
                if isinstance(item, pathlib.Path)
                else item
                for item in wrong
            ],
            why,
        )

    def test_there_are_some(self) -> None:
        self.assertIn("debian", [path.name for path in elements()])

    def test_each_has_a_readme_under_its_own_name(self) -> None:
        wrong = []
        for element in elements():
            readme = element / "README.rst"
            lines = readme.read_text().splitlines() if readme.exists() else []
            rule = "=" * len(element.name)
            if lines[:4] != [rule, element.name, rule, ""] or not lines[4:5]:
                wrong.append(element)
        self.assert_none(wrong, "title, an empty line, a sentence")

    def test_each_readme_names_the_knobs_of_its_scripts(self) -> None:
        wrong = []
        for element in elements():
            readme = (element / "README.rst").read_text()
            for path in sorted(element.rglob("*")):
                if not path.is_file() or path.name == "README.rst":
                    continue
                text = path.read_text(errors="replace")
                for knob in re.findall(r"\$\{(DIB_\w+):-", text):
                    if knob not in readme and knob not in KNOWN_ELSEWHERE:
                        wrong.append(f"{element.name}: {knob}")
        self.assert_none(sorted(set(wrong)), "not in README.rst")

    def test_dependencies_are_sorted_and_exist(self) -> None:
        names = {path.name for path in elements()}
        for element in elements():
            names.update(provides(element))
        for element in elements():
            listed = element / "element-deps"
            if not listed.exists():
                continue
            lines = listed.read_text().splitlines()
            with self.subTest(element.name):
                self.assertEqual(sorted(set(lines)), lines)
                self.assertLessEqual(set(lines), names)

    def test_hooks_would_be_run(self) -> None:
        wrong = [
            path
            for path in files()
            if PHASES.fullmatch(path.parent.name)
            and path.parent.parent.parent == ELEMENTS
            and not (
                RUNNABLE.fullmatch(path.name)
                and os.access(path, os.X_OK)
                and shebang(path)
            )
        ]
        self.assert_none(wrong, "a dot, no shebang or not executable")

    def test_no_two_elements_have_a_hook_of_one_name(self) -> None:
        owners = collections.defaultdict(list)
        for element in elements():
            for path in element.glob("*/*"):
                if path.is_file():
                    owners[f"{path.parent.name}/{path.name}"].append(element)
        wrong = [
            f"{where}: {one.name}, {other.name}"
            for where, several in owners.items()
            for one, other in itertools.combinations(several, 2)
            # Two that provide the same thing are never in one image.
            if not set(provides(one)) & set(provides(other))
        ]
        self.assert_none(wrong, "cannot be in one image")

    def test_a_shebang_and_the_executable_bit_go_together(self) -> None:
        wrong = [
            path
            for path in files()
            if bool(shebang(path)) != os.access(path, os.X_OK)
        ]
        self.assert_none(wrong, "one without the other")

    def test_scripts_are_bash_or_python(self) -> None:
        wrong = [
            path
            for path in files()
            if shebang(path)
            not in ("", "#!/bin/bash", "#!/usr/bin/env python3")
        ]
        self.assert_none(wrong, "some other interpreter")

    def test_scripts_stop_at_the_first_mistake(self) -> None:
        wrong = []
        for path in shell_scripts():
            text = path.read_text()
            if not TRACE.search(text) or not re.search(
                r"^set -eu\nset -o pipefail$|^set -eu -o pipefail$",
                text,
                re.MULTILINE,
            ):
                wrong.append(path)
        self.assert_none(wrong, "shell options or DIB_DEBUG_TRACE")

    def test_environment_is_only_sourced(self) -> None:
        wrong = [
            path
            for path in snippets()
            if os.access(path, os.X_OK)
            or shebang(path)
            or "set -x" in path.read_text()
            or re.search(r"export \w+=[\"']?\$\(", path.read_text())
        ]
        self.assert_none(wrong, "executable, traced or hiding a failure")

    def test_text_is_tidy(self) -> None:
        wrong = []
        for path in files():
            text = path.read_text()
            if text and (
                not text.endswith("\n")
                or "\t" in text
                or re.search(r" $", text, re.MULTILINE)
            ):
                wrong.append(path)
        self.assert_none(wrong, "tab, trailing blank or no last newline")

    def test_data_can_be_read(self) -> None:
        for path in files():
            if path.suffix in (".yaml", ".json") or path.name == "pkg-map":
                with self.subTest(str(path.relative_to(ELEMENTS))):
                    if path.parent.name != "bin":
                        yaml.safe_load(path.read_text())

    def test_no_registry_is_named(self) -> None:
        wrong = [
            path for path in files() if REGISTRIES.search(path.read_text())
        ]
        self.assert_none(wrong, "take it from a knob or from the host")

    def test_what_is_downloaded_is_proven(self) -> None:
        wrong = [
            path
            for path in files()
            if shebang(path)
            and path.relative_to(ELEMENTS).parts[0] not in FETCHERS
            and DOWNLOAD.search(code(path))
            and not PROOF.search(code(path))
        ]
        self.assert_none(wrong, "no checksum and no signature is looked at")

    def test_shellcheck(self) -> None:
        done = subprocess.run(
            ["shellcheck", *map(str, shell_scripts())],
            capture_output=True,
            text=True,
        )
        self.assertEqual("", done.stdout + done.stderr)
        done = subprocess.run(
            ["shellcheck", "--shell=bash", *map(str, snippets())],
            capture_output=True,
            text=True,
        )
        self.assertEqual("", done.stdout + done.stderr)

    def test_python(self) -> None:
        # Hooks have no suffix to be found by.
        scripts = [
            str(path)
            for path in files()
            if path.suffix == ".py" or "python" in shebang(path)
        ]
        for command in (("check",), ("format", "--check")):
            done = subprocess.run(
                [RUFF, *command, "--quiet", *scripts],
                cwd=ELEMENTS.parent,
                capture_output=True,
                text=True,
            )
            self.assertEqual("", done.stdout + done.stderr)


# Set by the engine, by a dependency, or for every element alike.
KNOWN_ELSEWHERE = {
    "DIB_ARGS",
    "DIB_DEBUG_TRACE",
    "DIB_INIT_SYSTEM",
    "DIB_MANIFEST_IMAGE_DIR",
    "DIB_PYTHON_EXEC",
    "DIB_BLOCK_DEVICE",
    "DIB_BOOT_LABEL",
    "DIB_ROOT_LABEL",
}


def provides(element: pathlib.Path) -> list[str]:
    listed = element / "element-provides"
    return listed.read_text().split() if listed.exists() else []
