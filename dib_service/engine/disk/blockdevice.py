"""Reads what disks an image has: diskimage-builder's YAML as one value.

A configuration that we cannot follow is refused before the build starts, and
the refusal names the key.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dib_service.engine import errors, sizes
from dib_service.engine.disk import blockdevice_table, blockdevice_yaml
from dib_service.engine.disk.blockdevice_yaml import Node
from dib_service.engine.disk.layout import (
    EXT,
    IMAGE,
    LABEL_LENGTHS,
    ROOT_LABEL,
    ROOT_TYPES,
    XFS_ROOT_LABEL,
    Disk,
    Fstab,
    Volume,
)
from dib_service.engine.disk.layout import Layout as Layout
from dib_service.engine.sizes import EiB, KiB, MiB, PiB

# What a filesystem can be grown to at the most, in bytes; whoever asks for
# more has made a mistake.
LARGEST = {**dict.fromkeys(EXT, PiB), "xfs": 8 * EiB, "btrfs": 8 * EiB}

# As many as an MBR can count.
MBR_SECTORS = 2**32 - 1

# ext has no journal of fewer than 1024 blocks.
SMALLEST_JOURNAL = 4 * MiB

# What FAT cannot have in a label.
NOT_IN_VFAT_LABEL = frozenset('"*+,./:;<=>?[\\]|')

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
    disks = _disks(nodes, environment.get("DIB_BLOCK_SIZE"))
    volumes = tuple(_volumes(nodes, environment))
    _check(disks, volumes, nodes)
    layout = Layout(
        disks=disks,
        volumes=volumes,
        extra=_setting(environment, "DIB_IMAGE_EXTRA_SIZE", MiB),
        journal=_setting(environment, "DIB_JOURNAL_SIZE", MiB),
        limit=_setting(environment, "MAX_ONLINE_RESIZE", 4 * KiB),
        text=text,
    )
    if layout.journal is not None and layout.journal < SMALLEST_JOURNAL:
        raise errors.LayoutError("DIB_JOURNAL_SIZE", "must be 4 or more")
    most = LARGEST[layout.root.type]
    if layout.limit is not None and layout.limit > most:
        raise errors.LayoutError(
            "MAX_ONLINE_RESIZE",
            f"{layout.root.type} ends at {most} bytes",
        )
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


def _disks(nodes: Sequence[Node], block_size: str | None) -> tuple[Disk, ...]:
    """All disks, the image's own first."""
    tables = _by_base(nodes, "partitioning")
    loops = [node for node in nodes if node.plugin == "local_loop"]
    names = [loop.name for loop in loops]
    if IMAGE not in names:
        raise errors.LayoutError(
            "local_loop", f"there is none with the name '{IMAGE}'"
        )
    for table in tables.values():
        if table.base not in names:
            raise errors.LayoutError(
                f"{table.where}.base", f"there is no disk '{table.base}'"
            )
    disks = [_disk(loop, tables.get(loop.name), block_size) for loop in loops]
    return tuple(sorted(disks, key=lambda disk: disk.name != IMAGE))


def _disk(loop: Node, table: Node | None, block_size: str | None) -> Disk:
    # It becomes the name of a file.
    if not loop.name.replace("-", "_").isidentifier():
        raise errors.LayoutError(
            f"{loop.where}.name", f"{loop.name!r} is not a word"
        )
    size = None
    if "size" in loop.options:
        given = sizes.parse(loop.options["size"], f"{loop.where}.size")
        if given.percent:
            raise errors.LayoutError(f"{loop.where}.size", "of what?")
        size = given.bytes
    disk = Disk(
        name=loop.name,
        table=blockdevice_table.table(table) if table else None,
        size=size,
        block_size=_block_size(loop, block_size),
    )
    most = MBR_SECTORS * disk.block_size
    if size and disk.table and disk.table.label == "mbr" and size > most:
        raise errors.LayoutError(
            f"{loop.where}.size", f"an mbr ends at {most} bytes; take gpt"
        )
    return disk


def _block_size(loop: Node, override: str | None) -> int:
    where = f"{loop.where}.block_size"
    given = loop.options.get("block_size", 512)
    if override:
        where, given = "DIB_BLOCK_SIZE", override
    if str(given) not in ("512", "4096"):
        raise errors.LayoutError(where, "must be 512 or 4096")
    return int(str(given))


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
        if node.plugin != plugin:
            continue
        if found.setdefault(node.base, node) is not node:
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
    mount_point = _mount_point(mount) if mount else None
    is_root = mount_point == "/" or node.name == "mkfs_root"
    kind = _type(node, environment, is_root=is_root)
    swap = kind == "swap"
    uuid = node.options.get("uuid")
    volume = Volume(
        base=node.base,
        name=node.name,
        type=kind,
        label=_label(node, kind, environment, is_root=is_root),
        options=_options(node, environment, is_root=is_root),
        uuid=None if uuid is None else str(uuid),
        mount_point="none" if swap and mount else mount_point,
        fstab=_fstab(fstab, swap=swap),
    )
    _check_volume(volume, node, mount)
    return volume


def _mount_point(mount: Node) -> str:
    """Where it is mounted: one place in one form, /boot and not //boot/."""
    given = mount.word("mount_point")
    if not given.startswith("/"):
        # Of swap it says nothing, and of anything else it is refused.
        return given
    parts = (part for part in given.split("/") if part not in ("", "."))
    return f"/{'/'.join(parts)}"


def _type(node: Node, environment: Mapping[str, str], *, is_root: bool) -> str:
    kind = node.options.get("type")
    if kind is None and is_root:
        kind = environment.get("FS_TYPE") or "ext4"
    if kind is None:
        raise errors.LayoutError(f"{node.where}.type", "is missing")
    # The kernel has it by one name only.
    kind = "vfat" if kind == "fat" else str(kind)
    if kind not in LABEL_LENGTHS:
        raise errors.LayoutError(
            f"{node.where}.type",
            f"{kind!r} is not one of {', '.join(LABEL_LENGTHS)}",
        )
    if is_root and kind not in ROOT_TYPES:
        raise errors.LayoutError(
            f"{node.where}.type",
            f"a root of {kind} is not supported, "
            f"take one of {', '.join(ROOT_TYPES)}",
        )
    return kind


def _label(
    node: Node, kind: str, environment: Mapping[str, str], *, is_root: bool
) -> str:
    label = node.options.get("label")
    if label is None:
        # DIB goes by the name mkfs_root alone: a root of another name
        # loses the label that the machine looks for.
        label = node.name
        if is_root:
            label = environment.get("ROOT_LABEL") or (
                XFS_ROOT_LABEL if kind == "xfs" else ROOT_LABEL
            )
    return str(label).upper() if kind == "vfat" else str(label)


def _options(
    node: Node, environment: Mapping[str, str], *, is_root: bool
) -> tuple[str, ...]:
    given = node.options.get("opts")
    if given is None and is_root:
        given = environment.get("MKFS_OPTS")
    return tuple(str(given or "").split())


def _fstab(node: Node | None, *, swap: bool) -> Fstab | None:
    if node is None:
        return None
    options = str(node.options.get("options", "defaults"))
    if not _is_word(options):
        raise errors.LayoutError(f"{node.where}.options", "must be one word")
    if swap:
        return Fstab(options="sw", dump=0, passno=0)
    return Fstab(
        options=options,
        dump=node.number("dump-freq", 0),
        passno=node.number("fsck-passno", 2),
    )


def _check_volume(volume: Volume, node: Node, mount: Node | None) -> None:
    where = f"{node.where}.label"
    longest = LABEL_LENGTHS[volume.type]
    if len(volume.label.encode()) > longest:
        raise errors.LayoutError(
            where,
            f"'{volume.label}' is longer than the {longest} characters of "
            f"{volume.type}",
        )
    if not _is_word(volume.label):
        raise errors.LayoutError(
            where, "has a character that fstab cannot hold"
        )
    if volume.type == "vfat" and NOT_IN_VFAT_LABEL.intersection(volume.label):
        raise errors.LayoutError(
            where, "has a character that vfat does not take"
        )
    if mount is None or not volume.mounted:
        return
    point = str(volume.mount_point)
    parts = point.split("/")
    if parts[0] or ".." in parts or not _is_word(point):
        raise errors.LayoutError(
            f"{mount.where}.mount_point",
            "must be an absolute path without blanks",
        )


def _check(
    disks: Sequence[Disk], volumes: Sequence[Volume], nodes: Sequence[Node]
) -> None:
    places = {place for disk in disks for place in disk.places}
    for node in nodes:
        if node.plugin == "mkfs" and node.base not in places:
            raise errors.LayoutError(
                f"{node.where}.base", f"there is no '{node.base}' to fill"
            )
    _unique("mkfs.label", [v.label for v in volumes])
    _unique("mkfs.base", [v.base for v in volumes])
    _unique(
        "mount.mount_point", [str(v.mount_point) for v in volumes if v.mounted]
    )
    roots = [v for v in volumes if v.mount_point == "/"]
    if not roots:
        raise errors.LayoutError("mount", "nothing is mounted at /")
    if roots[0].base not in disks[0].places:
        raise errors.LayoutError(
            "mount", f"what is mounted at / is not on '{IMAGE}'"
        )
    filled = [volume.base for volume in volumes]
    for disk in disks:
        if not (disk.size or disk.table or disk.name in filled):
            raise errors.LayoutError(
                "local_loop.size", f"nothing says how large '{disk.name}' is"
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
    if size > 8 * EiB:
        raise errors.LayoutError(name, f"{text} is more than 8 EiB")
    return size


def _is_word(text: str) -> bool:
    """Whether fstab takes it for one field."""
    return bool(text) and text.isprintable() and " " not in text
