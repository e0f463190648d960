"""What disk an image has: diskimage-builder's YAML as one frozen value.

Nothing here touches a disk. A configuration that we cannot follow is
refused before the build starts, and the refusal names the key.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Literal

from dib_service.engine import blockdevice_yaml, errors, sizes
from dib_service.engine.blockdevice_yaml import Node
from dib_service.engine.sizes import KiB, MiB, PiB

# The filesystem that a machine finds its root by (spec.ROOT_LABEL).
ROOT_LABEL = "cloudimg-rootfs"

# Where the longest label that a filesystem can hold ends, in characters.
LABEL_LENGTHS = {
    "ext2": 16,
    "ext3": 16,
    "ext4": 16,
    "vfat": 11,
    "swap": 16,
}

# A root that cannot be grown, trimmed and looked into is not one for us.
ROOT_TYPES = ("ext4", "ext3", "ext2")

# The images have one disk, and it has the name that the contract gives it.
IMAGE = "image0"

# What ext4 can be grown to; whoever asks for more has made a mistake.
LARGEST = PiB

BUILT_IN = """
- local_loop:
    name: image0
    mkfs:
      name: mkfs_root
      mount:
        mount_point: /
        fstab:
          options: defaults
          fsck-passno: 1
"""


@dataclasses.dataclass(frozen=True)
class Partition:
    """One partition; ``type`` as it stands in its table's words."""

    name: str
    size: sizes.Size
    type: str
    bootable: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A partition table; a partition starts at a multiple of ``align``."""

    label: Literal["mbr", "gpt"]
    partitions: tuple[Partition, ...]
    align: int = MiB


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


@dataclasses.dataclass(frozen=True)
class Layout:
    """A whole disk, every default decided.

    ``extra`` is room beside what the tree needs, ``journal`` the size of
    the root's journal where it is not ours to choose, ``limit`` the size
    in bytes that the root must be able to grow to.
    """

    volumes: tuple[Volume, ...]
    table: Table | None = None
    size: int | None = None
    block_size: int = 512
    extra: int | None = None
    journal: int | None = None
    limit: int | None = None

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
        placed = [v for v in self.volumes if _is_path(v.mount_point)]
        return tuple(sorted(placed, key=lambda v: v.mount_point or ""))

    @property
    def environment(self) -> Mapping[str, str]:
        """What the contract tells every hook about the disk."""
        boot = [v.label for v in self.volumes if v.mount_point == "/boot"]
        return {
            "DIB_ROOT_LABEL": self.root.label,
            "DIB_ROOT_FSTYPE": self.root.type,
            "DIB_BOOT_LABEL": boot[0] if boot else "",
            "DIB_MOUNTPOINTS": "|".join(
                v.mount_point or "" for v in self.mounts
            ),
        }


def load(
    element_dirs: Sequence[Path],
    architecture: str,
    environment: Mapping[str, str],
) -> Layout:
    """The disk of an image made of these elements, in their order.

    ``architecture`` is the contract's ARCH (amd64, arm64).

    :raises errors.LayoutError: nothing that we could build, and why.
    """
    text = _chosen(element_dirs, architecture, environment)
    return parse(text, environment)


def parse(text: str, environment: Mapping[str, str]) -> Layout:
    """The disk that a YAML text describes.

    :raises errors.LayoutError: nothing that we could build, and why.
    """
    nodes = blockdevice_yaml.nodes(text)
    loop = _only_loop(nodes)
    table = _table(nodes)
    volumes = tuple(_volumes(nodes, environment))
    block_size = environment.get("DIB_BLOCK_SIZE")
    layout = Layout(
        volumes=volumes,
        table=table,
        size=_loop_size(loop),
        block_size=_block_size(loop, block_size),
        extra=_setting(environment, "DIB_IMAGE_EXTRA_SIZE", MiB),
        journal=_setting(environment, "DIB_JOURNAL_SIZE", MiB),
        limit=_setting(environment, "MAX_ONLINE_RESIZE", 4 * KiB),
    )
    _check(layout, nodes)
    return layout


def _chosen(
    element_dirs: Sequence[Path],
    architecture: str,
    environment: Mapping[str, str],
) -> str:
    given = environment.get("DIB_BLOCK_DEVICE_CONFIG", "")
    if given.startswith("file://"):
        return _read(Path(given.removeprefix("file://")))
    if given:
        return given
    suffix = {"ppc64le": "ppc64el"}.get(architecture, architecture)
    for directory in element_dirs:
        for name in (suffix, "default"):
            path = directory / f"block-device-{name}.yaml"
            if path.is_file():
                return _read(path)
    return BUILT_IN


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        problem = getattr(exc, "strerror", None) or "is not UTF-8"
        raise errors.LayoutError(str(path), problem) from exc


def _only_loop(nodes: Sequence[Node]) -> Node:
    loops = [n for n in nodes if n.plugin == "local_loop"]
    if not loops:
        raise errors.LayoutError("local_loop", "there is none")
    for extra in loops[1:]:
        # DIB makes further disks and then throws them away.
        raise errors.LayoutError(
            extra.where, f"only one disk, '{IMAGE}', makes an image"
        )
    if loops[0].name != IMAGE:
        raise errors.LayoutError(
            f"{loops[0].where}.name", f"must be '{IMAGE}'"
        )
    return loops[0]


def _loop_size(loop: Node) -> int | None:
    if "size" not in loop.options:
        return None
    size = sizes.parse(loop.options["size"], f"{loop.where}.size")
    if size.percent:
        raise errors.LayoutError(f"{loop.where}.size", "of what?")
    return size.bytes


def _block_size(loop: Node, override: str | None) -> int:
    where = f"{loop.where}.block_size"
    given = loop.options.get("block_size", 512)
    if override:
        where, given = "DIB_BLOCK_SIZE", override
    if str(given) not in ("512", "4096"):
        raise errors.LayoutError(where, "must be 512 or 4096")
    return int(str(given))


def _table(nodes: Sequence[Node]) -> Table | None:
    tables = [n for n in nodes if n.plugin == "partitioning"]
    if not tables:
        return None
    for extra in tables[1:]:
        raise errors.LayoutError(extra.where, "the disk has a table already")
    node = tables[0]
    if node.base != IMAGE:
        raise errors.LayoutError(f"{node.where}.base", f"must be '{IMAGE}'")
    label = node.word("label")
    if label == "mbr":
        kind: Literal["mbr", "gpt"] = "mbr"
    elif label == "gpt":
        kind = "gpt"
    else:
        raise errors.LayoutError(f"{node.where}.label", "must be mbr or gpt")
    align = sizes.parse(
        node.options.get("align", "1MiB"), f"{node.where}.align"
    )
    if align.bytes < 4096 or align.bytes % 4096:
        raise errors.LayoutError(
            f"{node.where}.align", "must be a multiple of 4KiB"
        )
    partitions = tuple(_partition(child, kind) for child in node.partitions)
    if kind == "mbr" and len(partitions) > 4:
        raise errors.LayoutError(
            f"{node.where}.partitions", "mbr has room for four; take gpt"
        )
    return Table(label=kind, partitions=partitions, align=align.bytes)


def _partition(node: Node, label: Literal["mbr", "gpt"]) -> Partition:
    flags = node.options.get("flags", [])
    if not isinstance(flags, list):
        raise errors.LayoutError(f"{node.where}.flags", "must be a list")
    known = {"mbr": ("boot", "primary"), "gpt": ("boot",)}[label]
    for flag in flags:
        if flag not in known:
            raise errors.LayoutError(
                f"{node.where}.flags",
                f"{flag!r} is none of {', '.join(known)}",
            )
    if "size" not in node.options:
        raise errors.LayoutError(f"{node.where}.size", "is missing")
    return Partition(
        name=node.name,
        size=sizes.parse(node.options["size"], f"{node.where}.size"),
        type=_partition_type(node, label),
        bootable="boot" in flags,
    )


def _partition_type(node: Node, label: str) -> str:
    default = {"mbr": "83", "gpt": "8300"}[label]
    given = node.options.get("type", default)
    # YAML reads 0x83 as a number, 8300 as another, EF02 as a word.
    if isinstance(given, int) and label == "mbr":
        text = f"{given:02x}"
    else:
        text = str(given).removeprefix("0x")
    longest = {"mbr": 0xFF, "gpt": 0xFFFF}[label]
    try:
        number = int(text, 16)
    except ValueError:
        number = -1
    if not 0 < number <= longest:
        raise errors.LayoutError(
            f"{node.where}.type",
            f"{given!r} is not a partition type of {label}",
        )
    return text.upper()


def _volumes(
    nodes: Sequence[Node], environment: Mapping[str, str]
) -> Iterator[Volume]:
    mounts = _by_base(nodes, "mount")
    tables = _by_base(nodes, "fstab")
    for node in nodes:
        if node.plugin != "mkfs":
            continue
        mount = mounts.pop(node.name, None)
        fstab = tables.pop(mount.name, None) if mount else None
        yield _volume(node, mount, fstab, environment)
    for orphan in (*mounts.values(), *tables.values()):
        raise errors.LayoutError(
            f"{orphan.where}.base", f"there is no '{orphan.base}'"
        )


def _by_base(nodes: Sequence[Node], plugin: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in nodes:
        if node.plugin == plugin and found.setdefault(node.base, node) != node:
            raise errors.LayoutError(
                f"{node.where}.base", f"'{node.base}' has a {plugin} already"
            )
    return found


def _volume(
    node: Node,
    mount: Node | None,
    fstab: Node | None,
    environment: Mapping[str, str],
) -> Volume:
    mount_point = mount.word("mount_point") if mount else None
    is_root = mount_point == "/" or node.name == "mkfs_root"
    kind = node.options.get("type")
    if kind is None and is_root:
        kind = environment.get("FS_TYPE") or "ext4"
    label = node.options.get("label")
    if label is None:
        # DIB goes by the name mkfs_root alone: a root of another name
        # loses the label that the machine looks for.
        label = node.name
        if is_root:
            label = environment.get("ROOT_LABEL") or ROOT_LABEL
    options = str(node.options.get("opts", "")).split()
    if is_root:
        options += environment.get("MKFS_OPTS", "").split()
    uuid = node.options.get("uuid")
    volume = Volume(
        base=node.base,
        name=node.name,
        type=str(kind),
        label=str(label).upper() if kind == "vfat" else str(label),
        options=tuple(options),
        uuid=None if uuid is None else str(uuid),
        mount_point=mount_point,
        fstab=_fstab(fstab),
    )
    _check_volume(volume, node, mount)
    return volume


def _fstab(node: Node | None) -> Fstab | None:
    if node is None:
        return None
    options = str(node.options.get("options", "defaults"))
    if not _is_word(options):
        raise errors.LayoutError(f"{node.where}.options", "must be one word")
    return Fstab(
        options=options,
        dump=node.number("dump-freq", 0),
        passno=node.number("fsck-passno", 2),
    )


def _check_volume(volume: Volume, node: Node, mount: Node | None) -> None:
    if volume.type not in LABEL_LENGTHS:
        raise errors.LayoutError(
            f"{node.where}.type",
            f"{volume.type!r} is not one of {', '.join(LABEL_LENGTHS)}",
        )
    if len(volume.label) > LABEL_LENGTHS[volume.type]:
        raise errors.LayoutError(
            f"{node.where}.label",
            f"'{volume.label}' is longer than the "
            f"{LABEL_LENGTHS[volume.type]} characters of {volume.type}",
        )
    if volume.label and not _is_word(volume.label):
        raise errors.LayoutError(
            f"{node.where}.label", "has a character that fstab cannot hold"
        )
    if mount is None:
        return
    point = volume.mount_point or ""
    parts = point.split("/")
    if volume.type == "swap":
        return
    if not _is_path(point) or ".." in parts or not _is_word(point):
        raise errors.LayoutError(
            f"{mount.where}.mount_point",
            "must be an absolute path without blanks",
        )


def _check(layout: Layout, nodes: Sequence[Node]) -> None:
    bases = {IMAGE}
    if layout.table:
        bases = {p.name for p in layout.table.partitions}
    _unique("label", [v.label for v in layout.volumes])
    _unique("base", [v.base for v in layout.volumes])
    _unique("mount_point", [v.mount_point or "" for v in layout.mounts])
    for node in nodes:
        if node.plugin == "mkfs" and node.base not in bases:
            raise errors.LayoutError(
                f"{node.where}.base", f"there is no '{node.base}' to fill"
            )
    if not any(v.mount_point == "/" for v in layout.volumes):
        raise errors.LayoutError("mount", "nothing is mounted at /")
    if layout.root.type not in ROOT_TYPES:
        raise errors.LayoutError(
            "mkfs.type",
            f"a root of {layout.root.type} is not supported, "
            f"take one of {', '.join(ROOT_TYPES)}",
        )


def _unique(key: str, values: Sequence[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise errors.LayoutError(key, f"'{value}' is there twice")


def _setting(
    environment: Mapping[str, str], name: str, unit: int
) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    size = int(sizes.number(text, name) * unit)
    if size > LARGEST:
        raise errors.LayoutError(name, f"{text} is more than 1 PiB")
    return size


def _is_path(mount_point: str | None) -> bool:
    return bool(mount_point) and str(mount_point).startswith("/")


def _is_word(text: str) -> bool:
    """Whether fstab takes it for one field."""
    return bool(text) and text.isprintable() and " " not in text
