"""The inner process of a build: alone in its namespaces, it builds."""

import dataclasses
import json
import os
from pathlib import Path
import select
import signal
import sys
import traceback
from types import FrameType
from typing import Any, Never

from dib_service.engine import (
    build,
    errors,
    events,
    layer,
    memory,
    redaction,
    sandbox,
    spec,
    supervisor,
    workspace,
)
from dib_service.engine.gate.plan import Settings


class Stop(BaseException):
    """We were asked to end; nothing on the way may take it for an error."""


def main() -> Never:
    """Build what stdin describes, say on stdout what happens, exit 0 or 1."""
    signal.signal(signal.SIGTERM, _stop)
    # That of whoever started us is none of the image's.
    os.umask(0o022)
    job = json.loads(sys.stdin.buffer.readline())
    if _abandoned():
        sys.exit(1)
    teller = redaction.Teller(say)
    fault = _attempt(job, teller)
    if fault:
        teller("fault", **fault.to_dict())
    sys.exit(1 if fault else 0)


def say(kind: str, **facts: Any) -> None:
    """Write an event to stdout."""
    line = events.Event.now(kind, **facts).to_json().encode() + b"\n"
    while line:
        line = line[os.write(1, line) :]


def _attempt(
    job: dict[str, Any], teller: redaction.Teller
) -> errors.EngineError | None:
    try:
        _build(job, teller)
    except Stop:
        return errors.Stopped()
    except errors.EngineError as exc:
        return exc
    except OSError as exc:
        traceback.print_exc()
        return errors.of_os(exc)
    except Exception as exc:
        traceback.print_exc()
        return errors.Internal(
            f"{type(exc).__name__}: {exc}",
            last_lines=traceback.format_exc().splitlines()[
                -errors.LAST_LINES :
            ],
        )
    return None


def _build(job: dict[str, Any], teller: redaction.Teller) -> None:
    context = build.Context(
        workspace=Path(job["workspace"]),
        output_dir=Path(job["output_dir"]),
        element_path=tuple(Path(path) for path in job["element_path"]),
        cache_dir=Path(job["cache_dir"]),
        say=teller,
        surroundings=job["surroundings"],
        screen=supervisor.SCREEN if job["at_terminal"] else None,
        boot_test=Settings.from_dict(job["boot_test"]),
    )
    context.cache_dir.mkdir(parents=True, exist_ok=True)
    if context.surroundings is None:
        _enclose(context, [Path(path) for path in job["hidden"]])
    else:
        sandbox.stay()
        context = _standing(context, Path(job["cwd"]))
    if job["memory"]:
        _move_to_memory(context, job["memory"])
    build.build_image(spec.BuildSpec.from_dict(job["spec"]), context)


def _standing(context: build.Context, cwd: Path) -> build.Context:
    """With hooks to run where the caller stands, if that can be had."""
    try:
        found = layer.Layer.over(
            cwd, upper=context.made, place=context.workspace / "layer"
        )
    except (OSError, errors.SandboxError) as exc:
        context.warn(
            f"hooks do not find what they look for relative to {cwd}, which "
            f"cannot be shown to them: {exc}"
        )
        return context
    return dataclasses.replace(context, overlay=found)


def _move_to_memory(context: build.Context, wanted: int) -> None:
    places = [
        workspace.build_place(context.workspace),
        context.workspace / "image",
    ]
    if memory.cover(places, wanted):
        context.tell("building in memory")
    else:
        context.warn("too little memory is free: building on disk")


def _enclose(context: build.Context, hidden: list[Path]) -> None:
    sandbox.enclose(
        hidden=hidden,
        shown=[
            context.workspace,
            context.cache_dir,
            *context.element_path,
            Path(sys.prefix),
            Path(__file__).resolve().parents[2],
        ],
        temporary=context.workspace / "tmp",
    )


def _abandoned() -> bool:
    """Whether our parent ended before the kernel could tell us."""
    poll = select.poll()
    poll.register(0, 0)
    return bool(poll.poll(0))


def _stop(number: int, frame: FrameType | None) -> None:
    # Once is enough: what follows is putting things away.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stop
