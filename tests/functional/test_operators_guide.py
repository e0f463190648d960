"""What the operator's guide names is there: commands, options, files."""

import argparse
from collections.abc import Iterator
import contextlib
import importlib.metadata
import io
import pathlib
import re
import shlex
import unittest

from dib_service.cmd import manage
from dib_service.engine import errors
from tests import options

PAGES = sorted((options.ROOT / "doc/source/admin").glob("*.rst"))

# What a console-block of the guide begins a command with.
PROMPT = re.compile(r"^ +[#$] (.+)$", re.MULTILINE)
INLINE = re.compile(r"``([^`]+)``")

# They say what Nova and Ironic have to be told, which is theirs to check.
OTHERS = ("nova.rst", "ramdisks.rst")

# Options that are tempest's and its plugin's, not the service's.
TEMPEST = ("image_build", "image_build_feature_enabled", "service_available")


class OperatorsGuideTest(unittest.TestCase):
    """Each page below doc/source/admin."""

    def test_dib_manage_takes_every_command(self) -> None:
        found = [words for _, words in lines("dib-manage")]
        self.assertGreater(len(found), 5)
        for words in found:
            with self.subTest(shlex.join(words)):
                accepted(words)

    def test_dib_manage_has_what_sentences_name(self) -> None:
        named = [words for _, words in inline("dib-manage")]
        self.assertGreater(len(named), 3)
        for words in named:
            with self.subTest(shlex.join(words)):
                self.assertTrue(known(manage._parser(), words))

    def test_openstack_has_every_command_of_ours(self) -> None:
        ours = {
            entry.name.replace("_", " ")
            for entry in importlib.metadata.entry_points(
                group="openstack.image_build.v1"
            )
        }
        found = [
            words
            for page, words in (*lines("openstack"), *inline("openstack"))
            if words[:1] == ["image"]
        ]
        self.assertGreater(len(found), 5)
        for words in found:
            with self.subTest(shlex.join(words)):
                self.assertTrue(
                    {" ".join(words[:n]) for n in (2, 3, 4)} & ours, words
                )

    def test_every_option_is_one(self) -> None:
        found = set()
        for page in PAGES:
            if page.name in OTHERS:
                continue
            text = page.read_text()
            found |= {
                (page.name, group, name)
                for group, name in re.findall(
                    r"``\[(\w+)\]\s+(\w+)[^`]*``", text
                )
            }
        self.assertGreater(len(found), 20)
        for page, group, name in found:
            with self.subTest(page, option=f"[{group}] {name}"):
                if group in TEMPEST:
                    self.assertIn(name, tempest_options())
                else:
                    options.known(group, name)

    def test_every_file_of_ours_is_installed_from_one(self) -> None:
        found = set()
        for page in PAGES:
            found |= set(
                re.findall(
                    r"(?<![\w/])(?:share|etc)/dib-service/[\w./-]*\w",
                    page.read_text(),
                )
            )
        self.assertGreater(len(found), 5)
        for name in found:
            path = name.removeprefix("share/dib-service/")
            if name.startswith("share/"):
                path = f"etc/{path}"
            with self.subTest(name):
                self.assertTrue((options.ROOT / path).exists(), path)

    def test_every_code_of_a_fault_is_one(self) -> None:
        page = (PAGES[0].parent / "troubleshooting.rst").read_text()
        row = page.partition("``turn: operator``")[2].partition("* -")[0]
        named = re.findall(r"``([a-z-]+)``\s\(", row)
        self.assertGreater(len(named), 3)
        self.assertLessEqual(set(named), codes())

    def test_every_message_is_said_somewhere(self) -> None:
        page = (PAGES[0].parent / "troubleshooting.rst").read_text()
        quoted = re.findall(r'"([a-z][^"]{8,}?)[…"]', page)
        self.assertGreater(len(quoted), 5)
        # A sentence may be broken over lines of either.
        code = re.sub(r'"\s+f?"', "", source())
        # SQLite's own, and oslo's.
        others = ("database is locked",)
        for words in quoted:
            message = re.sub(r"\s+", " ", words).strip(" :…")
            with self.subTest(message):
                self.assertTrue(message in others or message in code)


def lines(program: str) -> Iterator[tuple[str, list[str]]]:
    """The arguments of each command of that program, with its page."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in PROMPT.findall(text):
            words = shlex.split(line)
            for place, word in enumerate(words):
                if pathlib.Path(word).name == program:
                    yield page.name, words[place + 1 :]
                    break


def inline(program: str) -> Iterator[tuple[str, list[str]]]:
    """The same of what stands in a sentence."""
    for page in PAGES:
        for text in INLINE.findall(page.read_text()):
            words = text.replace("…'", "").split()
            if words[0] == program:
                yield page.name, words[1:]


def accepted(words: list[str]) -> None:
    """Return if ``dib-manage`` would run this.

    :raises AssertionError: with its own words.
    """
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            manage._parser().parse_args(words)
        except SystemExit as exc:
            raise AssertionError(said.getvalue()) from exc


def known(parser: argparse.ArgumentParser, words: list[str]) -> bool:
    """Whether the parser has these words, as far as they go."""
    verbs = [
        action.choices
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    if not verbs or not words:
        return True
    return words[0] in verbs[0] and known(verbs[0][words[0]], words[1:])


def codes() -> set[str]:
    """The codes of the engine's faults."""
    return {
        found.code
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, errors.EngineError)
    }


def tempest_options() -> set[str]:
    """Those of the plugin, which cannot be imported without tempest."""
    text = (options.ROOT / "dib_service/tempest_plugin/config.py").read_text()
    return set(re.findall(r'Opt\(\s*"(\w+)"', text))


def source() -> str:
    """All of the service's code."""
    return "\n".join(
        file.read_text()
        for file in (options.ROOT / "dib_service").rglob("*.py")
    )
