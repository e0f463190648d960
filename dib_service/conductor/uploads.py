"""What an artefact becomes in Glance: names, formats and properties."""

from collections.abc import Mapping
import math
from typing import Any

from dib_service.conductor import rpcapi
from dib_service.objects import build as builds
from dib_service.objects import release

GIB = 1024**3

# What a kernel and a ramdisk are in Glance's own words.
BOOT_FORMATS = {"kernel": "aki", "ramdisk": "ari"}


def published(role: str, manifest: Mapping[str, Any]) -> bool:
    """Whether such an artefact becomes an image in Glance at all.

    A whole disk starts the kernel that is in it; what lies beside it is
    nobody's.
    """
    return (
        role == "image" or manifest.get("layout", "whole-disk") != "whole-disk"
    )


def upload(
    build: builds.Build, staged: release.Staged, manifest: Mapping[str, Any]
) -> rpcapi.Upload:
    """Where the artefact goes, and what is said of it there."""
    return rpcapi.Upload(
        role=staged.role,
        format=staged.format,
        target=staged.target,
        image_id=staged.image_id,
        name=build.wanted.image_name,
        disk_format=BOOT_FORMATS.get(staged.role, staged.format),
        container_format=BOOT_FORMATS.get(staged.role, "bare"),
        properties={
            **build.wanted.properties,
            **_facts(build, manifest),
        },
        min_disk=(
            math.ceil(staged.virtual_size / GIB)
            if staged.role == "image"
            else 0
        ),
    )


def _facts(
    build: builds.Build, manifest: Mapping[str, Any]
) -> Mapping[str, str]:
    """What is so, whatever was asked for."""
    release_file = manifest.get("os_release") or {}
    facts = {
        "architecture": build.architecture,
        "os_type": "linux",
        # Ironic must not have to guess: without it, it looks at kernel_id.
        "img_type": str(manifest.get("layout", "whole-disk")),
        "os_distro": str(release_file.get("ID", "")),
        "os_version": str(release_file.get("VERSION_ID", "")),
        "dib_build_id": build.id,
    }
    return {name: value for name, value in facts.items() if value}
