"""Reads the ``partitioning`` of a block device configuration."""

import re
from typing import Literal

from dib_service.engine import errors, sizes
from dib_service.engine.disk.blockdevice_yaml import Node
from dib_service.engine.disk.layout import Partition, Table

Label = Literal["mbr", "gpt"]

# Of each kind: the flags that a partition can have, its default type, the
# largest type, and how many partitions the table has room for.
FLAGS: dict[Label, tuple[str, ...]] = {
    "mbr": ("boot", "primary"),
    "gpt": ("boot",),
}
DEFAULT_TYPE: dict[Label, str] = {"mbr": "83", "gpt": "8300"}
LARGEST_TYPE: dict[Label, int] = {"mbr": 0xFF, "gpt": 0xFFFF}
# The kernel gives a disk 256 device numbers.
MOST: dict[Label, int] = {"mbr": 255, "gpt": 128}

LONGEST_GPT_NAME = 36
GUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def table(node: Node) -> Table:
    """The partition table that a node describes.

    :raises errors.LayoutError: it cannot be made, and why.
    """
    label = _label(node)
    align = sizes.parse(
        node.options.get("align", "1MiB"), f"{node.where}.align"
    )
    if align.bytes < 4096 or align.bytes % 4096:
        raise errors.LayoutError(
            f"{node.where}.align", "must be a multiple of 4KiB"
        )
    partitions = tuple(_partition(child, label) for child in node.partitions)
    _check(node, label, partitions)
    return Table(label=label, partitions=partitions, align=align.bytes)


def _label(node: Node) -> Label:
    label = node.word("label")
    if label == "mbr":
        return "mbr"
    if label == "gpt":
        return "gpt"
    raise errors.LayoutError(f"{node.where}.label", "must be mbr or gpt")


def _partition(node: Node, label: Label) -> Partition:
    flags = node.options.get("flags") or []
    if not isinstance(flags, list):
        raise errors.LayoutError(f"{node.where}.flags", "must be a list")
    for flag in flags:
        if flag not in FLAGS[label]:
            raise errors.LayoutError(
                f"{node.where}.flags",
                f"{flag!r} is none of {', '.join(FLAGS[label])}, "
                f"which {label} has",
            )
    if "size" not in node.options:
        raise errors.LayoutError(f"{node.where}.size", "is missing")
    return Partition(
        name=node.name,
        size=sizes.parse(node.options["size"], f"{node.where}.size"),
        type=_type(node, label),
        bootable="boot" in flags,
        logical=label == "mbr" and "primary" not in flags,
    )


def _type(node: Node, label: Label) -> str:
    given = node.options.get("type", DEFAULT_TYPE[label])
    text = str(given).upper().removeprefix("0X")
    if label == "gpt" and GUID.fullmatch(text):
        return text
    number = int(text, 16) if re.fullmatch("[0-9A-F]{1,4}", text) else -1
    if not 0 < number <= LARGEST_TYPE[label]:
        raise errors.LayoutError(
            f"{node.where}.type",
            f"{given!r} is not a partition type of {label}",
        )
    return text


def _check(
    node: Node, label: Label, partitions: tuple[Partition, ...]
) -> None:
    where = f"{node.where}.partitions"
    if len(partitions) > MOST[label]:
        raise errors.LayoutError(
            where, f"{label} has room for {MOST[label]} of them"
        )
    logical = [p.logical for p in partitions]
    if logical != sorted(logical):
        # As diskimage-builder has it: the extended partition is the last.
        raise errors.LayoutError(
            where, "those with the flag 'primary' have to come first"
        )
    if logical.count(False) + any(logical) > 4 and label == "mbr":
        raise errors.LayoutError(
            where,
            "an mbr has room for four with the flag 'primary', or for "
            "three and any number without it",
        )
    whole = False
    for child, partition in zip(node.partitions, partitions, strict=True):
        if whole and partition.size.percent:
            raise errors.LayoutError(
                f"{child.where}.size",
                "a partition before it has 100% of what is left",
            )
        whole = whole or partition.size.percent == 100
        if label == "gpt" and len(partition.name) > LONGEST_GPT_NAME:
            raise errors.LayoutError(
                f"{child.where}.name",
                f"is longer than the {LONGEST_GPT_NAME} characters of gpt",
            )
