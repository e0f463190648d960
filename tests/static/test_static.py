"""What the linters say of the whole tree; no finding is let through."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

# environment.d/*.bash and what devstack or hooks source have no #! line;
# what has no suffix either says it to shellcheck.
SOURCED = (".sh", ".bash")
DIRECTIVE = b"# shellcheck shell="


class StaticTest(unittest.TestCase):
    """Each test is one linter over everything it can read."""

    def test_types(self) -> None:
        self.assert_clean("mypy")

    def test_types_of_the_lab(self) -> None:
        self.assert_clean("mypy", "-p", "tools.lab", "-p", "tests.lab")

    def test_types_of_the_benchmarks(self) -> None:
        self.assert_clean("mypy", "-p", "benchmarks")

    def test_lint(self) -> None:
        self.assert_clean("ruff", "check", ".")

    def test_format(self) -> None:
        self.assert_clean("ruff", "format", "--check", ".")

    def test_imports_keep_to_the_walls(self) -> None:
        self.assert_clean("lint-imports", "--no-cache")

    def test_shell(self) -> None:
        scripts = shell_scripts()
        self.assertIn("tools/run-tests", scripts)
        self.assert_clean("shellcheck", "-x", "--shell=bash", *scripts)

    def assert_clean(self, *words: str) -> None:
        """The command exits 0; what it prints is the failure otherwise."""
        program = shutil.which(words[0], path=_path())
        if program is None:
            self.fail(f"{words[0]} is not installed (see bindep.txt)")
        done = subprocess.run(
            [program, *words[1:]],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, f"\n{done.stdout}")


def shell_scripts() -> list[str]:
    """Every shell script that git knows or would take in."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [name for name in listed if name and _is_shell(CHECKOUT / name)]


def _is_shell(path: pathlib.Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    words = first.removeprefix(b"#!").split()
    if first.startswith(b"#!") and words:
        return words[-1].rpartition(b"/")[2] in (b"sh", b"bash", b"-e")
    return path.suffix in SOURCED or first.startswith(DIRECTIVE)


def _path() -> str:
    """This interpreter's programs, then what the caller has."""
    return f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
