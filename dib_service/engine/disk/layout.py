"""What disks an image has: frozen values, every default decided.

Nothing here touches a disk or reads a configuration (``blockdevice``).
"""

from collections.abc import Mapping
import dataclasses
from typing import Literal

from dib_service.engine import sizes
from dib_service.engine.sizes import MiB

# The filesystem that a machine finds its root by (spec.ROOT_LABEL).
ROOT_LABEL = "cloudimg-rootfs"

# XFS has no room for that one; this is diskimage-builder's other.
XFS_ROOT_LABEL = "img-rootfs"

# The disk that the image is: it has the name that the contract gives it.
IMAGE = "image0"

# The types of filesystem that we make, with the bytes of their labels.
LABEL_LENGTHS: Mapping[str, int] = {
    "ext2": 16,
    "ext3": 16,
    "ext4": 16,
    "xfs": 12,
    "btrfs": 255,
    "vfat": 11,
    "swap": 16,
}
EXT = ("ext2", "ext3", "ext4")

# A root needs owners, modes and links, and has to grow.
ROOT_TYPES = (*EXT, "xfs", "btrfs")


@dataclasses.dataclass(frozen=True)
class Partition:
    """One partition; ``type`` as it stands in its table's words.

    ``logical`` ones lie in the extended partition of an MBR.
    """

    name: str
    size: sizes.Size
    type: str
    bootable: bool = False
    logical: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A partition table; a partition starts at a multiple of ``align``."""

    label: Literal["mbr", "gpt"]
    partitions: tuple[Partition, ...]
    align: int = MiB


@dataclasses.dataclass(frozen=True)
class Disk:
    """One disk: ``size`` in bytes or, for just large enough, ``None``."""

    name: str
    table: Table | None = None
    size: int | None = None
    block_size: int = 512

    @property
    def places(self) -> tuple[str, ...]:
        """What filesystems can be made in: its partitions, or itself."""
        if self.table:
            return tuple(p.name for p in self.table.partitions)
        return (self.name,)


@dataclasses.dataclass(frozen=True)
class Fstab:
    """What an image's /etc/fstab says of a filesystem."""

    options: str = "defaults"
    dump: int = 0
    passno: int = 2


@dataclasses.dataclass(frozen=True)
class Volume:
    """A filesystem: where it lies, and where the image has it mounted.

    ``base`` is a partition's name, or the disk's where there is no table.
    """

    base: str
    name: str
    type: str
    label: str
    options: tuple[str, ...] = ()
    uuid: str | None = None
    mount_point: str | None = None
    fstab: Fstab | None = None

    @property
    def mounted(self) -> bool:
        """Whether the tree has a place for it; swap has none."""
        return self.type != "swap" and self.mount_point is not None


@dataclasses.dataclass(frozen=True)
class Layout:
    """All disks, the image's own first, and all filesystems on them.

    ``extra`` is room beside what the tree needs, ``journal`` the size of
    the root's journal where it is not ours to choose, ``limit`` the size
    in bytes that the root must be able to grow to. ``text`` is the YAML.
    """

    disks: tuple[Disk, ...]
    volumes: tuple[Volume, ...]
    extra: int | None = None
    journal: int | None = None
    limit: int | None = None
    text: str = ""

    @property
    def table(self) -> Table | None:
        """The partition table of the image."""
        return self.disks[0].table

    @property
    def size(self) -> int | None:
        """The size of the image that its configuration asks for."""
        return self.disks[0].size

    @property
    def block_size(self) -> int:
        """The bytes of a sector of the image."""
        return self.disks[0].block_size

    @property
    def kind(self) -> Literal["whole-disk", "partition"]:
        """Whether the image has a partition table or is a filesystem."""
        return "whole-disk" if self.table else "partition"

    @property
    def root(self) -> Volume:
        """The filesystem mounted at /."""
        return next(v for v in self.volumes if v.mount_point == "/")

    @property
    def mounts(self) -> tuple[Volume, ...]:
        """What is mounted, parents before what lies in them."""
        placed = [v for v in self.volumes if v.mounted]
        return tuple(sorted(placed, key=lambda v: v.mount_point or ""))

    @property
    def environment(self) -> Mapping[str, str]:
        """What the contract tells every hook about the disk."""
        boot = [v.label for v in self.volumes if v.mount_point == "/boot"]
        points = [v.mount_point for v in self.volumes if v.mount_point]
        return {
            "DIB_ROOT_LABEL": self.root.label,
            "DIB_ROOT_FSTYPE": self.root.type,
            "DIB_BOOT_LABEL": boot[0] if boot else "",
            "DIB_MOUNTPOINTS": "|".join(points),
        }

    def on(self, disk: Disk) -> tuple[Volume, ...]:
        """The filesystems of one disk."""
        return tuple(v for v in self.volumes if v.base in disk.places)
