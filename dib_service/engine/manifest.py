"""What a finished image is: the last word of a build."""

from collections.abc import Mapping, Sequence
import datetime
import importlib.metadata
from typing import Any

from dib_service.engine import elements
from dib_service.engine.disk import blockdevice
from dib_service.engine.output import files
from dib_service.engine.spec import DISKS, BuildSpec
from dib_service.engine.verify import checks

VERSION = 1


def of(
    wanted: BuildSpec,
    chosen: Sequence[elements.Found],
    layout: blockdevice.Layout,
    release: Mapping[str, str],
    artefacts: Sequence[files.Artefact],
    *,
    tree: Mapping[str, Any],
    seen: checks.Seen | None,
) -> dict[str, Any]:
    """The manifest, in its JSON form.

    ``virtual_size`` is that of the disk; 0 where none was asked for.
    ``layout``, ``root_label`` and ``root_fstype`` are null where the build
    was for no image at all. ``image`` has what was read from the finished
    tree and disk; what could not be read is not in there.
    """
    root = layout.root
    sizes = [
        artefact.virtual_size
        for artefact in artefacts
        # Further disks are raw as well, and may be larger.
        if artefact.role == "image" and artefact.format in DISKS
    ]
    return {
        "version": VERSION,
        "name": wanted.name,
        "architecture": wanted.architecture,
        "elements": [
            {"name": found.name, "digest": found.element.digest}
            for found in chosen
        ],
        "os_release": dict(release),
        "layout": layout.kind if wanted.formats else None,
        "root_label": root.label if wanted.formats else None,
        "root_fstype": root.type if wanted.formats else None,
        "virtual_size": max(sizes, default=0),
        "built_at": _now(),
        **_version(),
        "image": {
            **_product(wanted, layout, artefacts),
            **tree,
            **_disk(seen),
        },
        "artefacts": [
            {**artefact.to_dict(), "path": artefact.name}
            for artefact in artefacts
        ],
    }


def _product(
    wanted: BuildSpec,
    layout: blockdevice.Layout,
    artefacts: Sequence[files.Artefact],
) -> dict[str, str]:
    """What the set of files is to those who deploy it, if it is one."""
    if any(each in DISKS for each in wanted.formats):
        return {"product": layout.kind}
    roles = {artefact.role for artefact in artefacts}
    if not wanted.formats and {"kernel", "ramdisk"} <= roles:
        return {"product": "ramdisk"}
    return {}


def _disk(seen: checks.Seen | None) -> dict[str, Any]:
    if seen is None:
        return {}
    facts: dict[str, Any] = {
        "root_uuid": seen.root_uuid,
        "root_size": seen.root_size,
    }
    if seen.boot_modes:
        facts["boot_modes"] = list(seen.boot_modes)
    if "uefi" in seen.boot_modes:
        facts["secure_boot"] = seen.secure_boot
    return facts


def _now() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def _version() -> dict[str, str]:
    """Whose work it is; a checkout that is not installed has no version."""
    try:
        return {"built_by": importlib.metadata.version("dib-service")}
    except importlib.metadata.PackageNotFoundError:
        return {}
