"""What happens in a build, from its spec to its image."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

from dib_service.engine import (
    breaks,
    elements,
    environment,
    errors,
    events,
    hooks,
    layer,
    manifest,
    mounts,
    nosync,
    redaction,
    unmounting,
)
from dib_service.engine.catalogue import NO_IMAGE
from dib_service.engine.disk import blockdevice, making, parameters
from dib_service.engine.gate import product, trial
from dib_service.engine.gate.plan import Settings
from dib_service.engine.output import files, options
from dib_service.engine.spec import ARCHITECTURES, BuildSpec
from dib_service.engine.tree import facts, tidy, usage
from dib_service.engine.verify import checks
from dib_service.engine.workspace import build_place

# A filesystem with less than this is full, whatever it was that failed.
FULL_BYTES = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Context:
    """Where a build works, and whom it tells.

    ``output_dir`` is where the caller will find the artefacts; the build
    leaves them in ``made``. ``surroundings`` is the environment of a person
    who builds on a machine of their own, ``screen`` their terminal, and
    ``overlay`` what lies over the directory in which they stand, if it can.
    """

    workspace: Path
    output_dir: Path
    element_path: tuple[Path, ...]
    cache_dir: Path
    say: redaction.Teller
    surroundings: Mapping[str, str] | None = None
    screen: int | None = None
    overlay: layer.Layer | None = None
    boot_test: Settings = dataclasses.field(default_factory=Settings)

    @property
    def hooks(self) -> Path:
        """The gathered hooks; the contract's TMP_HOOKS_PATH."""
        return build_place(self.workspace) / "hooks"

    @property
    def root(self) -> Path:
        """Where hooks find the tree, and later the image."""
        return build_place(self.workspace) / "mnt"

    @property
    def built(self) -> Path:
        """Where the tree is while the image is mounted at its place."""
        return build_place(self.workspace) / "built"

    @property
    def block_device(self) -> Path:
        """What hooks can read of the disk."""
        return build_place(self.workspace) / "block-device"

    @property
    def made(self) -> Path:
        """What the caller gets, with what hooks wrote beside the image."""
        return self.workspace / "out"

    @property
    def cwd(self) -> Path:
        """Where hooks outside run; what they write there is in ``made``."""
        return self.overlay.cwd if self.overlay else self.made

    def settle(self, name: str) -> None:
        """Leave in ``made`` what hooks made, and nothing of the caller's."""
        if self.overlay:
            self.overlay.settle(name)

    def tell(self, text: str) -> None:
        """Say something in the log."""
        self.say("line", text=text)

    def warn(self, text: str) -> None:
        """Say what may not have been meant."""
        self.tell(f"warning: {text}")

    def unmount_extra(self, *names: str) -> None:
        """Unmount what a person has mounted for their hooks."""
        unmounting.run_extra(
            names, self.surroundings, cwd=self.cwd, say=self.say
        )

    def extra_unmounted(self) -> contextlib.AbstractContextManager[None]:
        """See to that also after an error."""
        return unmounting.in_any_case(
            self.surroundings, cwd=self.cwd, say=self.say
        )


def build_image(wanted: BuildSpec, ctx: Context) -> None:
    """Build what wanted describes and say what came of it.

    :raises errors.EngineError: why it cannot be built, and whose turn it is.
    """
    with _full_host_named(ctx.workspace), ctx.extra_unmounted():
        with events.phase(ctx.say, "resolve"):
            chosen = elements.choose(wanted, ctx.element_path, ctx.warn)
            layout = blockdevice.load(
                [found.directory for found in chosen],
                ARCHITECTURES[wanted.architecture],
                wanted.environment,
            )
            if wanted.disk_size and layout.size:
                # As in diskimage-builder; there nobody says so.
                ctx.warn(
                    f"the block device configuration says that the disk has "
                    f"{layout.size} bytes, so it is not {wanted.disk_size}"
                )
            tree = _gathered(wanted, chosen, layout, ctx)
            wanted = _as_elements_say(wanted, chosen)
            asked = options.Options.of(wanted.formats, tree.environment)
            options.check(wanted.formats, asked)

        _assemble(tree, wanted.packages, ctx)
        usage.report(ctx.built, wanted.environment, ctx.tell)
        _before_the_disk(tree, layout, wanted.disk_size, ctx)

        with contextlib.ExitStack() as held:
            with events.phase(ctx.say, "disk"):
                target = held.enter_context(
                    making.laid_out(
                        layout,
                        tree=ctx.built,
                        directory=ctx.workspace / "image",
                        mount_point=ctx.root,
                        size=wanted.disk_size,
                    )
                )
            tree = tree.exporting(target.environment)
            parameters.write(
                ctx.block_device,
                layout,
                environment=tree.environment,
                size=target.image.stat().st_size,
                image=target.image,
            )
            _finish(tree, target.root)
            ctx.settle(wanted.name)
            release = facts.os_release(target.root)
            read = facts.of_tree(target.root)
            with events.phase(ctx.say, "output"):
                artefacts = files.write_all(
                    wanted,
                    # The image is whole when its disk is put away.
                    files.Source(
                        target.root, target.image, held.close, target.others
                    ),
                    output_dir=ctx.made,
                    options=asked,
                    warn=ctx.warn,
                )
                _check_made(artefacts, ctx.made)
        ctx.unmount_extra(unmounting.DETACH)
        # That command may have changed something, too.
        ctx.settle(wanted.name)
        with events.phase(ctx.say, "verify"):
            seen = checks.check(
                artefacts, layout, scratch=ctx.workspace / "image"
            )
        made = manifest.of(
            wanted,
            chosen,
            layout,
            release,
            [each for each in artefacts if each.format != files.DOCKER],
            tree=read,
            seen=seen,
        )
        made |= _boot_tested(wanted, made, layout, artefacts, ctx)
        artefacts = files.import_to_docker(artefacts, asked)

    _hand_over(artefacts, made, ctx)


def _as_elements_say(
    wanted: BuildSpec, chosen: Sequence[elements.Found]
) -> BuildSpec:
    """Without its formats where no disk image is to be made.

    There is a disk all the same: hooks count on the one they run in.
    """
    if wanted.ramdisk or NO_IMAGE in [found.name for found in chosen]:
        return dataclasses.replace(wanted, formats=())
    return wanted


def _gathered(
    wanted: BuildSpec,
    chosen: Sequence[elements.Found],
    layout: blockdevice.Layout,
    ctx: Context,
) -> hooks.Tree:
    given = environment.of_hooks(
        wanted,
        chosen,
        path=ctx.element_path,
        workspace=ctx.workspace,
        cache_dir=ctx.cache_dir,
        surroundings=ctx.surroundings,
    )
    ctx.say.learn(given)
    Path(given["DIB_LOCKFILES"]).mkdir(parents=True, exist_ok=True)
    given |= layout.environment
    given |= parameters.write(ctx.block_device, layout, environment=given)
    return hooks.Tree(
        directory=ctx.hooks,
        origins=hooks.gather(chosen, ctx.hooks),
        environment=given,
        cwd=ctx.cwd,
        say=ctx.say,
        prepare=nosync.prepare,
        learn=ctx.say.learn,
        stops=breaks.Breaks.of(ctx.surroundings or {}, ctx.screen),
    )


def _assemble(tree: hooks.Tree, packages: Sequence[str], ctx: Context) -> None:
    """Make the tree, and leave it where the image's place stays free."""
    ctx.root.mkdir(mode=0o755)
    tree.run_outside("root.d", ctx.root)
    if tidy.empty(ctx.root):
        raise errors.EmptyTree
    tree.add_install_type()
    with mounts.prepared(ctx.root):
        tree.run_outside("extra-data.d", ctx.root)
        tree.run_inside("pre-install.d", ctx.root)
        tree.run_inside("install.d", ctx.root)
        if packages:
            tree.install(packages, ctx.root)
        tree.run_inside("post-install.d", ctx.root)
        tree.run_outside("post-root.d", ctx.root)
    ctx.unmount_extra(unmounting.DETACH, unmounting.UNMOUNT)
    # An element that lends the tree a cache leaves it to us to take away.
    mounts.unmount_below(ctx.root)
    tidy.remove_lost_and_found(ctx.root)
    ctx.root.rename(ctx.built)
    ctx.root.mkdir(mode=0o755)


def _before_the_disk(
    tree: hooks.Tree,
    layout: blockdevice.Layout,
    size: int | None,
    ctx: Context,
) -> None:
    """Let hooks see the finished tree, and how large a disk it needs."""
    if tree.has("block-device.d"):
        # Measured for them alone: they may change the tree once more.
        size = making.planned_size(layout, ctx.built, size)
        tree = tree.exporting({"DIB_IMAGE_SIZE": str(size // 1024)})
        parameters.write(
            ctx.block_device,
            layout,
            environment=tree.environment,
            size=size,
        )
    tree.run_outside("block-device.d", ctx.built)


def _finish(tree: hooks.Tree, root: Path) -> None:
    """Let the hooks that need the real disk work on it."""
    try:
        with mounts.prepared(root):
            tree.run_outside("pre-finalise.d", root)
            tree.run_inside("finalise.d", root)
            tree.run_outside("cleanup.d", root)
    except errors.HookFailed as exc:
        if _full(root) or errors.says_full(exc):
            raise errors.ImageFull(exc) from exc
        raise
    tidy.forget_the_build(root)


def _check_made(artefacts: Sequence[files.Artefact], directory: Path) -> None:
    """Return when there is something besides lists of what is in it.

    :raises errors.NothingMade: there is not.
    """
    if not any(made.path.parent == directory for made in artefacts):
        raise errors.NothingMade


def _boot_tested(
    wanted: BuildSpec,
    made: Mapping[str, Any],
    layout: blockdevice.Layout,
    artefacts: Sequence[files.Artefact],
    ctx: Context,
) -> Mapping[str, Any]:
    """What the manifest says of it: nothing was seen if nobody asked.

    :raises errors.BootFailed: it is not fit to be deployed.
    """
    if not wanted.boot_test:
        return trial.Verdict().to_dict()
    with events.phase(ctx.say, "boot-test"):
        found = product.plan(made, layout, artefacts, ctx.boot_test)
        if found is None:
            ctx.tell("there is no disk and no ramdisk that could start")
            return trial.Verdict().to_dict()
        return trial.run(
            *found,
            scratch=ctx.workspace / "image",
            cache=ctx.cache_dir,
            say=ctx.say,
        ).to_dict()


def _hand_over(
    artefacts: Sequence[files.Artefact],
    made: dict[str, object],
    ctx: Context,
) -> None:
    for artefact in artefacts:
        if artefact.role != "other":
            final = ctx.output_dir / artefact.name
            ctx.say("artefact", **{**artefact.to_dict(), "path": str(final)})
    ctx.say("manifest", manifest=made)


@contextlib.contextmanager
def _full_host_named(workspace: Path) -> Iterator[None]:
    """Say that the host is full where that is why something failed."""
    try:
        yield
    except (errors.CommandError, errors.HookFailed) as exc:
        if _full(workspace) or errors.says_full(exc):
            raise errors.DiskFull(workspace, str(exc)) from exc
        raise


def _full(path: Path) -> bool:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize < FULL_BYTES
