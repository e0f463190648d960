"""What happens in a build, from its spec to its image."""

from collections.abc import Iterator
import contextlib
import dataclasses
import os
from pathlib import Path

from dib_service.engine import (
    blockdevice,
    disk,
    elements,
    environment,
    errors,
    events,
    hooks,
    manifest,
    mounts,
    output,
    sysprep,
    verify,
)
from dib_service.engine.spec import ARCHITECTURES, BuildSpec

# A host with less than this is full, whatever it was that failed on it.
FULL_BYTES = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Context:
    """Where a build works, and whom it tells.

    ``output_dir`` is where the caller will find the artefacts; they are
    left in ``workspace/out``.
    """

    workspace: Path
    output_dir: Path
    element_path: tuple[Path, ...]
    cache_dir: Path
    say: events.Say

    @property
    def root(self) -> Path:
        """Where hooks see the tree, and later the image."""
        return self.workspace / "build/mnt"

    @property
    def built(self) -> Path:
        """Where the tree waits while the image is mounted at its place."""
        return self.workspace / "build/built"


def build_image(wanted: BuildSpec, ctx: Context) -> None:
    """Build what wanted describes and say what came of it.

    :raises errors.EngineError: why it cannot be built, and whose turn it is.
    """
    with _room_watched(ctx):
        chosen, layout, tree = _prepare(wanted, ctx)
        _assemble(tree, ctx)
        found = manifest.of_tree(ctx.built)
        with (
            events.phase(ctx.say, "disk"),
            disk.laid_out(
                layout,
                tree=ctx.built,
                directory=ctx.workspace / "image",
                mount_point=ctx.root,
                size=wanted.disk_size,
            ) as target,
        ):
            disk.fill(target, ctx.built)
            _finish(tree.exporting(target.environment), ctx)
        with events.phase(ctx.say, "output"):
            artefacts = output.write_all(
                wanted.formats,
                target.image,
                name=wanted.name,
                output_dir=ctx.workspace / "out",
            )
        with events.phase(ctx.say, "verify"):
            verify.check(artefacts, layout, target.image)
        manifest.say(
            ctx.say, wanted, chosen, layout, found, artefacts, ctx.output_dir
        )
