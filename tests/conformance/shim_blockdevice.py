"""diskimage-builder's tests of block devices, over this engine.

Its own test modules and configurations are read from where it is installed.
They find the engine under the names of what they test: the words are
theirs, the work is the engine's.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import importlib
from pathlib import Path
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import yaml

from dib_service.engine import errors, sizes
from dib_service.engine.disk import (
    blockdevice,
    blockdevice_yaml,
    layout,
    partitioning,
)
from tests.conformance import peer

THEIRS = "diskimage_builder.block_device"
MODULES = (
    "test_config",
    "test_gpt",
    "test_lvm",
    "test_mbr",
    "test_mkfs",
    "test_mount_order",
    "test_state",
    "test_utils",
)

# How each of our refusals begins, and what diskimage-builder says there.
SAYINGS = (
    (r"must have one key", "Config entry top-level should be a single dict:"),
    (r"\.label: '(.*)' is there twice", "label [{}] used more than once"),
    (r"\.name: '(.*)' is there twice", "Duplicate node name: {}"),
    (r"there is no '(.*?)'", "Edge not defined: {}"),
    (r"'(.*)' is longer than", "Label [{}] too long for filesystem"),
)


class BlockDeviceSetupException(Exception):
    """What diskimage-builder raises where we raise a LayoutError."""


class _Unused(ModuleType):
    """A module of which tests import names that only others of them use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class MBR:
    """A table on a disk, which gets its partitions one by one."""

    def __init__(self, path: str, size: int, align: int) -> None:
        self._path = Path(path)
        self._size = size
        self._align = align
        self._partitions: list[layout.Partition] = []

    def __enter__(self) -> "MBR":
        return self

    def add_partition(
        self, primary: bool, boot: bool, size: int, kind: int
    ) -> None:
        self._partitions.append(
            layout.Partition(
                name=str(len(self._partitions)),
                size=sizes.Size(bytes=size),
                type=f"{kind:02X}",
                bootable=boot,
                logical=not primary,
            )
        )

    def __exit__(self, *_: object) -> None:
        table = layout.Table("mbr", tuple(self._partitions), self._align)
        places = partitioning.spans(table, self._size)
        partitioning.write(self._path, table, places, 512)


def config_tree_to_graph(config: Any) -> list[dict[str, Any]]:
    """What we read, in their form."""
    with _said_as_theirs():
        return [
            {node.plugin: _own(node)}
            for node in blockdevice_yaml.nodes(yaml.safe_dump(config))
        ]


def create_graph(
    config: Any, default_config: object, state: object
) -> tuple[None, list[SimpleNamespace]]:
    """What would be made, in its order; they ask for the names only."""
    if not any("local_loop" in item for item in config):
        # They look at each item by itself; we take no image without a disk.
        config = [{"local_loop": {"name": "image0"}}, *config]
    text = yaml.safe_dump(config)
    with _said_as_theirs():
        found = blockdevice.parse(text, {})
    return None, [SimpleNamespace(name=each) for each in order(text, found)]


def order(text: str, found: layout.Layout) -> Iterator[str]:
    """The names of a configuration's nodes, as the engine makes them."""
    for disk in found.disks:
        yield disk.name
        yield from (place for place in disk.places if disk.table)
        yield from (volume.name for volume in found.on(disk))
    above = {
        (node.plugin, node.base): node.name
        for node in blockdevice_yaml.nodes(text)
    }
    for volume in found.mounts:
        mount = above["mount", volume.name]
        yield mount
        if volume.fstab:
            yield above["fstab", mount]


def parse_rel_size_spec(text: str, whole: int) -> tuple[bool, int]:
    size = _size(text)
    if size.percent:
        return True, int(whole * size.percent / 100)
    return False, size.bytes


def parse_abs_size_spec(text: str) -> int:
    return _size(text).bytes


def image_create(path: str, size: int) -> None:
    """A sparse file: their tests' own surroundings."""
    with Path(path).open("wb") as file:
        file.truncate(size)


def their_tests() -> Mapping[str, ModuleType]:
    """Their test modules by name, with our engine under their names."""
    tests = peer.package() / "block_device/tests"
    with mock.patch.dict(sys.modules, _stand_ins(tests)):
        return {
            name: importlib.import_module(f"{THEIRS}.tests.{name}")
            for name in MODULES
        }


def _stand_ins(tests: Path) -> dict[str, ModuleType]:
    ours: dict[str, Mapping[str, Any]] = {
        "config": {
            "config_tree_to_graph": config_tree_to_graph,
            "create_graph": create_graph,
        },
        "exception": {"BlockDeviceSetupException": BlockDeviceSetupException},
        "level0.localloop": {"image_create": image_create},
        "level1.mbr": {"MBR": MBR},
        "utils": {
            "parse_abs_size_spec": parse_abs_size_spec,
            "parse_rel_size_spec": parse_rel_size_spec,
        },
    }
    unused = (
        "blockdevice",
        "level1.lvm",
        "level1.partition",
        "level1.partitioning",
        "level2.mkfs",
        "level3.mount",
    )
    found: dict[str, ModuleType] = {"stevedore": _Unused("stevedore")}
    for name in ("", "level0", "level1", "level2", "level3", "tests"):
        full = f"{THEIRS}.{name}".rstrip(".")
        found[full] = ModuleType(full)
        found[full].__path__ = [str(tests)] if name == "tests" else []
    root = THEIRS.partition(".")[0]
    found[root] = ModuleType(root)
    found[root].__path__ = []
    for name in unused:
        found[f"{THEIRS}.{name}"] = _Unused(name)
    for name, members in ours.items():
        found[f"{THEIRS}.{name}"] = _Unused(name)
        vars(found[f"{THEIRS}.{name}"]).update(members)
    _tie(found)
    return found


def _tie(modules: Mapping[str, ModuleType]) -> None:
    """Let "import a.b as c" find each module in the one above it."""
    for name, module in modules.items():
        above, _, own = name.rpartition(".")
        if above in modules:
            setattr(modules[above], own, module)


def _own(node: blockdevice_yaml.Node) -> dict[str, Any]:
    found: dict[str, Any] = {**node.options, "name": node.name}
    if node.base:
        found["base"] = node.base
    if node.partitions:
        found["partitions"] = [
            {**child.options, "base": node.base} for child in node.partitions
        ]
    return found


def _size(text: str) -> sizes.Size:
    try:
        return sizes.parse(text, "size")
    except errors.LayoutError as exc:
        raise RuntimeError(str(exc)) from exc


@contextlib.contextmanager
def _said_as_theirs() -> Iterator[None]:
    try:
        yield
    except errors.LayoutError as exc:
        raise BlockDeviceSetupException(_saying(str(exc))) from exc


def _saying(text: str) -> str:
    for ours, theirs in SAYINGS:
        match = re.search(ours, text)
        if match:
            return theirs.format(*match.groups())
    return text


def configurations() -> Sequence[Path]:
    """All their sample configurations."""
    directory = peer.package() / "block_device/tests/config"
    return sorted(directory.glob("*.yaml"))
