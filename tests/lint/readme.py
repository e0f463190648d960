"""A README says what an element is for, which knobs it has, and how to ask.

A knob is a variable of the environment that a script of the element reads and
that is nobody else's: not the engine's, and not in the README of an element
that it depends on.
"""

from collections.abc import Iterator
import pathlib
import re

from tests.lint.shelf import Shelf, code, words

# Read with a default, or without one; a shell's and Python's way.
DEFAULTED = re.compile(r"\$\{(?!BASH_|VERSION_)([A-Z][A-Z0-9]*_\w+):?[-+=?]")
PLAIN = re.compile(r"\$\{?!?(DIB_\w+)")
PYTHON = re.compile(r"environ(?:\.get)?[\[(]\s*[\"'](DIB_\w+)[\"']")
# Made by the element itself, and not of what somebody else says it is.
MADE = re.compile(r"^\s*export (\w+)=(?!.*\{\1\W)", re.MULTILINE)

# Set by the engine or by the base distribution's element, for all alike.
NOT_KNOBS = frozenset(
    {
        "DIB_ARGS",
        "DIB_BLOCK_DEVICE",
        "DIB_BLOCK_DEVICE_PARAMS_YAML",
        "DIB_BOOT_LABEL",
        "DIB_DEBUG_TRACE",
        "DIB_DEFAULT_INSTALLTYPE",
        "DIB_ENV",
        "DIB_IMAGE_CACHE",
        "DIB_INIT_SYSTEM",
        "DIB_LOCKFILES",
        "DIB_MANIFEST_IMAGE_DIR",
        "DIB_MOUNTPOINTS",
        "DIB_OFFLINE",
        "DIB_PYTHON_EXEC",
        "DIB_RELEASE",
        "DIB_ROOT_FSTYPE",
        "DIB_ROOT_LABEL",
        "DISTRO_NAME",
        "EFI_BOOT_DIR",
        "IMAGE_NAME",
        "TARGET_ROOT",
        "TMP_DIR",
        "TMP_HOOKS_PATH",
        "TMP_MOUNT_PATH",
    }
)
# Read by many, and a knob of whoever has a default for it.
RELEASE = re.compile(r"export (DIB_RELEASE)=.?\$\{DIB_RELEASE:-\S")
# Its entry says what it is when nobody sets it.
SAYS_DEFAULT = re.compile(r"(?i)default|has to be (?:set|one)")


def is_titled(shelf: Shelf) -> Iterator[str]:
    """Its own name, an empty line, a sentence."""
    for element in shelf.elements():
        lines = words(element / "README.rst")
        rule = "=" * len(element.name)
        if lines[:4] != [rule, element.name, rule, ""] or not lines[4:5]:
            yield f"{element.name}/README.rst: title, empty line, sentence"


def has_an_example(shelf: Shelf) -> Iterator[str]:
    """How it is asked for, or what an author writes."""
    for element in shelf.elements():
        said = _said(element)
        _, _, example = said.partition("\nExample")
        if not example or ".. code-block::" not in example:
            yield f"{element.name}/README.rst: no example in a code block"


def names_every_knob(shelf: Shelf) -> Iterator[str]:
    """With what it is by default."""
    for element in shelf.elements():
        for knob in sorted(_read(element)):
            if not _explained(knob, _said(element)) and not any(
                _explained(knob, _said(shelf.path / other))
                for other in _depends(shelf, element)
            ):
                yield f"{element.name}/README.rst: {knob}, and its default"


def _said(element: pathlib.Path) -> str:
    readme = element / "README.rst"
    return readme.read_text() if readme.exists() else ""


def _read(element: pathlib.Path) -> set[str]:
    """The variables that come from outside of the element."""
    found: set[str] = set()
    own: set[str] = set()
    release: set[str] = set()
    for path in element.rglob("*"):
        if path.is_file() and path.name != "README.rst":
            said = code(path)
            for pattern in (DEFAULTED, PLAIN, PYTHON):
                found.update(pattern.findall(said))
            own.update(MADE.findall(said))
            release.update(RELEASE.findall(said))
    return (found - own - NOT_KNOBS) | release


def _explained(knob: str, said: str) -> bool:
    """Whether it has an entry of its own, or stands in that of others."""
    for entry in re.finditer(
        r"^(\S.*\n)((?:[ ]+\S.*\n|\n(?=[ ]))+)", said, re.MULTILINE
    ):
        named = re.search(rf"\b{knob}\b", entry[1])
        if named and SAYS_DEFAULT.search(entry[2]):
            return True
    return False


def _depends(shelf: Shelf, element: pathlib.Path) -> set[str]:
    """All the elements that come with it."""
    found: set[str] = set()
    left = words(element / "element-deps")
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += words(shelf.path / name / "element-deps")
    return found
