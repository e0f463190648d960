"""diskimage-builder FILE.yaml: images that are described in a file.

A file is a list of entries, each a mapping whose keys stand for options of
disk-image-create. Entries of one imagename are one image.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import dataclasses
import os
from pathlib import Path
import shlex
import sys
from typing import Any

import yaml

from dib_service.engine import errors, process, redaction, spec
from dib_service.engine.commands import console

Entry = Mapping[str, Any]

ARCHITECTURES = (
    *("aarch64", "amd64", "arm64", "armhf", "powerpc", "ppc64", "ppc64el"),
    *("ppc64le", "s390x", "x86_64"),
)

# What an entry is for that names no image, and neither does one before it.
FIRST_NAME = "image"

# What a command has of our environment in any case.
KEPT = ("HOME", "PATH")

RUN = (
    "import sys; sys.path.insert(0, {package!r}); "
    "from dib_service.engine.commands import image_create; "
    "sys.exit(image_create.run(sys.argv[1], sys.argv[2:]))"
)


def run(name: str, words: Sequence[str]) -> int:
    """Build all images, one after another; 0 if all of them came to be."""
    options = _parser(name).parse_args(words)
    try:
        images = read(options.files)
    except errors.SpecError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 1
    failed = {}
    for image, entry in images.items():
        command = Command.of(entry)
        print(command, file=sys.stderr, flush=True)
        if options.dry_run:
            continue
        try:
            code = command.run()
        except KeyboardInterrupt:
            print(f"{name}: interrupted at {image}", file=sys.stderr)
            return console.INTERRUPTED
        if code:
            failed[image] = code
            if options.stop_on_failure:
                break
    for image, code in failed.items():
        print(
            f"{name}: image {image} failed with exit code {code}",
            file=sys.stderr,
        )
    return 1 if failed else 0


def read(files: Sequence[Path]) -> Mapping[str, Entry]:
    """The images that the files describe, by name, in their order.

    :raises errors.SpecError: naming file, entry and key.
    """
    images: dict[str, dict[str, Any]] = {}
    name = FIRST_NAME
    for file in files:
        for number, entry in enumerate(_entries(file), 1):
            _check(entry, f"{file}: entry {number}")
            name = entry.get("imagename", name)
            _merge(images.setdefault(name, {}), entry)
    return images


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line with what it adds to the environment.

    With ``clear`` that is all it has, but for what is ``KEPT``: the command's
    own ``-c`` would clear away what the entry says as well.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str]
    clear: bool = False

    @classmethod
    def of(cls, entry: Entry) -> "Command":
        """The command that builds what an entry describes."""
        program = "disk-image-create"
        if entry.get("ramdisk"):
            program = "ramdisk-image-create"
        words = [program]
        for key, rule in KEYS.items():
            if key in entry:
                words += rule.words(entry[key])
        return cls(
            (*words, *entry.get("elements", ())),
            entry.get("environment", {}),
            entry.get("clear", False),
        )

    def run(self) -> int:
        """Its exit code."""
        package = Path(__file__).resolve().parents[3]
        start = RUN.format(package=str(package))
        return process.foreground(
            (sys.executable, "-I", "-c", start, *self.words),
            env={**self._around(), **self.environment},
        )

    def _around(self) -> Mapping[str, str]:
        return {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or not self.clear
        }

    def __str__(self) -> str:
        settings = [
            f"{name}={_shown(name, value)}"
            for name, value in self.environment.items()
        ]
        if self.clear:
            kept = [f'{name}="${name}"' for name in KEPT]
            settings = ["env -i", *kept, *settings]
        return " ".join((*settings, shlex.join(self.words)))


def _shown(name: str, value: str) -> str:
    """A variable's value as it may stand in a log."""
    if redaction.is_secret(name):
        return redaction.INSTEAD
    return shlex.quote(redaction.without_passwords(value))


@dataclasses.dataclass(frozen=True)
class Key:
    """What a key's value must be, and the option that it becomes."""

    expected: str
    fits: Callable[[Any], bool]
    option: str = ""
    value: Callable[[Any], str] | None = None

    def words(self, given: Any) -> list[str]:
        """The key on a command line."""
        if not self.option:
            return []
        if self.value is None:
            # A flag; or a number of times.
            return [self.option] * int(given)
        text = self.value(given)
        return [self.option, text] if text else []


def _text(option: str) -> Key:
    return Key("a string", lambda v: isinstance(v, str), option, str)


def _flag(option: str = "") -> Key:
    return Key("true or false", lambda v: isinstance(v, bool), option)


def _number(option: str) -> Key:
    return Key(
        "a number of 1 or more",
        lambda v: type(v) in (int, float) and v >= 1,
        option,
        str,
    )


def _one_of(option: str, choices: Sequence[object]) -> Key:
    return Key(
        f"one of {', '.join(map(str, choices))}",
        lambda v: not isinstance(v, bool) and v in choices,
        option,
        str,
    )


def _list(option: str, choices: Sequence[str] = ()) -> Key:
    expected = "a list of strings"
    if choices:
        expected = f"a list out of {', '.join(choices)}"
    return Key(
        expected,
        lambda v: (
            isinstance(v, list)
            and all(isinstance(each, str) for each in v)
            and (not choices or all(each in choices for each in v))
        ),
        option,
        ",".join,
    )


def _mapping(option: str = "") -> Key:
    return Key(
        "a mapping of strings to strings",
        lambda v: (
            isinstance(v, dict)
            and all(
                isinstance(each, str) for pair in v.items() for each in pair
            )
        ),
        option,
        lambda v: ",".join(f"{name}={each}" for name, each in v.items()),
    )


KEYS: Mapping[str, Key] = {
    "imagename": _text("-o"),
    "arch": _one_of("-a", ARCHITECTURES),
    "types": _list("-t", spec.FORMATS),
    "environment": _mapping(),
    "ramdisk": _flag(),
    "debug-trace": dataclasses.replace(_one_of("-x", (0, 1, 2)), value=None),
    "uncompressed": _flag("-u"),
    "clear": _flag(),
    "logfile": _text("--logfile"),
    "checksum": _flag("--checksum"),
    "image-size": _number("--image-size"),
    "image-extra-size": _number("--image-extra-size"),
    "image-cache": _text("--image-cache"),
    "max-online-resize": _number("--max-online-resize"),
    "min-tmpfs": _number("--min-tmpfs"),
    "mkfs-journal-size": _number("--mkfs-journal-size"),
    "mkfs-options": _text("--mkfs-options"),
    "no-tmpfs": _flag("--no-tmpfs"),
    "offline": _flag("--offline"),
    "qemu-img-options": _mapping("--qemu-img-options"),
    "root-label": _text("--root-label"),
    "ramdisk-element": _text("--ramdisk-element"),
    "install-type": _one_of("--install-type", ("source", "package")),
    "docker-target": _text("--docker-target"),
    "packages": _list("-p"),
    "skip-base": _flag("-n"),
    "elements": _list(""),
}


def _entries(file: Path) -> list[Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise errors.SpecError(str(file), exc.strerror or "?") from exc
    except (ValueError, yaml.YAMLError) as exc:
        problem = " ".join(str(exc).split())
        raise errors.SpecError(str(file), f"not YAML: {problem}") from exc
    if not isinstance(found, list):
        raise errors.SpecError(str(file), "expected a list of images")
    return found


def _check(entry: Any, where: str) -> None:
    if not isinstance(entry, dict):
        raise errors.SpecError(where, "expected a mapping")
    if isinstance(entry.get("imagename"), str):
        where += f" ({entry['imagename']})"
    for key, value in entry.items():
        if key not in KEYS:
            raise errors.SpecError(f"{where}: {key}", "no such key")
        if not KEYS[key].fits(value):
            raise errors.SpecError(
                f"{where}: {key}",
                f"expected {KEYS[key].expected}, found {value!r}",
            )


def _merge(image: dict[str, Any], entry: Entry) -> None:
    """Lists grow, mappings are updated, everything else is replaced."""
    for key, value in entry.items():
        if isinstance(value, list):
            image[key] = [*image.get(key, ()), *value]
        elif isinstance(value, dict):
            image[key] = {**image.get(key, {}), **value}
        else:
            image[key] = value


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Keys of an entry:\n"
        + "\n".join(f"  {key}: {rule.expected}" for key, rule in KEYS.items()),
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.yaml")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only print the commands, to stderr",
    )
    parser.add_argument(
        "--stop-on-failure",
        action="store_true",
        help="do not go on with the next image when one fails",
    )
    return parser
