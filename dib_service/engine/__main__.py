"""dib-engine: one image from one spec, events on stdout."""

import argparse
from collections.abc import Sequence
import json
import os
from pathlib import Path
import sys

from dib_service.engine import elements, errors, events, spec, supervisor
from dib_service.engine.gate.plan import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Do as the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    code: int = options.run(options)
    return code


def _build(options: argparse.Namespace) -> int:
    try:
        wanted = spec.BuildSpec.from_dict(_read(options.spec))
    except errors.EngineError as exc:
        _print(events.Event.now("fault", **exc.to_dict()))
        return 1
    if os.geteuid() != 0:
        print("dib-engine: build needs root", file=sys.stderr)
        return 2
    return supervisor.run(
        supervisor.Job(
            spec=wanted,
            output_dir=options.output_dir.absolute(),
            workspace=options.workspace.absolute(),
            element_path=options.element_path,
            cache_dir=options.cache_dir and options.cache_dir.resolve(),
            hidden=[path.absolute() for path in options.hide],
            boot_test=Settings(
                seconds=options.boot_test_seconds,
                memory_mib=options.boot_test_memory,
                kvm=options.boot_test_kvm,
                uid=options.boot_test_uid,
            ),
        ),
        _print,
    )


def _elements(options: argparse.Namespace) -> int:
    try:
        shelf = elements.read(options.element_path)
    except errors.EngineError as exc:
        print(f"dib-engine: {exc}", file=sys.stderr)
        return 1
    for found in shelf.values():
        for warning in found.warnings():
            print(f"warning: {warning}", file=sys.stderr)
    listing = [shelf[name].element.to_dict() for name in sorted(shelf)]
    print(json.dumps(listing, indent=1))
    return 0


def _read(path: Path) -> dict[str, object]:
    try:
        data = json.loads(path.read_text())
    except OSError as exc:
        raise errors.SpecError(str(path), exc.strerror or "?") from exc
    except ValueError as exc:
        raise errors.SpecError(str(path), f"not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise errors.SpecError(str(path), "expected an object")
    return data


def _print(event: events.Event) -> None:
    print(event.to_json(), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dib-engine", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build one image")
    build.add_argument("spec", type=Path, metavar="SPEC.json")
    build.add_argument("--output-dir", type=Path, required=True)
    build.add_argument(
        "--workspace",
        type=Path,
        default=supervisor.DEFAULT_WORKSPACE,
        help="where a directory for this build is made (%(default)s)",
    )
    build.add_argument(
        "--cache-dir", type=Path, help="what hooks may keep for next time"
    )
    build.add_argument(
        "--hide",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="PATH",
        help="what the build must not see",
    )
    _add_boot_test(build)
    build.set_defaults(run=_build)

    listing = commands.add_parser("elements", help="list the elements")
    listing.set_defaults(run=_elements)
    for command in (build, listing):
        command.add_argument(
            "--element-path",
            type=elements.parse_path,
            default=elements.default_path(),
            metavar="A:B",
            help="directories of elements, the first one wins",
        )
    return parser


def _add_boot_test(build: argparse.ArgumentParser) -> None:
    """What this host gives to the machines that an image is started in."""
    default = Settings()
    build.add_argument(
        "--boot-test-seconds",
        type=float,
        default=default.seconds,
        metavar="SECONDS",
        help="what a real machine may take to boot (%(default)g); an "
        "emulated one has five times as long",
    )
    build.add_argument(
        "--boot-test-memory",
        type=int,
        default=default.memory_mib,
        metavar="MIB",
        help="the memory of each machine (%(default)s)",
    )
    build.add_argument(
        "--boot-test-kvm",
        action=argparse.BooleanOptionalAction,
        default=default.kvm,
        help="use KVM where a machine is seen to run with it",
    )
    build.add_argument(
        "--boot-test-uid",
        type=int,
        default=default.uid,
        metavar="UID",
        help="the user that the machines run as (%(default)s)",
    )


if __name__ == "__main__":
    sys.exit(main())
