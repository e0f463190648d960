"""Lays a tree out on the disk that the image will be."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import os
from pathlib import Path
import uuid

from dib_service.engine import (
    disk_fat,
    disk_size,
    disk_table,
    errors,
    loop,
    mounts,
    process,
)
from dib_service.engine.blockdevice import IMAGE, Layout, Volume
from dib_service.engine.disk_size import Geometry, Usage
from dib_service.engine.disk_table import Span
from dib_service.engine.sizes import MiB

# No disk ends within a sector, whatever number it was asked for by.
SECTOR = 4096

# Trimmed, a filesystem of these gives back what it does not use.
TRIMMED = ("ext2", "ext3", "ext4")


@dataclasses.dataclass(frozen=True)
class Target:
    """The tree on its disk: where to work on it, and the file it is in.

    ``environment`` is what the hooks of the last phases are told beside it.
    """

    root: Path
    image: Path
    environment: Mapping[str, str]


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

    The image is ``directory/image0.raw``; it is complete when the block has
    ended. ``size`` is that of the whole disk in bytes, ``None`` for just
    large enough. The fstab is written into the tree, too.

    :raises errors.DiskTooSmall: before anything is written.
    :raises errors.DiskFull: the host has no room for it, as well before.
    :raises errors.CommandError: a filesystem could not be made or filled.
    """
    usage = disk_size.measure(tree, _points(layout))
    plan = _planned(layout, usage, size or layout.size)
    _check_room(directory, usage)
    write_fstab(tree, layout)
    image = directory / f"{IMAGE}.raw"
    _sparse_file(image, plan.size)
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(
            loop.loop_device(image, block_size=layout.block_size)
        )
        if layout.table:
            disk_table.write(
                disk.path, layout.table, plan.spans, layout.block_size
            )
            disk.flush()
        # Entered before the mounts, so run after them: what the boot loader
        # wrote to the whole disk has to be in the file, too.
        stack.callback(disk.flush)
        devices = {IMAGE: disk}
        if layout.table:
            devices |= stack.enter_context(
                loop.partitions(
                    disk, image, plan.spans, block_size=layout.block_size
                )
            )
        for volume in layout.volumes:
            device = devices[volume.base]
            _make(device.path, volume, plan.geometries.get(volume.base))
        for volume in layout.mounts:
            stack.enter_context(
                _mounted(
                    devices[volume.base],
                    mount_point,
                    volume,
                    plan.spans[volume.base].size,
                )
            )
        _fill(tree, mount_point, layout)
        yield Target(
            root=mount_point,
            image=image,
            environment=_environment(devices, plan.size),
        )


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Sizes, decided: of the disk, its parts, and what is made in them."""

    size: int
    spans: Mapping[str, Span]
    geometries: Mapping[str, Geometry]


def _planned(
    layout: Layout, usage: Mapping[str, Usage], size: int | None
) -> _Plan:
    """Sizes for everything.

    :raises errors.DiskTooSmall: the tree does not fit.
    """
    wanted = {
        volume.base: disk_size.geometry(
            usage[volume.mount_point or ""],
            extra=layout.extra,
            journal=_journal(layout, volume),
            limit=layout.limit if volume is layout.root else None,
        ).size
        for volume in layout.mounts
    }
    if layout.table is None:
        total = (size or wanted[IMAGE]) // SECTOR * SECTOR
        spans = {IMAGE: Span(0, total)}
    else:
        enough = disk_table.room(layout.table, wanted)
        total = (size or enough) // SECTOR * SECTOR
        spans = disk_table.spans(layout.table, total)
    geometries = {}
    for volume in layout.mounts:
        geometry = disk_size.geometry(
            usage[volume.mount_point or ""],
            size=spans[volume.base].size,
            journal=_journal(layout, volume),
            limit=layout.limit if volume is layout.root else None,
        )
        geometries[volume.base] = geometry
    _check_fit(layout, usage, total, geometries, wanted)
    return _Plan(total, spans, geometries)


def _check_fit(
    layout: Layout,
    usage: Mapping[str, Usage],
    total: int,
    geometries: Mapping[str, Geometry],
    wanted: Mapping[str, int],
) -> None:
    for volume in layout.mounts:
        geometry = geometries[volume.base]
        if disk_size.fits(geometry, usage[volume.mount_point or ""]):
            continue
        if volume is layout.root:
            enough = wanted[volume.base]
            if layout.table:
                enough = disk_table.room(layout.table, wanted)
            raise errors.DiskTooSmall(total, enough)
        raise errors.DiskTooSmall(
            geometry.size,
            wanted[volume.base],
            what=f"filesystem for {volume.mount_point}",
        )


def _check_room(directory: Path, usage: Mapping[str, Usage]) -> None:
    # A sparse file takes more than the host has without a word; the loop
    # device then fails when the kernel writes back, and cp has long ended.
    needed = sum(part.blocks for part in usage.values()) * disk_size.BLOCK
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise errors.DiskFull(
            directory, f"{needed} bytes are needed and {free} are free"
        )


def write_fstab(tree: Path, layout: Layout) -> None:
    """Replace the tree's /etc/fstab by what the layout says."""
    lines = [
        f"LABEL={v.label} {v.mount_point if v.type != 'swap' else 'none'} "
        f"{v.type} {v.fstab.options} {v.fstab.dump} {v.fstab.passno}\n"
        for v in layout.volumes
        if v.fstab
    ]
    path = mounts.place(tree, "etc") / "fstab"
    # A symlink of the tree's would be followed out of it.
    path.unlink(missing_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    path.chmod(0o644)


def _points(layout: Layout) -> Sequence[str]:
    return [volume.mount_point or "" for volume in layout.mounts]


def _journal(layout: Layout, volume: Volume) -> int | None:
    if volume.type in ("vfat", "ext2"):
        return 0
    return layout.journal if volume is layout.root else None


def _sparse_file(image: Path, size: int) -> None:
    fd = os.open(image, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _make(device: Path, volume: Volume, geometry: Geometry | None) -> None:
    identity = volume.uuid or str(uuid.uuid4())
    if volume.type == "swap":
        process.run(["mkswap", "-L", volume.label, "-U", identity, device])
    elif volume.type == "vfat":
        process.run(["mkfs.vfat", "-n", volume.label, *volume.options, device])
    else:
        process.run(
            [
                *("mke2fs", "-q", "-F", "-t", volume.type),
                *("-b", str(disk_size.BLOCK), "-I", "256"),
                *("-L", volume.label, "-U", identity),
                *_ext_options(volume, geometry),
                # Last, so that an element's own words win.
                *volume.options,
                device,
            ]
        )


def _ext_options(volume: Volume, geometry: Geometry | None) -> list[str]:
    # The file is new and reads as zeros, so nothing is gained by writing
    # them once more; and nothing is left for the guest's first boot to do.
    extended = "lazy_itable_init=0,lazy_journal_init=1,nodiscard"
    if geometry is None:
        return ["-E", extended]
    if geometry.resize:
        extended += f",resize={geometry.resize}"
    options = ["-E", extended, "-N", str(geometry.inodes)]
    if volume.type == "ext4":
        features = "64bit,metadata_csum"
        if geometry.meta_bg:
            features += ",meta_bg,^resize_inode"
        options += ["-O", features]
    if volume.type != "ext2":
        options += ["-J", f"size={geometry.journal // MiB}"]
    return options


@contextlib.contextmanager
def _mounted(
    device: loop.LoopDevice, root: Path, volume: Volume, size: int
) -> Iterator[None]:
    """One filesystem at its place, trimmed at the end."""
    point = str(volume.mount_point)
    place = mounts.place(root, point.lstrip("/")) if point != "/" else root
    if volume.type == "vfat":
        with disk_fat.mounted(device.path, place, size=size, point=point):
            yield
        # mtools leaves what it wrote in the device's cache.
        device.flush()
        return
    with mounts.mounted(device.path, place, "-t", volume.type):
        yield
        if volume.type in TRIMMED:
            # Blocks that were used and freed are still in the file; this
            # gives them back. What was never written never was in it.
            process.run(["sync", "--file-system", place])
            process.run(["fstrim", place])
    if volume.type in TRIMMED:
        # The kernel has noted where the filesystem was mounted; a directory
        # of this host is nobody's business.
        process.run(["tune2fs", "-M", "/", device.path])


def _fill(tree: Path, root: Path, layout: Layout) -> None:
    """Copy the tree as it is, its own root directory included."""
    points = [str(v.mount_point) for v in layout.mounts if v.type == "vfat"]
    with contextlib.ExitStack() as stack:
        for point in points:
            place = mounts.place(tree, point.lstrip("/"))
            disk_fat.fill(place, root / point.lstrip("/"), point)
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
