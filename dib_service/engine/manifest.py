"""What a finished image is: the last word of a build."""

from collections.abc import Sequence
from pathlib import Path
import shlex
from typing import Any

from dib_service.engine import blockdevice, elements, output
from dib_service.engine.spec import DISKS, BuildSpec

VERSION = 1


def of(
    wanted: BuildSpec,
    chosen: Sequence[elements.Found],
    layout: blockdevice.Layout,
    release: dict[str, str],
    artefacts: Sequence[output.Artefact],
) -> dict[str, Any]:
    """The manifest, in its JSON form.

    ``virtual_size`` is that of the disk; 0 where none was asked for.
    ``layout``, ``root_label`` and ``root_fstype`` are null where the build
    was for no image at all.
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
        "os_release": release,
        "layout": layout.kind if wanted.formats else None,
        "root_label": root.label if wanted.formats else None,
        "root_fstype": root.type if wanted.formats else None,
        "virtual_size": max(sizes, default=0),
        "artefacts": [
            {**artefact.to_dict(), "path": artefact.name}
            for artefact in artefacts
        ],
    }


def os_release(root: Path) -> dict[str, str]:
    """What the tree says it is; empty when it does not."""
    for place in ("usr/lib/os-release", "etc/os-release"):
        path = root / place
        # A symlink could lead out of the tree, to our own.
        if path.is_file() and not path.is_symlink():
            return _assignments(path.read_text(errors="replace"))
    return {}


def _assignments(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.isidentifier():
            found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value
