"""Hooks and programs are run, stop at mistakes, and are read by linters."""

import ast
import collections
from collections.abc import Iterator
import itertools
import pathlib
import re
import subprocess
import sys

from tests.lint.shelf import Shelf, runnable, shebang, text, words

# The number says when it is run, the name what it does. No dot: that would
# never be run.
HOOK = re.compile(r"[0-9]{2,3}-[0-9A-Za-z_-]+")
# Commands that hooks call again and again say nothing before level 2.
TRACE = re.compile(
    r"""if \[ "\$\{DIB_DEBUG_TRACE:-0\}" -gt [01] \]; then
    set -x
fi
"""
)
OPTIONS = re.compile(
    r"^set -eu\nset -o pipefail$|^set -eu -o pipefail$", re.MULTILINE
)
INTERPRETERS = ("#!/bin/bash", "#!/usr/bin/env python3")
# The Python of RHEL 9 and of Debian bullseye.
OLDEST = (3, 9)
CLASS_CHECKS = ("isinstance", "issubclass")
# Of this environment, which need not be on the path.
RUFF = pathlib.Path(sys.executable).parent / "ruff"
PROJECT = pathlib.Path(__file__).parents[2]


def stop_at_the_first_mistake(shelf: Shelf) -> Iterator[str]:
    """Shell options, and what DIB_DEBUG_TRACE asks for."""
    for path in shelf.shell_scripts():
        if not TRACE.search(text(path)):
            yield f"{shelf.name(path)}: DIB_DEBUG_TRACE changes nothing"
        if not OPTIONS.search(text(path)):
            yield f"{shelf.name(path)}: set -eu, set -o pipefail"


def are_bash_or_python(shelf: Shelf) -> Iterator[str]:
    for path in shelf.files():
        if shebang(path) not in ("", *INTERPRETERS):
            yield f"{shelf.name(path)}: {shebang(path)}"


def have_a_shebang_or_no_executable_bit(shelf: Shelf) -> Iterator[str]:
    for path in shelf.files():
        if bool(shebang(path)) != runnable(path):
            yield f"{shelf.name(path)}: a shebang or executable, not both"


def would_be_run(shelf: Shelf) -> Iterator[str]:
    for path in shelf.hooks():
        if not HOOK.fullmatch(path.name):
            yield f"{shelf.name(path)}: not NN-name"
        if not runnable(path) or not shebang(path):
            yield f"{shelf.name(path)}: a hook, and not executable"


def have_a_name_of_their_own(shelf: Shelf) -> Iterator[str]:
    """Two elements with a file of one name cannot be in one image."""
    owners = collections.defaultdict(list)
    for element in shelf.elements():
        for path in element.glob("*/*"):
            if path.is_file():
                owners[f"{path.parent.name}/{path.name}"].append(element)
    for where, several in owners.items():
        for one, other in itertools.combinations(several, 2):
            # Two that provide the same thing are never in one image.
            if not _provides(one) & _provides(other):
                yield f"{one.name}/{where}: {other.name} has it, too"


def pass_shellcheck(shelf: Shelf) -> Iterator[str]:
    yield from _lines("shellcheck", "--format=gcc", *shelf.shell_scripts())
    yield from _lines(
        "shellcheck", "--format=gcc", "--shell=bash", *shelf.sourced()
    )


def pass_ruff(shelf: Shelf) -> Iterator[str]:
    python = _python(shelf)
    yield from _lines(RUFF, "check", "--quiet", *python)
    yield from _lines(RUFF, "format", "--check", "--quiet", *python)


def run_on_an_older_python(shelf: Shelf) -> Iterator[str]:
    """What goes into the machine is run by the Python that is there."""
    for path in _python(shelf):
        if "static" not in path.relative_to(shelf.path).parts:
            continue
        try:
            tree = ast.parse(path.read_text(), feature_version=OLDEST)
        except SyntaxError as exc:
            yield f"{shelf.name(path)}:{exc.lineno}: {exc.msg}"
            continue
        for line in _unions_of_types(tree):
            yield f"{shelf.name(path)}:{line}: a union that is evaluated"


def only_source_the_environment(shelf: Shelf) -> Iterator[str]:
    for path in shelf.snippets():
        if runnable(path) or shebang(path):
            yield f"{shelf.name(path)}: is sourced, never run"
        if "set -x" in text(path):
            yield f"{shelf.name(path)}: shows values, of passwords too"
        if re.search(r"export \w+=[\"']?\$\(", text(path)):
            yield f"{shelf.name(path)}: export hides that a command failed"


def _python(shelf: Shelf) -> list[pathlib.Path]:
    # Hooks have no suffix to be found by.
    return [
        path
        for path in shelf.files()
        if path.suffix == ".py" or "python" in shebang(path)
    ]


def _unions_of_types(tree: ast.Module) -> Iterator[int]:
    """Where types are joined by a bar, which older Pythons cannot do.

    Annotations are not evaluated in a module that says so.
    """
    later = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for node in tree.body
    )
    for node in ast.walk(tree):
        asked: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            asked = node.args[1:2] if called in CLASS_CHECKS else []
        elif later:
            continue
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            asked = [node.returns]
        elif isinstance(node, ast.arg | ast.AnnAssign):
            asked = [node.annotation]
        for inner in asked:
            if inner and any(
                isinstance(each, ast.BinOp) for each in ast.walk(inner)
            ):
                yield inner.lineno


def _provides(element: pathlib.Path) -> set[str]:
    return set(words(element / "element-provides"))


def _lines(*command: str | pathlib.Path) -> list[str]:
    if not any(isinstance(word, pathlib.Path) for word in command[1:]):
        return []
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    said = (done.stdout + done.stderr).splitlines()
    return said or [str(command)] if done.returncode else []
