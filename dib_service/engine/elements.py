"""Elements as they lie on disk, and what can be known without running them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
import dataclasses
import hashlib
import os
from pathlib import Path
import re
import stat

from dib_service.engine import catalogue, errors, installed, spec

# dib-run-parts' rule: a dot in the name, and the hook silently never runs.
HOOK_NAME = re.compile(r"\A[0-9A-Za-z_-]+\Z")

# Not part of what an element does to an image.
EXCLUDED = frozenset({"__pycache__", "tests"})


@dataclasses.dataclass(frozen=True)
class Found:
    """An element and the directory it was read from.

    ``overrides`` are the directories of its name later in the path.
    """

    element: catalogue.Element
    directory: Path
    overrides: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return self.element.name

    def warnings(self) -> Iterator[str]:
        """What its author or its user may not have meant."""
        for other in self.overrides:
            yield f"element {self.directory} overrides {other}"
        for hook, reason in ignored(self.directory):
            yield f"{self.name}: {hook} {reason}: it will not run"


def choose(
    wanted: spec.BuildSpec,
    path: Iterable[Path],
    warn: Callable[[str], object],
) -> tuple[Found, ...]:
    """The elements that make the image, from the first place they are in.

    :raises errors.ElementChanged: one is not what ``wanted`` pins.
    :raises errors.EngineError: what ``catalogue.resolve`` raises.
    """
    shelf = read(path)
    # Before anything is resolved: what is missing here was there when the
    # build was asked for, and is no fault of who asked.
    _check_pinned(wanted.digests, wanted.digests, shelf)
    chosen = catalogue.resolve(
        wanted.elements,
        {name: found.element for name, found in shelf.items()},
        skip_base=wanted.skip_base,
    )
    found = tuple(shelf[element.name] for element in chosen)
    if wanted.digests:
        _check_pinned([each.name for each in found], wanted.digests, shelf)
    for each in found:
        for warning in each.warnings():
            warn(warning)
    return found


def _check_pinned(
    names: Iterable[str],
    pinned: Mapping[str, str],
    shelf: Mapping[str, Found],
) -> None:
    for name in names:
        here = shelf[name].element.digest if name in shelf else None
        if here != pinned.get(name):
            raise errors.ElementChanged(name, pinned.get(name), here)


def read(path: Iterable[Path]) -> Mapping[str, Found]:
    """All elements of the directories in path; earlier ones win.

    :raises errors.ElementPathError: one of them is not a directory.
    """
    shelf: dict[str, Found] = {}
    for place in path:
        if not place.is_dir():
            raise errors.ElementPathError(place)
        for directory in sorted(place.iterdir()):
            # The name is that of what a symlink points to.
            real = directory.resolve()
            if not real.is_dir() or not named_like_an_element(real.name):
                continue
            if real.name not in shelf:
                shelf[real.name] = Found(read_one(real), real)
            elif real != shelf[real.name].directory:
                first = shelf[real.name]
                shelf[real.name] = dataclasses.replace(
                    first, overrides=(*first.overrides, real)
                )
    return shelf


def read_one(directory: Path) -> catalogue.Element:
    """The element in directory."""
    return catalogue.Element(
        name=directory.name,
        digest=digest(directory),
        dependencies=_words(directory / "element-deps"),
        provides=_words(directory / "element-provides"),
        summary=_summary(directory),
        hooks={
            phase: hooks
            for phase in catalogue.PHASES
            if (hooks := runnable(directory / phase))
        },
    )


def named_like_an_element(name: str) -> bool:
    return name not in EXCLUDED and bool(spec.ELEMENT_NAME.fullmatch(name))


def runnable(
    directory: Path, pattern: re.Pattern[str] = HOOK_NAME
) -> tuple[str, ...]:
    """The names in a phase's directory that will run, in their order."""
    if not directory.is_dir():
        return ()
    names = [
        entry.name
        for entry in directory.iterdir()
        if pattern.search(entry.name)
        and entry.is_file()
        and os.access(entry, os.X_OK)
    ]
    return tuple(sorted(names, key=catalogue.run_order))


def ignored(directory: Path) -> Iterator[tuple[str, str]]:
    """The files in an element's phases that look like hooks but never run,
    and why."""
    for phase in catalogue.PHASES:
        if not (directory / phase).is_dir():
            continue
        for entry in sorted((directory / phase).iterdir()):
            reason = _why_ignored(entry)
            if reason:
                yield f"{phase}/{entry.name}", reason


def _why_ignored(path: Path) -> str | None:
    name = path.name
    if path.is_symlink() and not path.exists():
        return f"is a symlink to {path.readlink()}, which is not there"
    # What hooks read lies beside them: only a hook has a number or is a
    # program.
    executable = os.access(path, os.X_OK)
    if not path.is_file() or not (
        executable or name[0].isdigit() or _is_script(path)
    ):
        return None
    if name.startswith("."):
        return "is hidden by the dot that its name begins with"
    if "." in name:
        return "has a dot in its name"
    if not HOOK_NAME.search(name):
        return "has more in its name than letters, digits, '-' and '_'"
    return None if executable else "is not executable"


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def carried(entry: Path) -> bool:
    """Whether a directory in an element is a part of it: tests are not, nor
    what a version control system keeps there."""
    return entry.name not in EXCLUDED and not entry.name.startswith(".")


def digest(directory: Path) -> str:
    """The sha256 of a tree: names, kinds, executable bits and contents.

    Other mode bits depend on the umask of whoever made the checkout, and
    would make one element two.
    """
    total = hashlib.sha256()
    for path in _walk(directory):
        # Fetching again changes it, and nothing of it comes along.
        if path.relative_to(directory).parts[0] == ".git":
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            kind, content = b"l", os.fsencode(path.readlink())
        elif stat.S_ISDIR(mode):
            kind, content = b"d", b""
        else:
            kind = b"x" if mode & stat.S_IXUSR else b"f"
            content = path.read_bytes()
        name = os.fsencode(path.relative_to(directory))
        for part in (kind, name, hashlib.sha256(content).digest()):
            total.update(b"%d:" % len(part))
            total.update(part)
    return total.hexdigest()


def default_path() -> tuple[Path, ...]:
    """Where the elements that came with this package are."""
    place = installed.directory("elements")
    return (place,) if place else ()


def parse_path(text: str) -> tuple[Path, ...]:
    """The directories of a colon-separated list, as ELEMENTS_PATH is."""
    return tuple(Path(part).resolve() for part in text.split(":") if part)


def _walk(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _words(listing: Path) -> tuple[str, ...]:
    if not listing.is_file():
        return ()
    lines = (
        line.partition("#")[0].strip()
        for line in listing.read_text().splitlines()
    )
    return tuple(dict.fromkeys(line for line in lines if line))


def _summary(directory: Path) -> str:
    """The first sentence of the README, without its title."""
    readme = directory / "README.rst"
    if not readme.is_file():
        return ""
    lines = [
        line.strip()
        for line in readme.read_text(errors="replace").splitlines()
    ]
    title = lines[0] if lines else ""
    for number, line in enumerate(lines):
        # Comments and directives are no sentences.
        if line and not _is_rule(line) and not line.startswith(".."):
            below = lines[number + 1] if number + 1 < len(lines) else ""
            if _is_rule(below):
                title = line
                continue
            paragraph = " ".join(_paragraph(lines[number:]))
            return re.split(r"(?<=[.!?])\s", paragraph)[0][:200]
    return title


def _is_rule(line: str) -> bool:
    return bool(re.fullmatch(r"([=\-~^#*+\"'`])\1+", line))


def _paragraph(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line:
            return
        yield line
