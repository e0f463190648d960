"""The hooks of the chosen elements: gathered, given an environment, run."""

from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
import contextlib
import dataclasses
from pathlib import Path
import re
import shlex
import shutil
import sys
import time
from typing import Self

from dib_service.engine import (
    breaks,
    elements,
    errors,
    events,
    mounts,
    process,
)

LIB = Path(__file__).parent / "lib"

# Where the gathered hooks are seen from inside the chroot.
IN_TARGET = Path("/tmp/in_target.d")  # noqa: S108

# Phases that are told where the tree is by this name, and only they.
TARGET_ROOT_PHASES = frozenset({"root.d", "block-device.d", "cleanup.d"})

# How a hook of block-device.d once said that it has made the disk.
LEGACY = re.compile(r"\s*(?:export\s+)?IMAGE_BLOCK_DEVICE=")

# What a shell adds to an environment by itself.
SHELL_NOISE = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})

# What is elsewhere inside than outside.
INSIDE_ENV: Mapping[str, str] = {
    "HOME": "/root",
    "LOGNAME": "root",
    "PATH": process.BASE_ENV["PATH"],
    "PWD": "/",
    "USER": "root",
}

# The way to where hooks outside run, as "chroot ROOT" is inside.
OUTSIDE = ("/usr/bin/env",)

# What names files of the host, or makes its loader name some.
OUTSIDE_ONLY = re.compile(
    r"BASH_FUNC_.*|LD_.*|PS4|PYTHONHOME|PYTHONPATH|TMPDIR|VIRTUAL_ENV"
)

# A variable that says which names hooks may have, for dib-run-parts too.
PATTERN = "RUN_PARTS_REGEX"

SOURCER = "dib-environment"
RUNNER = "dib-run-parts"

# What DIB_PYTHON_EXEC is: ours, which elements find a few modules with.
PYTHON = "dib-python3"
INSTALL_TYPE = "environment.d/11-dib-install-type.bash"


@dataclasses.dataclass(frozen=True)
class Tree:
    """Hooks in one directory, and what they are run with.

    ``origins`` says which element a file came from, by its path below the
    directory. Hooks add to the directory while the build goes on.
    ``prepare`` is called in each hook's process before it starts, and
    ``learn`` with the variables that hooks are given.
    """

    directory: Path
    origins: Mapping[str, str]
    environment: Mapping[str, str]
    cwd: Path
    say: events.Say
    prepare: process.Prepare | None = None
    learn: Callable[[Mapping[str, str]], object] = lambda environment: None
    stops: breaks.Breaks = dataclasses.field(default_factory=breaks.Breaks)

    def exporting(self, more: Mapping[str, str]) -> Self:
        """The same hooks with more in their environment."""
        return dataclasses.replace(
            self, environment={**self.environment, **more}
        )

    def has(self, phase: str) -> bool:
        """Whether a hook of the phase will run."""
        return bool(self._names(phase))

    def run_outside(self, phase: str, root: Path) -> None:
        """Run a phase on the builder, beside the tree.

        :raises errors.HookFailed: one of its hooks did; the rest never ran.
        """
        given = {"PWD": str(self.cwd)}
        if phase in TARGET_ROOT_PHASES:
            given["TARGET_ROOT"] = str(root)
        with events.phase(self.say, phase):
            # env, because like a shell it also starts what has no "#!".
            self._run(phase, OUTSIDE, self.directory, given)

    def run_inside(self, phase: str, root: Path) -> None:
        """Run a phase in the chroot.

        :raises errors.HookFailed: one of its hooks did; the rest never ran.
        """
        with (
            events.phase(self.say, phase),
            _seen_inside(self.directory, root),
        ):
            self._inside()._run(
                phase, ("chroot", str(root)), IN_TARGET, INSIDE_ENV
            )

    def install(self, packages: Sequence[str], root: Path) -> None:
        """Let the image's own ``install-packages`` install packages.

        :raises errors.HookFailed: it did not find or could not install one.
        """
        phase, command = "packages", "install-packages"
        entering = ("chroot", str(root))
        with (
            events.phase(self.say, phase),
            _seen_inside(self.directory, root),
        ):
            environment = self._inside()._sourced(
                phase, entering, IN_TARGET, INSIDE_ENV
            )
            words = (*entering, command, *packages)
            self._run_hook(phase, command, words, environment)

    def add_install_type(self) -> None:
        """Let environment.d say from now on what is installed from where."""
        snippet = self.directory / INSTALL_TYPE
        snippet.parent.mkdir(exist_ok=True)
        # What was asked for is a variable already, and no shell's to read.
        snippet.write_text(
            "export DIB_DEFAULT_INSTALLTYPE="
            '"${DIB_DEFAULT_INSTALLTYPE:-source}"\n'
        )

    def _inside(self) -> Self:
        """The same hooks without what only means something outside."""
        kept = {
            name: value
            for name, value in self.environment.items()
            if not OUTSIDE_ONLY.fullmatch(name)
        }
        return dataclasses.replace(self, environment=kept)

    def _names(self, phase: str) -> tuple[str, ...]:
        given = self.environment.get(PATTERN)
        try:
            pattern = re.compile(given) if given else elements.HOOK_NAME
        except re.error as exc:
            raise errors.SpecError(PATTERN, str(exc)) from exc
        return elements.runnable(self.directory / phase, pattern)

    def _run(
        self,
        phase: str,
        entering: tuple[str, ...],
        seen_at: Path,
        given: Mapping[str, str],
    ) -> None:
        with self._with_breaks(phase, entering, given):
            names = self._names(phase)
            if not names:
                return
            environment = self._sourced(phase, entering, seen_at, given)
            for name in names:
                words: list[process.Word] = [*entering, seen_at / phase / name]
                self._run_hook(phase, name, words, environment)

    @contextlib.contextmanager
    def _with_breaks(
        self,
        phase: str,
        entering: tuple[str, ...],
        given: Mapping[str, str],
    ) -> Iterator[None]:
        def reach(point: str) -> None:
            self.stops.reach(
                point,
                OUTSIDE if self.stops.outside else entering,
                environment={**self.environment, **given},
                cwd=self.cwd,
                tell=lambda text: self.say("line", text=text, phase=phase),
            )

        name = phase.removesuffix(".d")
        reach(f"before-{name}")
        try:
            yield
        except errors.EngineError:
            # What failed first is what there is to be said in the end.
            with contextlib.suppress(errors.BreakFailed):
                reach(breaks.AFTER_ERROR)
            raise
        reach(f"after-{name}")

    def _run_hook(
        self,
        phase: str,
        name: str,
        words: Sequence[process.Word],
        environment: Mapping[str, str],
    ) -> None:
        facts = {
            "phase": phase,
            "element": self._origin(phase, name),
            "hook": name,
        }
        self.say("hook", state="start", **facts)
        started = time.monotonic()
        failure = None
        legacy = False

        def hear(text: str) -> None:
            nonlocal legacy
            self.say("line", text=text, **facts)
            legacy |= phase == "block-device.d" and bool(LEGACY.match(text))

        try:
            process.stream(
                words,
                hear,
                env=environment,
                cwd=self.cwd,
                prepare=self.prepare,
            )
        except errors.CommandError as exc:
            failure = exc
        self.say(
            "hook",
            state="end",
            seconds=round(time.monotonic() - started, 3),
            exit_code=failure.exit_code if failure else 0,
            **facts,
        )
        if failure:
            raise errors.HookFailed(cause=failure, **facts) from failure
        if legacy:
            raise errors.LegacyBlockDevice(**facts)

    def _sourced(
        self,
        phase: str,
        entering: tuple[str, ...],
        seen_at: Path,
        given: Mapping[str, str],
    ) -> Mapping[str, str]:
        """The environment after environment.d had its say."""
        environment = {**self.environment, **given}
        snippets = self.directory / "environment.d"
        if not snippets.is_dir() or not any(snippets.iterdir()):
            return environment
        # What they say may show what is only then known to be a secret.
        said: list[str] = []
        try:
            answer = process.run(
                (*entering, seen_at / SOURCER, seen_at / "environment.d"),
                env=environment,
                cwd=self.cwd,
                on_stderr=said.append,
            )
        except errors.CommandError as exc:
            self._check_shell(phase, entering)
            # Not all of it: what it might show was not learned of.
            for text in exc.last_lines:
                self.say("line", text=text, phase=phase)
            raise errors.EnvironmentFailed(phase, exc) from exc
        pairs = (entry.partition("=") for entry in answer.split("\0") if entry)
        found = {
            name: value for name, _, value in pairs if name not in SHELL_NOISE
        }
        self.learn(found)
        for text in said:
            self.say("line", text=text, phase=phase)
        return {"PWD": environment["PWD"], **found}

    def _check_shell(self, phase: str, entering: tuple[str, ...]) -> None:
        try:
            process.run((*entering, "/bin/bash", "-c", ":"))
        except errors.CommandError as exc:
            name = next(iter(self._names(phase)), "")
            raise errors.NoShell(phase, name, exc) from exc

    def _origin(self, phase: str, name: str) -> str:
        path = self.directory / phase / name
        # Hooks are also made while the build runs, as links to what an
        # element carries elsewhere.
        real = path.resolve()
        for each in (path, real):
            with contextlib.suppress(ValueError):
                relative = str(each.relative_to(self.directory))
                if relative in self.origins:
                    return self.origins[relative]
        return ""


def gather(
    chosen: Iterable[elements.Found], directory: Path
) -> Mapping[str, str]:
    """Merge what the elements carry into one directory; who brought what.

    :raises errors.DuplicateHook: two bring the same file for one phase.
    """
    directory.mkdir(parents=True)
    origins: dict[str, str] = {}
    for found in chosen:
        for entry in sorted(found.directory.iterdir()):
            if entry.is_dir() and elements.carried(entry):
                _merge(entry, directory / entry.name, found.name, origins)
            elif entry.is_file() and entry.suffix != ".pyc":
                # Each element has a README: the last one stays.
                _copy(entry, directory / entry.name)
    _add_our_own(directory)
    return origins


def _merge(
    source: Path, target: Path, element: str, origins: dict[str, str]
) -> None:
    target.mkdir(exist_ok=True)
    for entry in sorted(source.iterdir()):
        if entry.name.startswith("."):
            continue
        place = target / entry.name
        relative = f"{target.name}/{entry.name}"
        if relative in origins and not (entry.is_dir() and place.is_dir()):
            raise errors.DuplicateHook(relative, (origins[relative], element))
        origins.setdefault(relative, element)
        if entry.is_dir() and not entry.is_symlink():
            # Deeper down, files of the same name overwrite each other, as
            # two elements' static/etc may well.
            shutil.copytree(
                entry,
                place,
                symlinks=True,
                dirs_exist_ok=True,
                copy_function=_copy,
            )
            for below in entry.rglob("*"):
                inner = below.relative_to(source.parent)
                origins[str(inner)] = element
        else:
            _copy(entry, place)


def _copy(source: str | Path, target: str | Path) -> None:
    shutil.copy2(source, target, follow_symlinks=False)


def _add_our_own(directory: Path) -> None:
    for name in (SOURCER, RUNNER):
        _program(directory / name, (LIB / name).read_text())
    modules = shlex.quote(f"{LIB / 'python'}")
    _program(
        directory / PYTHON,
        "#!/bin/sh\n"
        f"PYTHONPATH={modules}${{PYTHONPATH:+:$PYTHONPATH}}\n"
        "export PYTHONPATH\n"
        f'exec {shlex.quote(sys.executable)} "$@"\n',
    )


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@contextlib.contextmanager
def _seen_inside(directory: Path, root: Path) -> Iterator[None]:
    """Show the hooks, read-only, to what runs in the chroot."""
    if not (root / "tmp").exists():
        mounts.place(root, "tmp").chmod(0o1777)
    place = mounts.place(root, str(IN_TARGET.relative_to("/")))
    with mounts.mounted(str(directory), place, "-o", "bind,ro"):
        yield
    place.rmdir()
