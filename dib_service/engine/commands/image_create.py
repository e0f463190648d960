"""dib-image-create: disk-image-create's command line on this engine."""

from collections.abc import Mapping, Sequence
import errno
import importlib.metadata
import os
from pathlib import Path
import sys

from dib_service.engine import elements, errors, installed, spec, supervisor
from dib_service.engine.commands import console
from dib_service.engine.commands.caller import Caller
from dib_service.engine.commands.command_line import (
    DROP_IN_PATH,
    VERSION,
    CommandLine,
    usage,
)
from dib_service.engine.output import delivery

GIB = 1024**3

# As those who call diskimage-builder's name for it expect.
RAMDISK = "ramdisk-image-create"
OURS = "dib-image-create"

# In GiB here and in KiB where hooks read it: another variable.
IMAGE_SIZE = "DIB_IMAGE_SIZE"


def main(words: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    return run(OURS, sys.argv[1:] if words is None else words)


def run(name: str, words: Sequence[str]) -> int:
    """Do as one of the commands does; the exit code."""
    return _create(name, words, Caller.present())


def of_root(words: Sequence[str]) -> int:
    """The same behind sudo, for the caller that waits for it."""
    pid, descriptor, user, group, name, *rest = words
    caller = Caller.behind(int(pid), int(descriptor), (int(user), int(group)))
    return _create(name, rest, caller)


def _create(name: str, words: Sequence[str], caller: Caller) -> int:
    try:
        asked = CommandLine.parse(words, caller.environment)
        if asked.instead:
            print(_instead(asked.instead, name))
            return 0
        job = _job(asked, caller, words, ramdisk=name == RAMDISK)
        _make_places(job, asked.settings)
        if os.geteuid() != 0:
            return caller.as_root([name, *words])
    except errors.SpecError as exc:
        print(f"{name}: {exc}; see {name} --help", file=sys.stderr)
        return 1
    except (errors.EngineError, OSError) as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return console.INTERRUPTED
    return _build(name, job, asked.settings)


def _instead(option: str, name: str) -> str:
    if option == VERSION:
        return _version()
    if option == DROP_IN_PATH:
        return str(installed.directory("drop-in"))
    return usage(name)


def _version() -> str:
    try:
        return importlib.metadata.version("dib-service")
    except importlib.metadata.PackageNotFoundError:
        return "a checkout that is not installed"


def _build(name: str, job: supervisor.Job, settings: Mapping[str, str]) -> int:
    # What reads diskimage-builder's log reads stdout; of ours, a program
    # can read there what was made.
    ours = name == OURS
    with console.opened(
        settings,
        log=sys.stderr if ours else sys.stdout,
        paths=sys.stdout if ours else None,
    ) as told:
        code = supervisor.run(job, told.tell)
    if job.owner:
        _give_back(job, job.owner)
    return code and (told.exit_code or code)


def _give_back(job: supervisor.Job, owner: tuple[int, int]) -> None:
    """What hooks made as root in the caller's cache, to the caller.

    Who goes back to diskimage-builder, or uses both, has to write there.
    """
    for place in filter(None, (job.cache_dir, _locks(job))):
        if place.stat().st_uid == owner[0]:
            delivery.give_what_is_roots(place, owner)


def _job(
    asked: CommandLine, caller: Caller, words: Sequence[str], *, ramdisk: bool
) -> supervisor.Job:
    """The build that is asked for, and where it takes place.

    :raises errors.SpecError: a setting that cannot be.
    """
    settings = asked.settings
    home = Path(settings["HOME"])
    cache = settings.get("DIB_IMAGE_CACHE") or home / ".cache/image-create"
    locks = settings.get("DIB_LOCKFILES") or home / ".cache/dib/lockfiles"
    image = Path(settings.get("IMAGE_NAME") or "image").absolute()
    return supervisor.Job(
        spec=_spec(asked, image.name, ramdisk=ramdisk),
        output_dir=image.parent,
        workspace=_workspace(settings),
        element_path=(
            *elements.parse_path(settings.get("ELEMENTS_PATH", "")),
            *elements.default_path(),
        ),
        cache_dir=Path(cache).absolute(),
        surroundings={
            **settings,
            # Elements keep in the image what it was asked for with.
            "DIB_ARGS": " ".join(words),
            "DIB_LOCKFILES": str(Path(locks).absolute()),
        },
        cwd=Path.cwd(),
        owner=caller.owner,
        memory=_memory(settings),
        keep_old=settings.get("OVERWRITE_OLD_IMAGE", "0") == "0",
    )


def _memory(settings: Mapping[str, str]) -> int:
    """How much memory is worth it; 0 unless it was asked for.

    diskimage-builder asks nobody, and fills what others need.
    """
    disk = settings.get("DIB_NO_TMPFS", "")
    wanted = settings.get("DIB_MIN_TMPFS", "")
    # Its extended attributes are more than every kernel has in memory.
    hardened = "hardened" in settings.get("GENTOO_PROFILE", "")
    if hardened or disk not in ("", "0") or not (disk or wanted):
        return 0
    return _bytes("DIB_MIN_TMPFS", wanted or "2")


def _workspace(settings: Mapping[str, str]) -> Path:
    for name in ("TMPDIR", "TMP_DIR"):
        if settings.get(name):
            return Path(settings[name]).absolute()
    return supervisor.DEFAULT_WORKSPACE


def _spec(asked: CommandLine, name: str, *, ramdisk: bool) -> spec.BuildSpec:
    """What the settings ask for.

    :raises errors.SpecError: one that cannot be.
    """
    settings = asked.settings
    formats = settings.get("IMAGE_TYPES", "qcow2").split(",")
    if len(formats) == 1:
        name = name.removesuffix(f".{formats[0]}")
    chosen = asked.elements
    if ramdisk:
        chosen = (settings.get("RAMDISK_ELEMENT") or "ramdisk", *chosen)
    packages = settings.get("INSTALL_PACKAGES", "").split(",")
    wanted = spec.BuildSpec(
        elements=chosen,
        formats=tuple(dict.fromkeys(formats)),
        architecture=_architecture(settings.get("ARCH", "")),
        environment=_environment(settings),
        disk_size=_bytes(IMAGE_SIZE, settings.get(IMAGE_SIZE) or "0") or None,
        name=name,
        skip_base=settings.get("SKIP_BASE") == "1",
        packages=tuple(filter(None, packages)),
        ramdisk=ramdisk,
        boot_test=settings.get("DIB_BOOT_TEST") == "1",
    )
    return spec.BuildSpec.from_dict(wanted.to_dict())


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """What of the settings the engine itself may read.

    Hooks have all of them around them anyway.
    """
    allowed = {
        name: value
        for name, value in settings.items()
        if name != IMAGE_SIZE and spec.allows(name, value)
    }
    # The engine works in a directory of its own.
    for name, prefix in (
        ("ACI_MANIFEST", ""),
        ("DIB_BLOCK_DEVICE_CONFIG", "file://"),
    ):
        value = allowed.get(name, "")
        if value and value.startswith(prefix):
            path = Path(value.removeprefix(prefix)).absolute()
            allowed[name] = f"{prefix}{path}"
    return allowed


def _bytes(name: str, text: str) -> int:
    """A setting's GiB in bytes.

    :raises errors.SpecError: it is no number, or less than none.
    """
    try:
        size = int(float(text) * GIB)
    except (OverflowError, ValueError):
        size = -1
    if size < 0:
        raise errors.SpecError(name, "expected a number of GiB")
    return size


def _architecture(word: str) -> str:
    """uname's word for either uname's or Debian's."""
    for ours, theirs in spec.ARCHITECTURES.items():
        if word == theirs:
            return ours
    return word or os.uname().machine


def _make_places(job: supervisor.Job, settings: Mapping[str, str]) -> None:
    """Make what will be there afterwards while it is made as the caller's.

    :raises OSError: where the caller may not.
    """
    for place in (job.output_dir, job.cache_dir, _locks(job)):
        if place:
            place.mkdir(parents=True, exist_ok=True)
    if not os.access(job.output_dir, os.W_OK):
        # Not to be found out when the image is there to be moved.
        raise PermissionError(
            errno.EACCES, "not writable", str(job.output_dir)
        )
    if settings.get("LOGFILE"):
        with Path(settings["LOGFILE"]).open("a"):
            pass


def _locks(job: supervisor.Job) -> Path:
    return Path((job.surroundings or {})["DIB_LOCKFILES"])


if __name__ == "__main__":
    sys.exit(main())
