"""What a finished product claims to start by: the plan of its test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dib_service.engine.disk.layout import Layout
from dib_service.engine.gate import faults
from dib_service.engine.gate.plan import Firmware, Plan, Settings
from dib_service.engine.output.files import Artefact
from dib_service.engine.output.options import DRIVERS
from dib_service.engine.spec import DISKS

# The element of Ironic's deploy ramdisk.
AGENT = "ironic-python-agent-ramdisk"

# Where nothing in the image says who gets the keys.
USER = "root"

# What no two machines may have in common is seen in two of them.
LEAST_MACHINES = 2


def plan(
    manifest: Mapping[str, Any],
    layout: Layout,
    artefacts: Sequence[Artefact],
    settings: Settings,
) -> tuple[Plan, Mapping[str, Path]] | None:
    """How to test what was made, and its files; ``None`` if nothing starts.

    ``manifest`` has what was read from the product. One image of all the
    formats is started: that they hold the same was seen before.

    :raises errors.BootFailed: it has no way to be started at all.
    """
    facts = manifest["image"]
    parts: dict[str, Path] = {
        each.role: each.path
        for each in artefacts
        if each.role in ("kernel", "ramdisk")
    }
    if facts.get("product") == "ramdisk":
        return _ramdisk(manifest, parts, settings), parts
    disks = [
        each
        for each in artefacts
        if each.role == "image" and each.format in DISKS
    ]
    if not disks:
        return None
    # raw and qcow2 before the formats that nobody asks Ironic for.
    image = min(disks, key=lambda each: DISKS.index(each.format))
    bare = layout.table is None
    files = {"image": image.path, **(parts if bare else {})}
    found = Plan(
        proof="login",
        architecture=manifest["architecture"],
        firmwares=_kernel(parts) if bare else _firmwares(facts),
        settings=settings,
        image="image",
        format=DRIVERS.get(image.format, image.format),
        kernel="kernel" if bare else "",
        ramdisk="ramdisk" if "ramdisk" in files else "",
        bare=bare,
        sector=layout.block_size,
        root=_root(layout),
        label=layout.root.label,
        user=facts.get("os_admin_user", USER),
    )
    return found, files


def _ramdisk(
    manifest: Mapping[str, Any],
    parts: Mapping[str, Path],
    settings: Settings,
) -> Plan:
    chosen = [each["name"] for each in manifest["elements"]]
    return Plan(
        proof="agent" if AGENT in chosen else "init",
        architecture=manifest["architecture"],
        firmwares=_kernel(parts)[:1],
        settings=settings,
        kernel="kernel",
        ramdisk="ramdisk" if "ramdisk" in parts else "",
    )


def _firmwares(facts: Mapping[str, Any]) -> tuple[Firmware, ...]:
    """Each firmware that it claims: the stricter one where there are two."""
    modes = facts.get("boot_modes", [])
    found: list[Firmware] = []
    if "bios" in modes:
        found.append("bios")
    if "uefi" in modes:
        found.append("secure-boot" if facts.get("secure_boot") else "uefi")
    if not found:
        raise faults.failed(
            "boot-no-loader",
            "no firmware finds a boot loader on the disk",
            firmware="",
            last_lines=(),
        )
    return _twice(found)


def _kernel(parts: Mapping[str, Path]) -> tuple[Firmware, ...]:
    if "kernel" not in parts:
        raise faults.failed(
            "boot-no-loader",
            "there is neither a partition table nor a kernel beside the "
            "image, so nothing starts it",
            firmware="",
            last_lines=(),
        )
    return _twice(["kernel"])


def _twice(found: Sequence[Firmware]) -> tuple[Firmware, ...]:
    return tuple([*found, *found][: max(len(found), LEAST_MACHINES)])


def _root(layout: Layout) -> int:
    """Which partition is the root; -1 where that cannot be said."""
    if layout.table is None or any(p.logical for p in layout.table.partitions):
        return -1
    names = [each.name for each in layout.table.partitions]
    base = layout.root.base
    return names.index(base) if base in names else -1
