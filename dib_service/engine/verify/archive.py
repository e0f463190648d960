"""Looks into finished archives, as ``checks`` does into disks."""

from collections.abc import Mapping
import dataclasses
import fnmatch
from pathlib import Path
import tarfile

from dib_service.engine import errors, process
from dib_service.engine.output.files import Artefact

# Where an archive has the tree, if not in its own root.
PREFIXES = {"aci": "rootfs/"}

HOST_KEYS = "etc/ssh/ssh_host_*"
MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id")
LONGEST_ID = 4096


@dataclasses.dataclass(frozen=True)
class Found:
    """What an archive holds of what we look for, by its place in the tree."""

    entries: int
    host_keys: tuple[str, ...]
    identities: Mapping[str, str]


def check(artefact: Artefact) -> None:
    """Return when the archive can be read to its end and names no machine.

    :raises errors.VerifyFailed: the first check that failed.
    """
    read = _squashfs if artefact.format == "squashfs" else _tar
    try:
        found = read(artefact.path, PREFIXES.get(artefact.format, "./"))
    except (errors.CommandError, tarfile.TarError, EOFError, OSError) as exc:
        raise errors.VerifyFailed(
            "archive",
            f"{artefact.name} cannot be read: {exc}",
            "build it again, and look at the builder's disk",
        ) from exc
    if not found.entries:
        raise errors.VerifyFailed(
            "archive", f"{artefact.name} is empty", "look at the log"
        )
    check_no_identity(found)


def check_no_identity(found: Found) -> None:
    """Return when nothing in it would be the same on all machines.

    :raises errors.VerifyFailed: something would.
    """
    if found.host_keys:
        raise errors.VerifyFailed(
            "ssh-host-key",
            "host keys are baked into the image: "
            f"{', '.join(found.host_keys)}",
            "all machines would have one identity; remove them in "
            "finalise.d, as the 'runtime-ssh-host-keys' element does",
        )
    for path, text in found.identities.items():
        if text.strip() not in ("", "uninitialized"):
            raise errors.VerifyFailed(
                "machine-id",
                f"/{path} is set, to {text[:8]}…",
                "all machines would have one identity; empty it in "
                "finalise.d, as the 'sysprep' element does",
            )


def _tar(path: Path, prefix: str) -> Found:
    entries, keys, identities = 0, [], {}
    # As a stream: each byte of it is read, whether we want it or not.
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            entries += 1
            name = member.name.removeprefix(prefix)
            if fnmatch.fnmatchcase(name, HOST_KEYS):
                keys.append(name)
            file = archive.extractfile(member) if member.isreg() else None
            if name in MACHINE_IDS and file:
                identities[name] = file.read(LONGEST_ID).decode(
                    errors="replace"
                )
    return Found(entries, tuple(sorted(keys)), identities)


def _squashfs(path: Path, prefix: str) -> Found:
    del prefix
    listing = process.run(["unsquashfs", "-lls", "-d", "", path])
    rows = [line.split(maxsplit=5) for line in listing.splitlines()]
    files = {
        row[5].lstrip("/")
        for row in rows
        if len(row) == 6 and row[0].startswith("-")
    }
    return Found(
        entries=len(rows),
        host_keys=tuple(sorted(fnmatch.filter(files, HOST_KEYS))),
        identities={
            name: process.run(["unsquashfs", "-cat", path, name])
            for name in MACHINE_IDS
            if name in files
        },
    )
