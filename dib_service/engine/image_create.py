"""dib-image-create: disk-image-create's command line on this engine.

A first, thin form: the options that most calls have.
"""

import argparse
from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import sys

from dib_service.engine import elements, errors, events, spec, supervisor

GIB = 1024**3
IMAGE_SIZE = "DIB_IMAGE_SIZE"

# What diskimage-builder would see of the caller's environment and an element
# may be driven by; the rest of it stays out of the image.
PASSED_ON = ("DIB_", "REG_")
PASSED_ON_TOO = frozenset(
    {
        "ARCH",
        "FS_TYPE",
        "ROOT_LABEL",
        "YUM",
        "ftp_proxy",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        print("dib-image-create: needs root", file=sys.stderr)
        return 2
    target = options.output.absolute()
    try:
        wanted = _spec(options, target.name, os.environ)
    except errors.SpecError as exc:
        print(f"dib-image-create: {exc}", file=sys.stderr)
        return 2
    return supervisor.run(
        supervisor.Job(
            spec=wanted,
            output_dir=target.parent,
            workspace=Path(os.environ.get("TMPDIR", "/var/tmp")),  # noqa: S108
            element_path=(
                *elements.parse_path(os.environ.get("ELEMENTS_PATH", "")),
                *elements.default_path(),
            ),
            cache_dir=options.image_cache.resolve(),
            surroundings=os.environ,
        ),
        _tell,
    )


def _spec(
    options: argparse.Namespace, name: str, environment: Mapping[str, str]
) -> spec.BuildSpec:
    """What the options ask for.

    :raises errors.SpecError: an option that cannot be.
    """
    formats = options.types.split(",")
    if len(formats) == 1:
        name = name.removesuffix(f".{formats[0]}")
    passed_on = {
        variable: value
        for variable, value in environment.items()
        if variable.startswith(PASSED_ON) or variable in PASSED_ON_TOO
        # In GiB here and in KiB where hooks read it: another variable.
        if variable != IMAGE_SIZE
    }
    wanted = spec.BuildSpec(
        elements=tuple(options.elements),
        formats=tuple(formats),
        architecture=_architecture(options.arch),
        environment=passed_on,
        disk_size=_size(options.image_size, environment),
        name=name,
        skip_base=options.skip_base,
    )
    return spec.BuildSpec.from_dict(wanted.to_dict())


def _size(option: float | None, environment: Mapping[str, str]) -> int | None:
    try:
        wanted = option or float(environment.get(IMAGE_SIZE) or 0)
    except ValueError as exc:
        raise errors.SpecError(IMAGE_SIZE, "expected a number") from exc
    return int(wanted * GIB) or None


def _architecture(word: str) -> str:
    """uname's word for either uname's or Debian's."""
    for ours, theirs in spec.ARCHITECTURES.items():
        if word == theirs:
            return ours
    return word


def _tell(event: events.Event) -> None:
    """Print what a person wants to read of it."""
    facts = event.facts
    if event.kind == "line":
        print(facts["text"], file=sys.stderr)
    elif event.kind == "phase" and facts["state"] == "start":
        print(f"== {facts['phase']}", file=sys.stderr)
    elif event.kind == "artefact":
        print(facts["path"])
    elif event.kind == "fault":
        print(f"ERROR: {facts['message']}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dib-image-create", description=__doc__
    )
    parser.add_argument(
        "-a", dest="arch", default=os.uname().machine, metavar="ARCH"
    )
    parser.add_argument(
        "-o",
        dest="output",
        type=Path,
        default=Path("image"),
        metavar="NAME",
        help="where the image goes; each format has its own suffix",
    )
    parser.add_argument(
        "-t", dest="types", default="qcow2", metavar="FORMAT[,FORMAT]"
    )
    parser.add_argument(
        "-n",
        dest="skip_base",
        action="store_true",
        help="leave the base element out",
    )
    parser.add_argument(
        "--image-size", type=float, metavar="GIB", help="of the whole disk"
    )
    parser.add_argument(
        "--image-cache",
        type=Path,
        default=Path("~/.cache/image-create").expanduser(),
        metavar="DIR",
    )
    parser.add_argument("elements", nargs="+", metavar="ELEMENT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
