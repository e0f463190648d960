"""What can go wrong in a build, grouped by whose turn it is."""

from collections.abc import Iterable, Mapping
import errno
import os
import shlex
from typing import Any, ClassVar

# How many of a failed program's lines travel with its error.
LAST_LINES = 20

NO_SPACE = "No space left on device"


class EngineError(Exception):
    """A build cannot go on; ``facts`` say what it was about.

    ``turn`` names who has to act: ``caller`` (the request is wrong),
    ``element`` (an element's author), ``operator`` (the builder host or what
    it reaches). ``code`` is a stable word for programs.
    """

    turn: ClassVar[str] = "operator"
    code: ClassVar[str] = "engine"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, Any] = facts

    def to_dict(self) -> dict[str, Any]:
        """The fault as it travels in an event: facts beside the sentence."""
        return {
            "code": self.code,
            "turn": self.turn,
            "message": self.message,
            **self.facts,
        }


class SpecError(EngineError):
    """A field of the request is wrong."""

    turn = "caller"
    code = "spec"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", field=field)


class ElementNotFound(EngineError):
    """An element that was asked for, or depended on, does not exist."""

    turn = "caller"
    code = "element-not-found"

    def __init__(self, name: str, needed_by: str | None = None) -> None:
        who = f" (needed by {needed_by})" if needed_by else ""
        super().__init__(f"element '{name}' not found{who}", element=name)


class AlreadyProvided(EngineError):
    """Two elements provide the same thing, or one was asked for twice."""

    turn = "caller"
    code = "already-provided"

    def __init__(self, name: str, providers: tuple[str, ...]) -> None:
        super().__init__(
            f"'{name}' is provided by more than one element: "
            f"{', '.join(providers)}; ask for one of them",
            provides=name,
            elements=list(providers),
        )


class NoOperatingSystem(EngineError):
    """No element of the image provides ``operating-system``."""

    turn = "caller"
    code = "no-operating-system"

    def __init__(self) -> None:
        super().__init__(
            "no base distribution element: include one that provides "
            "'operating-system', for example debian"
        )


class CommandError(EngineError):
    """A program that we started failed.

    ``exit_code`` is negative for a signal, as in ``subprocess``; ``None``
    when the program never started. ``stderr`` and ``last_lines`` keep the
    end of what it said.
    """

    code = "command"

    def __init__(
        self,
        words: Iterable[str],
        exit_code: int | None,
        *,
        stdout: str = "",
        stderr: str = "",
        last_lines: Iterable[str] = (),
        problem: str = "",
    ) -> None:
        self.words = tuple(words)
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr
        self.last_lines = list(last_lines)
        if not self.last_lines:
            self.last_lines = stderr.splitlines()[-LAST_LINES:]
        said = f": {self.last_lines[-1]}" if self.last_lines else ""
        super().__init__(
            f"'{_shown(self.words)}' {problem or _ending(exit_code)}{said}",
            words=list(self.words),
            exit_code=exit_code,
            last_lines=self.last_lines,
        )


class DeadlineExceeded(CommandError):
    """A program ran for longer than it may and was ended."""

    code = "deadline"


class MountError(EngineError):
    """Something could not be mounted, or did not let itself be unmounted."""

    code = "mount"


class LoopError(EngineError):
    """No loop device is to be had for a file."""

    code = "loop"

    def __init__(self, path: os.PathLike[str], cause: OSError) -> None:
        super().__init__(
            f"no loop device for {os.fspath(path)}: {cause.strerror}",
            path=os.fspath(path),
        )


class LayoutError(EngineError):
    """A block device configuration is wrong, or asks for what we lack.

    ``where`` names the key, as in ``partitioning.partitions[0].size``.
    """

    turn = "caller"
    code = "layout"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"block device configuration: {where}: {problem}", where=where
        )


class DiskTooSmall(EngineError):
    """The tree does not fit on a disk of the size that was asked for."""

    turn = "caller"
    code = "disk-too-small"

    def __init__(self, wanted: int, needed: int, what: str = "disk") -> None:
        super().__init__(
            f"a {what} of {wanted} bytes ({wanted / 1024**3:.2f} GiB) was "
            f"asked for, but the tree needs {needed} bytes "
            f"({needed / 1024**3:.2f} GiB)",
            wanted=wanted,
            needed=needed,
        )


class FatContent(EngineError):
    """Something in a vfat filesystem of the image cannot be kept there."""

    turn = "element"
    code = "fat-content"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}", path=path)


class VerifyFailed(EngineError):
    """A finished image is not what it should be; ``check`` names why."""

    turn = "element"
    code = "verify"

    def __init__(self, check: str, problem: str, remedy: str) -> None:
        super().__init__(f"{check}: {problem}; {remedy}", check=check)


class BootFailed(EngineError):
    """The finished image was started, and is not fit to be deployed.

    ``code`` and ``turn`` are those of what was found, see engine.gate.faults.
    """

    code = "boot"

    def __init__(
        self,
        code: str,
        turn: str,
        problem: str,
        remedy: str,
        *,
        firmware: str,
        last_lines: Iterable[str] = (),
    ) -> None:
        super().__init__(
            f"{code}: {problem}; {remedy}",
            code=code,
            turn=turn,
            firmware=firmware,
            last_lines=list(last_lines),
        )


class NeedsRoot(EngineError):
    """A build mounts and makes filesystems, which only root may."""

    code = "needs-root"

    def __init__(self) -> None:
        super().__init__(
            "this needs root: run it as root, or let sudo start programs "
            "for you without a password"
        )


class ElementPathError(EngineError):
    """A directory that should hold elements does not exist."""

    code = "element-path"

    def __init__(self, directory: object) -> None:
        super().__init__(
            f"{directory} is not a directory of elements",
            directory=str(directory),
        )


class ElementChanged(EngineError):
    """An element on this host is not the one that the request meant."""

    code = "element-changed"

    def __init__(self, name: str, wanted: str | None, here: str | None):
        super().__init__(
            f"element '{name}' is not what it was when the build was asked "
            f"for: {_digest(wanted)} then, {_digest(here)} on this builder",
            element=name,
        )


class DuplicateHook(EngineError):
    """Two elements of an image carry the same file for the same place."""

    turn = "element"
    code = "duplicate-hook"

    def __init__(self, path: str, elements: tuple[str, str]) -> None:
        super().__init__(
            f"there is a duplicated hook in your elements: {path} is in "
            f"{' and '.join(elements)}",
            path=path,
            elements=list(elements),
        )


class HookFailed(EngineError):
    """A hook exited non-zero; its phase ends there."""

    turn = "element"
    code = "hook"

    def __init__(
        self, element: str, phase: str, hook: str, cause: CommandError
    ) -> None:
        last = cause.last_lines
        said = f": {last[-1]}" if last else ""
        super().__init__(
            f"{_whose(element)}{phase}/{hook} "
            f"{_ending(cause.exit_code)}{said}",
            element=element,
            phase=phase,
            hook=hook,
            exit_code=cause.exit_code,
            last_lines=list(last),
        )


class EnvironmentFailed(EngineError):
    """The environment.d of the elements could not be sourced."""

    turn = "element"
    code = "environment"

    def __init__(self, phase: str, cause: CommandError) -> None:
        last = cause.last_lines
        super().__init__(
            f"environment.d before {phase} {_ending(cause.exit_code)}"
            f"{f': {last[-1]}' if last else ''}",
            phase=phase,
            exit_code=cause.exit_code,
            last_lines=list(last),
        )


class BreakFailed(EngineError):
    """The command at a break point failed; it was to be looked at."""

    turn = "caller"
    code = "break"

    def __init__(self, point: str, cause: CommandError) -> None:
        super().__init__(
            f"break_cmd {_ending(cause.exit_code)} at {point}",
            point=point,
            exit_code=cause.exit_code,
            last_lines=cause.last_lines,
        )


class NoShell(EngineError):
    """The tree has no bash, and hooks are to run in it."""

    turn = "element"
    code = "no-shell"

    def __init__(self, phase: str, hook: str, cause: CommandError) -> None:
        super().__init__(
            f"{phase}/{hook} is to run in the chroot, but no /bin/bash runs "
            f"there: {cause.last_lines[-1] if cause.last_lines else '?'}",
            phase=phase,
            hook=hook,
            last_lines=cause.last_lines,
        )


class LegacyBlockDevice(EngineError):
    """A hook of block-device.d wants to have made the image's disk."""

    turn = "element"
    code = "legacy-block-device"

    def __init__(self, element: str, phase: str, hook: str) -> None:
        super().__init__(
            f"{_whose(element)}{phase}/{hook} printed "
            "IMAGE_BLOCK_DEVICE=, to have made the disk itself; say what disk "
            "it shall be in a block-device-default.yaml",
            element=element,
            phase=phase,
            hook=hook,
        )


class EmptyTree(EngineError):
    """After root.d there is still nothing in the tree."""

    turn = "element"
    code = "empty-tree"

    def __init__(self) -> None:
        super().__init__(
            "failed to deploy the root element: root.d left an empty tree"
        )


class ImageFull(EngineError):
    """Hooks that ran in the image's own filesystem filled it."""

    turn = "caller"
    code = "disk-too-small"

    def __init__(self, cause: EngineError) -> None:
        super().__init__(
            "no space left in the image's filesystem, ask for a larger "
            f"disk: {cause}",
            **{k: v for k, v in cause.facts.items() if k != "message"},
        )


class MissingTool(EngineError):
    """This host lacks a program that a format is made with."""

    code = "missing-tool"

    def __init__(self, wanted: str, tool: str, package: str) -> None:
        super().__init__(
            f"the format {wanted} is made with '{tool}', which is not on "
            f"this host; it is in the package {package}",
            format=wanted,
            tool=tool,
        )


class NothingMade(EngineError):
    """No image was wanted, and no hook has left a file instead."""

    turn = "element"
    code = "nothing-made"

    def __init__(self) -> None:
        super().__init__(
            "no disk image is made of these elements, and no hook has left "
            "a file instead: one in cleanup.d writes $IMAGE_NAME.* into the "
            "directory that it starts in"
        )


class DiskFull(EngineError):
    """The builder host has no room left for the build."""

    turn = "operator"
    code = "disk-full"

    def __init__(self, path: object, cause: str = "") -> None:
        said = f" ({cause})" if cause else ""
        super().__init__(
            f"no space left on the builder host, in {path}{said}",
            path=str(path),
        )


class SandboxError(EngineError):
    """The kernel refused what a build is kept apart with."""

    code = "sandbox"

    def __init__(self, call: str, about: str, reason: str) -> None:
        where = f" {about}" if about else ""
        super().__init__(f"{call}{where}: {reason}", call=call)


class Died(EngineError):
    """The build's own process ended without a word."""

    code = "died"

    def __init__(self, exit_code: int) -> None:
        super().__init__(
            f"the engine {_ending(exit_code)} without saying why",
            exit_code=exit_code,
        )


class Internal(EngineError):
    """A fault of the engine itself."""

    code = "internal"


class Stopped(EngineError):
    """The build was asked to end before it was done."""

    turn = "operator"
    code = "stopped"

    def __init__(self) -> None:
        super().__init__("the build was ended by a signal")


def says_full(error: CommandError | HookFailed) -> bool:
    """Whether a program complained that there is no room."""
    # A program that removes its half-written file makes room again before
    # anybody can look.
    return any(NO_SPACE in line for line in error.facts["last_lines"])


def of_os(error: OSError) -> EngineError:
    """What an error of the operating system means for a build."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(error.filename or "its workspace")
    return Internal(str(error))


def _digest(digest: str | None) -> str:
    return f"digest {digest[:12]}" if digest else "not part of it"


def _whose(element: str) -> str:
    """Nobody's are packages of the request, and hooks that hooks made."""
    return f"element {element}: " if element else ""


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by signal {-exit_code}"
    return f"exited {exit_code}"


def _shown(words: tuple[str, ...]) -> str:
    text = shlex.join(words)
    return text if len(text) <= 200 else f"{text[:200]}…"
