"""Lays a tree out on the disk that the image will be."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import os
from pathlib import Path
import uuid

from dib_service.engine import errors, mounts, process
from dib_service.engine.disk import fat, loop, partitioning, sizing
from dib_service.engine.disk.layout import EXT, IMAGE, Disk, Layout, Volume
from dib_service.engine.disk.plan import Plan, planned
from dib_service.engine.disk.sizing import Geometry, Usage
from dib_service.engine.sizes import GiB, MiB, Span

# Up to here a filesystem is that of a small image, which will be grown.
XFS_SMALL = 16 * GiB
XFS_STUMP = 64 * MiB


@dataclasses.dataclass(frozen=True)
class Target:
    """The tree on its disk: where to work on it, and the file it is in.

    ``environment`` is what the hooks of the last phases are told beside it;
    ``others`` are the files of the disks beside the image, by name.
    """

    root: Path
    image: Path
    environment: Mapping[str, str]
    others: Mapping[str, Path]


@contextlib.contextmanager
def laid_out(
    layout: Layout,
    *,
    tree: Path,
    directory: Path,
    mount_point: Path,
    size: int | None,
) -> Iterator[Target]:
    """The tree in its final filesystems, mounted for as long as this runs.

    The image is ``directory/image0.raw``, other disks lie beside it; they
    are complete when the block has ended. ``size`` is that of each disk, in
    bytes, whose size the layout leaves open; ``None`` for just large enough.
    The fstab is written into the tree, too.

    :raises errors.DiskTooSmall: before anything is written.
    :raises errors.DiskFull: the host has no room for it, as well before.
    :raises errors.CommandError: a filesystem could not be made or filled.
    """
    usage = sizing.measure(tree, _points(layout))
    plans = {
        each.name: planned(each, layout, usage, size) for each in layout.disks
    }
    _check_room(directory, usage)
    write_fstab(tree, layout)
    images = {name: directory / f"{name}.raw" for name in plans}
    devices: dict[str, loop.LoopDevice] = {}
    with contextlib.ExitStack() as stack:
        for each in layout.disks:
            plan = plans[each.name]
            devices |= stack.enter_context(
                _devices(each, plan, images[each.name])
            )
            for volume in layout.on(each):
                _make(
                    devices[volume.base],
                    volume,
                    plan.geometries.get(volume.base),
                )
        for volume in layout.mounts:
            stack.enter_context(
                _mounted(devices[volume.base], mount_point, volume)
            )
        _fill(tree, mount_point, layout)
        yield Target(
            root=mount_point,
            image=images[IMAGE],
            environment=_environment(devices, plans[IMAGE].size),
            others={k: v for k, v in images.items() if k != IMAGE},
        )


def planned_size(layout: Layout, tree: Path, size: int | None) -> int:
    """The size in bytes of the image that ``laid_out`` would make now.

    :raises errors.DiskTooSmall: it would not fit.
    """
    usage = sizing.measure(tree, _points(layout))
    return planned(layout.disks[0], layout, usage, size).size


@contextlib.contextmanager
def _devices(
    disk: Disk, plan: Plan, image: Path
) -> Iterator[Mapping[str, loop.LoopDevice]]:
    """A new disk, by its name, and its partitions by theirs."""
    _sparse_file(image, plan.size)
    with loop.loop_device(image, block_size=disk.block_size) as whole:
        if disk.table is None:
            parts: Mapping[str, Span] = {}
        else:
            parts = plan.spans
            partitioning.write(whole.path, disk.table, parts, disk.block_size)
            whole.flush()
        with loop.partitions(
            whole, image, parts, block_size=disk.block_size
        ) as found:
            yield {disk.name: whole, **found}
        # What the boot loader wrote to the whole disk has to be in the file,
        # too.
        whole.flush()


def _check_room(directory: Path, usage: Mapping[str, Usage]) -> None:
    # A sparse file takes more than the host has without a word; the loop
    # device then fails when the kernel writes back, and cp has long ended.
    needed = sum(part.blocks for part in usage.values()) * sizing.BLOCK
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise errors.DiskFull(
            directory, f"{needed} bytes are needed and {free} are free"
        )


def write_fstab(tree: Path, layout: Layout) -> None:
    """Replace the tree's /etc/fstab by what the layout says."""
    mounted = [v for v in layout.volumes if v.mount_point and v.fstab]
    lines = [
        f"LABEL={v.label} {v.mount_point} {v.type} "
        f"{v.fstab.options} {v.fstab.dump} {v.fstab.passno}\n"
        for v in sorted(mounted, key=lambda v: v.mount_point or "")
        if v.fstab
    ]
    path = mounts.place(tree, "etc") / "fstab"
    # A symlink of the tree's would be followed out of it.
    path.unlink(missing_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    path.chmod(0o644)


def _points(layout: Layout) -> Sequence[str]:
    return [volume.mount_point or "" for volume in layout.mounts]


def _sparse_file(image: Path, size: int) -> None:
    fd = os.open(image, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _make(
    device: loop.LoopDevice, volume: Volume, geometry: Geometry | None
) -> None:
    identity = volume.uuid or str(uuid.uuid4())
    label = volume.label
    words: dict[str, list[str]] = {
        "swap": ["mkswap", "-L", label, "-U", identity],
        "vfat": ["mkfs.vfat", "-n", label, *volume.options],
        "xfs": [
            *("mkfs.xfs", "-q", "-f", *_xfs_groups(volume, device.size)),
            *volume.options,
            *("-L", label, "-m", f"uuid={identity}"),
        ],
        "btrfs": [
            *("mkfs.btrfs", "-q", "-f", *volume.options),
            *("-L", label, "-U", identity),
        ],
    }
    if volume.type in EXT:
        process.run([*_mke2fs(volume, identity, geometry), device.path])
    else:
        process.run([*words[volume.type], device.path])


def _xfs_groups(volume: Volume, size: int) -> list[str]:
    """How mkfs.xfs should divide a filesystem of ``size`` bytes.

    The size of its groups is what the first mkfs made of it, and each group
    costs time to add and to mount. Of a small image they are four small
    ones; two, of which the second is a stump that growth completes, are a
    quarter as many on the machine's disk.
    """
    theirs = {word[:2] for word in volume.options}
    if size > XFS_SMALL or {"-d", "-l"} & theirs:
        return []
    first = (size - XFS_STUMP) // MiB
    return ["-d", f"agsize={first}m", "-l", "agnum=0"]


def _mke2fs(
    volume: Volume, identity: str, geometry: Geometry | None
) -> list[str]:
    # The file is new and reads as zeros, so nothing is gained by writing
    # them once more; and nothing is left for the guest's first boot to do.
    extended = ["lazy_itable_init=0,lazy_journal_init=1,nodiscard"]
    features = ["64bit,metadata_csum"] if volume.type == "ext4" else []
    words = []
    if geometry:
        words += ["-N", str(geometry.inodes)]
        if geometry.resize:
            extended.append(f"resize={geometry.resize}")
        if geometry.meta_bg:
            features.append("meta_bg,^resize_inode")
        if volume.type != "ext2":
            words += ["-J", f"size={geometry.journal // MiB}"]
    # An element's own words come last, so that they win: one by one, for
    # mke2fs itself would forget all of ours.
    given, rest = _taken(volume.options, ("-E", "-O"))
    for option, ours in (("-E", extended), ("-O", features)):
        if ours or given[option]:
            words += [option, ",".join([*ours, *given[option]])]
    return [
        *("mke2fs", "-q", "-F", "-t", volume.type),
        *("-b", str(sizing.BLOCK), "-I", "256"),
        *("-L", volume.label, "-U", identity),
        *words,
        *rest,
    ]


def _taken(
    words: Sequence[str], options: Sequence[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The values that options have among words, and the other words."""
    found: dict[str, list[str]] = {option: [] for option in options}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word in found:
            found[word].append(next(left, ""))
        elif word[:2] in found:
            found[word[:2]].append(word[2:])
        else:
            rest.append(word)
    return found, rest


@contextlib.contextmanager
def _mounted(
    device: loop.LoopDevice, root: Path, volume: Volume
) -> Iterator[None]:
    """One filesystem at its place, trimmed at the end."""
    point = str(volume.mount_point)
    place = mounts.place(root, point.lstrip("/")) if point != "/" else root
    if volume.type == "vfat":
        with fat.mounted(device, place, point):
            yield
        # mtools leaves what it wrote in the device's cache.
        device.flush()
        return
    with mounts.mounted(device.path, place, "-t", volume.type):
        yield
        # Blocks that were used and freed are still in the file; this gives
        # them back. What was never written never was in it.
        process.run(["sync", "--file-system", place])
        process.run(["fstrim", place])
    if volume.type in EXT:
        # The kernel has noted where the filesystem was mounted; a directory
        # of this host is nobody's business.
        process.run(["tune2fs", "-M", "/", device.path])


def _fill(tree: Path, root: Path, layout: Layout) -> None:
    """Copy the tree as it is, its own root directory included."""
    points = [str(v.mount_point) for v in layout.mounts if v.type == "vfat"]
    with contextlib.ExitStack() as stack:
        for point in points:
            place = mounts.place(tree, point.lstrip("/"))
            fat.fill(place, root / point.lstrip("/"), point)
            # What lies there is not for cp, which would not lose a mode or
            # an owner for FAT's sake.
            stack.enter_context(
                mounts.mounted("none", place, "-t", "tmpfs", "-o", "mode=755")
            )
        _copy(tree, root)


def _copy(tree: Path, root: Path) -> None:
    process.run(
        [
            "cp",
            "--archive",
            # An attribute that cannot be kept is an error, not a silence:
            # without its capability, ping is an ordinary program.
            "--preserve=mode,ownership,timestamps,links,xattr",
            "--sparse=auto",
            "--one-file-system",
            # "tree/." and not "tree/*": there may be dot-files in /.
            f"{tree}/.",
            root,
        ]
    )


def _environment(
    devices: Mapping[str, loop.LoopDevice], size: int
) -> dict[str, str]:
    named = " ".join(f"[{n}]={device.path} " for n, device in devices.items())
    return {
        "IMAGE_BLOCK_DEVICE": str(devices[IMAGE].path),
        # For "eval declare -A", as elements do it.
        "IMAGE_BLOCK_DEVICES": f" {named}",
        "DIB_IMAGE_SIZE": str(size // 1024),
    }
