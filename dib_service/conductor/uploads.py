"""What an artefact becomes in Glance: names, formats and properties.

What is said of an image is what its builder has read from it, or what the
service itself has done; nothing is guessed, and a request does not overrule
it. The rules are Glance's (useful image properties), Ironic's (configure
Glance images) and Nova's.
"""

from collections.abc import Iterable, Mapping, Sequence
import hashlib
import math
from typing import Any

from dib_service.conductor import rpcapi
from dib_service.objects import build as builds
from dib_service.objects import release
from dib_service.publish import reserved

GIB = 1024**3
MIB = 1024**2

# What a kernel and a ramdisk are in Glance's own words.
BOOT_FORMATS = {"kernel": "aki", "ramdisk": "ari"}

# The most that Ironic gives to the config drive, a partition at the end.
CONFIG_DRIVE = 64 * MIB

# Less than this starts no machine of today, whatever a test has measured.
LEAST_RAM_MIB = 512

# People find by it what this service has made.
TAG = "dib-build"

# Sources of cloud-init that ask OpenStack's metadata service.
METADATA_SOURCES = frozenset({"OpenStack", "Ec2"})

# What begins so is about a machine, or about the system that is on its disk.
OF_MACHINES = ("trait:", "hw_", "img_", "os_")

# Glance promises no more of a property's value.
LONGEST_VALUE = 255


def published(role: str, manifest: Mapping[str, Any]) -> bool:
    """Whether such an artefact becomes an image in Glance at all.

    A whole disk starts the kernel that is in it; what lies beside it is
    nobody's.
    """
    return role == "image" or _product(manifest) != "whole-disk"


def upload(
    build: builds.Build,
    staged: release.Staged,
    manifest: Mapping[str, Any],
    siblings: Iterable[release.Staged] = (),
) -> rpcapi.Upload:
    """Where the artefact goes, and what is said of it there.

    ``siblings`` are all images of the build: those of the same target may
    be linked.
    """
    linked = {
        each.role: each.image_id
        for each in siblings
        if each.target == staged.target
    }
    image = staged.role == "image"
    return rpcapi.Upload(
        role=staged.role,
        format=staged.format,
        target=staged.target,
        image_id=staged.image_id,
        name=build.wanted.image_name,
        disk_format=BOOT_FORMATS.get(staged.role, staged.format),
        container_format=BOOT_FORMATS.get(staged.role, "bare"),
        properties=_properties(build, staged, manifest, linked),
        tags=tuple(dict.fromkeys((TAG, *build.wanted.tags))),
        min_disk=_min_disk(staged, manifest) if image else 0,
        min_ram=_min_ram(manifest) if image else 0,
    )


def _properties(
    build: builds.Build,
    staged: release.Staged,
    manifest: Mapping[str, Any],
    linked: Mapping[str, str],
) -> dict[str, str]:
    """What was asked for, and over it what is so."""
    known: dict[str, Any] = {
        "architecture": build.architecture,
        "os_type": "linux",
        "os_distro": _image(manifest).get("os_distro"),
        "os_version": _image(manifest).get("os_version"),
        **_origin(build, staged, manifest),
    }
    if staged.role == "image":
        known |= _of_root(build, staged, manifest, linked)
    elif staged.role == "ramdisk":
        known["dib_kernel_id"] = linked.get("kernel")
    return {
        **_asked(build, staged, manifest),
        **{
            name: str(value)
            for name, value in known.items()
            # What is not known is not said.
            if value not in (None, "") and len(str(value)) <= LONGEST_VALUE
        },
    }


def _asked(
    build: builds.Build, staged: release.Staged, manifest: Mapping[str, Any]
) -> dict[str, str]:
    wanted = build.wanted
    asked = {"description": _description(build, manifest)}
    for name, value in wanted.properties.items():
        # The API has refused these; a request may be older than the rule.
        if not reserved.is_reserved(name):
            asked[name] = value
    for trait in wanted.traits:
        asked[f"trait:{trait}"] = "required"
    if asked.get("os_secure_boot") == "required" and not _secure(manifest):
        del asked["os_secure_boot"]
    if staged.role == "image":
        return asked
    # A kernel is not deployed by itself, and no machine is made of it.
    return {
        name: value
        for name, value in asked.items()
        if not name.startswith(OF_MACHINES)
    }


def _secure(manifest: Mapping[str, Any]) -> bool:
    """Whether all that starts it is signed, and it was seen to start so."""
    signed = bool(_image(manifest).get("secure_boot"))
    return signed and "secure-boot" in _firmwares(manifest)


def _of_root(
    build: builds.Build,
    staged: release.Staged,
    manifest: Mapping[str, Any],
    linked: Mapping[str, str],
) -> dict[str, Any]:
    """What is said of the image that a machine's disk is made of."""
    image = _image(manifest)
    modes = image.get("boot_modes") or []
    sources = image.get("datasources") or []
    facts = {
        # Ironic must not have to guess: without it, it looks at kernel_id.
        "img_type": _product(manifest),
        "os_admin_user": image.get("os_admin_user"),
        "img_config_drive": _config_drive(sources),
        "hw_qemu_guest_agent": "yes" if image.get("guest_agent") else None,
        "dib_boot_tested": _boot_tested(manifest),
        "dib_cloud_init_datasources": ",".join(sources),
    }
    if _product(manifest) == "partition":
        return {
            **facts,
            # No current Ironic makes one start from a BIOS.
            "hw_firmware_type": "uefi",
            "kernel_id": linked.get("kernel"),
            "ramdisk_id": linked.get("ramdisk"),
        }
    return {
        **facts,
        # One that starts from either is not held to one.
        "hw_firmware_type": modes[0] if len(modes) == 1 else None,
        "rootfs_uuid": image.get("root_uuid"),
        "dib_boot_modes": ",".join(modes),
        "dib_root_device_min_gb": _min_disk(staged, manifest),
    }


def _origin(
    build: builds.Build, staged: release.Staged, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Where each of a build's images comes from."""
    return {
        "dib_build_id": build.id,
        "dib_role": staged.role,
        "dib_elements": _elements(build),
        "dib_version": manifest.get("built_by"),
        "dib_built_at": manifest.get("built_at"),
        "dib_artifact_sha256": _sha256(staged, manifest),
    }


def _elements(build: builds.Build) -> str:
    """One digest of all that the API pinned."""
    lines = [f"{name} {build.elements[name]}\n" for name in build.elements]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _sha256(staged: release.Staged, manifest: Mapping[str, Any]) -> str:
    """The digest that the engine worked out; empty where it did not."""
    for artefact in manifest.get("artefacts") or []:
        place = (artefact.get("role"), artefact.get("format"))
        if place == (staged.role, staged.format):
            return str(artefact.get("sha256") or "")
    return ""


def _description(build: builds.Build, manifest: Mapping[str, Any]) -> str:
    when = str(manifest.get("built_at", ""))
    end = f"; built {when} as {build.id}" if when else f"; build {build.id}"
    release_ = " ".join(
        str(_image(manifest)[fact])
        for fact in ("os_distro", "os_version")
        if fact in _image(manifest)
    )
    end = (f" ({release_})" if release_ else "") + end
    recipe = ", ".join(build.wanted.elements)
    room = LONGEST_VALUE - len(end)
    if len(recipe) > room:
        recipe = f"{recipe[: room - 1]}…"
    return recipe + end


def _min_disk(staged: release.Staged, manifest: Mapping[str, Any]) -> int:
    """The least GiB of a disk, or of a root partition, that holds it all."""
    # Beside a partition image, Ironic makes the config drive's itself.
    whole = _product(manifest) == "whole-disk"
    size = staged.virtual_size + (CONFIG_DRIVE if whole else 0)
    return math.ceil(size / GIB)


def _min_ram(manifest: Mapping[str, Any]) -> int:
    tested = manifest.get("min_ram_mib") or 0
    return max(LEAST_RAM_MIB, int(tested))


def _config_drive(sources: Sequence[str]) -> str | None:
    """Whether the image can do without; nothing where that is not known."""
    if not sources:
        return None
    return "optional" if METADATA_SOURCES & {*sources} else "mandatory"


def _boot_tested(manifest: Mapping[str, Any]) -> str:
    tests = manifest.get("boot_tests") or []
    words = dict.fromkeys(_firmwares(manifest))
    if any(test.get("config_drive") for test in tests):
        words["config-drive"] = None
    return ",".join(words) or "no"


def _firmwares(manifest: Mapping[str, Any]) -> list[str]:
    return [str(test["firmware"]) for test in manifest.get("boot_tests") or []]


def _product(manifest: Mapping[str, Any]) -> str:
    """What was made; a builder that says nothing of it makes whole disks."""
    said = _image(manifest).get("product")
    return str(said or manifest.get("layout", "whole-disk"))


def _image(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was read from the finished image."""
    return manifest.get("image") or {}
