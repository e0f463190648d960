"""Looks into the finished files, for what must and must not be in them.

What is checked is what leaves: the artefacts as they lie on the disk, not
what they were made from. Nothing is mounted.
"""

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import dataclasses
import fnmatch
from pathlib import Path
import re
import tempfile

from dib_service.engine import errors, process
from dib_service.engine.disk.layout import EXT, Layout
from dib_service.engine.disk.partitioning import Span
from dib_service.engine.output.disk import described
from dib_service.engine.output.files import Artefact
from dib_service.engine.output.options import DRIVERS
from dib_service.engine.spec import ARCHIVES, DISKS
from dib_service.engine.verify import archive, uefi
from dib_service.engine.verify.image import (
    BIOS_BOOT,
    EFI_SYSTEM,
    Filesystem,
    PartitionTable,
    named,
    partition_table,
)

# Where distributions have grub's menu, below /boot.
MENUS = ("grub", "grub2")
MENU_LINE = re.compile(
    r"^\s*(?P<word>linux|initrd)(?:16|efi)?\s+(?P<path>\S+)(?P<rest>.*)$",
    re.MULTILINE,
)

SECTOR = 512

# Of these qemu-img knows no check; that they hold what they should is seen
# by comparing.
UNCHECKED = frozenset({"raw", "vhd", "vpc"})


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a disk was seen to be; ``root_size`` is in bytes.

    ``boot_modes`` are the kinds of firmware that start it, ``bios`` and
    ``uefi``; none start what has no partition table. ``secure_boot``: all
    that UEFI firmware starts there is signed.
    """

    root_uuid: str
    root_size: int
    boot_modes: tuple[str, ...] = ()
    secure_boot: bool = False


def check(
    artefacts: Sequence[Artefact], layout: Layout, *, scratch: Path
) -> Seen | None:
    """What the disk is that every artefact holds: each of them is sound.

    There is none where none was asked for. ``scratch`` has room for the
    image once more, sparse.

    :raises errors.VerifyFailed: the first check that failed.
    """
    images = [each for each in artefacts if each.role == "image"]
    disks = [each for each in images if each.format in DISKS]
    for artefact in disks:
        _check_file(artefact)
    seen = None
    if disks:
        with _as_raw(disks, scratch) as image:
            seen = check_image(image, layout)
    for artefact in images:
        if artefact.format in ARCHIVES:
            archive.check(artefact)
    return seen


def check_image(image: Path, layout: Layout) -> Seen:
    """What a raw image is, which is what ``layout`` and we promise.

    :raises errors.VerifyFailed: the first check that failed.
    """
    whole = Span(0, image.stat().st_size)
    spans = {"": whole}
    table = None
    if layout.table:
        table = _check_table(image, layout)
        spans = {
            partition.name: span
            for partition, span in zip(
                layout.table.partitions, table.spans, strict=True
            )
        }
    place = spans.get(layout.root.base, whole)
    root = Filesystem(image, place.offset)
    boot, boot_dir = root, "/boot"
    for volume in layout.mounts:
        if volume.mount_point == "/boot" and volume.type in EXT:
            boot = Filesystem(image, spans.get(volume.base, whole).offset)
            boot_dir = ""
    seen = Seen(root_uuid=_check_label(root, layout), root_size=place.size)
    if table:
        seen = _check_boot_code(image, table, root, layout, seen)
    if layout.root.type not in EXT:
        # There is nothing that looks into the others without mounting them.
        return seen
    _check_root(root)
    _check_fstab(root, layout)
    if table:
        _check_menu(boot, boot_dir, layout)
    _check_host_keys(root)
    _check_machine_id(root)
    return seen


def _check_file(artefact: Artefact) -> None:
    driver = _driver(artefact)
    # A VHD of a fixed size has its mark at its end only: whoever is not told
    # takes it for raw.
    found = described(artefact.path, driver if driver == "vpc" else None)
    if found["format"] != driver:
        raise errors.VerifyFailed(
            "format",
            f"{artefact.path.name} should be {artefact.format} and reads as "
            f"{found['format']}",
            "a hook has written over the image; look for one that writes to "
            "IMAGE_BLOCK_DEVICE",
        )
    if found["virtual-size"] != artefact.virtual_size:
        raise errors.VerifyFailed(
            "virtual-size",
            f"{artefact.path.name} has {found['virtual-size']} bytes and "
            f"should have {artefact.virtual_size}",
            "build it again; this is a fault of the builder's qemu-img",
        )
    inside = found.get("format-specific", {}).get("data", {})
    for key in ("backing-filename", "data-file"):
        if key in found or key in inside:
            raise errors.VerifyFailed(
                "format",
                f"{artefact.path.name} refers to another file",
                "an image must stand for itself",
            )
    if artefact.format not in UNCHECKED:
        _check_consistent(artefact)


def _driver(artefact: Artefact) -> str:
    return DRIVERS.get(artefact.format, artefact.format)


def _check_consistent(artefact: Artefact) -> None:
    try:
        process.run(
            ["qemu-img", "check", "-f", _driver(artefact), artefact.path]
        )
    except errors.CommandError as exc:
        raise errors.VerifyFailed(
            "qemu-img-check",
            f"{artefact.path.name} is damaged: {exc}",
            "build it again, and look at the builder's disk",
        ) from exc


@contextlib.contextmanager
def _as_raw(artefacts: Sequence[Artefact], scratch: Path) -> Iterator[Path]:
    """One raw image that all the artefacts hold."""
    raw = [a for a in artefacts if a.format == "raw"]
    others = [a for a in artefacts if a.format != "raw"]
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        if raw:
            image = raw[0].path
        else:
            first = others.pop(0)
            image = Path(place) / "image.raw"
            process.run(
                [
                    *("qemu-img", "convert", "-m", "16"),
                    *("-f", _driver(first), "-O", "raw"),
                    *(first.path, image),
                ]
            )
        for other in others:
            _check_same(image, other)
        yield image


def _check_same(image: Path, artefact: Artefact) -> None:
    try:
        process.run(
            [
                *("qemu-img", "compare", "-f", "raw"),
                *("-F", _driver(artefact)),
                *(image, artefact.path),
            ]
        )
    except errors.CommandError as exc:
        raise errors.VerifyFailed(
            "same-content",
            f"{artefact.path.name} differs from the other formats: {exc}",
            "build it again, and look at the builder's disk",
        ) from exc


def _check_table(image: Path, layout: Layout) -> PartitionTable:
    assert layout.table  # noqa: S101 - for the type; the caller looked
    wanted = layout.table
    remedy = "a hook has written over it; look for one that partitions"
    try:
        found = partition_table(image, layout.block_size)
    except ValueError as exc:
        raise errors.VerifyFailed("partition-table", str(exc), remedy) from exc
    if found.label != wanted.label:
        raise errors.VerifyFailed(
            "partition-table",
            f"it is a {found.label} and should be a {wanted.label}",
            remedy,
        )
    if len(found.spans) != len(wanted.partitions):
        raise errors.VerifyFailed(
            "partition-table",
            f"it has {len(found.spans)} partitions and should have "
            f"{len(wanted.partitions)}",
            remedy,
        )
    return found


def _check_label(root: Filesystem, layout: Layout) -> str:
    """The UUID of the root filesystem, which has the right label."""
    found = named(root.image, root.offset)
    if found is None or found.label != layout.root.label:
        shown = f"'{found.label}'" if found else "no filesystem of ours"
        raise errors.VerifyFailed(
            "root-label",
            f"the root filesystem is {shown} and should be labelled "
            f"'{layout.root.label}'",
            "machines find their root by that label; no hook may change it",
        )
    return found.uuid


def _check_root(root: Filesystem) -> None:
    try:
        root.check()
    except errors.CommandError as exc:
        said = (exc.stdout or exc.stderr).strip().splitlines()
        raise errors.VerifyFailed(
            "filesystem",
            f"e2fsck finds fault with the root filesystem: "
            f"{'; '.join(said[-3:])}",
            "build it again; if it stays, look at what writes to the disk "
            "in finalise.d",
        ) from exc


def _check_fstab(root: Filesystem, layout: Layout) -> None:
    remedy = "leave /etc/fstab as the block device configuration makes it"
    if not root.exists("/etc/fstab"):
        raise errors.VerifyFailed("fstab", "there is no /etc/fstab", remedy)
    if layout.root.fstab is None:
        return
    wanted = f"LABEL={layout.root.label}"
    rows = [line.split() for line in root.text("/etc/fstab").splitlines()]
    if [wanted, "/"] not in [row[:2] for row in rows]:
        raise errors.VerifyFailed(
            "fstab", f"no line of /etc/fstab mounts {wanted} on /", remedy
        )


def _check_boot_code(
    image: Path,
    table: PartitionTable,
    root: Filesystem,
    layout: Layout,
    seen: Seen,
) -> Seen:
    """Firmware finds what it starts: of each kind that the table is for."""
    machines: dict[str, bool] = {}
    systems = _of_type(table, *EFI_SYSTEM)
    for span in systems:
        machines |= uefi.check(uefi.Fat(image, span), root)
    bios = table.label == "mbr" or bool(_of_type(table, BIOS_BOOT))
    if not systems and not bios:
        raise _no_boot_sector(
            "there is neither a BIOS boot partition nor an EFI system "
            "partition"
        )
    # Its place may be there and nothing for it: no BIOS starts an arm64
    # machine, or reads sectors of 4096 bytes.
    if systems:
        bios = bios and "x64" in machines and layout.block_size == SECTOR
    if bios:
        _check_boot_sector(image, table)
    return dataclasses.replace(
        seen,
        boot_modes=("bios",) * bios + ("uefi",) * bool(systems),
        secure_boot=bool(systems) and all(machines.values()),
    )


def _of_type(table: PartitionTable, *wanted: str) -> list[Span]:
    return [
        span
        for span, kind in zip(table.spans, table.types, strict=True)
        if kind in wanted
    ]


def _no_boot_sector(problem: str) -> errors.VerifyFailed:
    return errors.VerifyFailed("boot-sector", problem, uefi.REMEDY)


def _check_boot_sector(image: Path, table: PartitionTable) -> None:
    if table.label == "gpt":
        where = "a BIOS boot partition"
        places = _of_type(table, BIOS_BOOT)
    else:
        where = "the gap before the first partition"
        end = min(span.offset for span in table.spans)
        places = [Span(SECTOR, end - SECTOR)]
    with image.open("rb") as disk:
        sector = disk.read(SECTOR)
        if b"GRUB" not in sector[:440]:
            raise _no_boot_sector("there is no boot code in the first sector")
        core = Span(_sectors(sector[0x5C:0x64]), SECTOR)
        if not _within(core, places):
            raise _no_boot_sector(f"the boot sector does not lead to {where}")
        disk.seek(core.offset)
        first = disk.read(SECTOR)
        # The first entry of the list of what else there is to load.
        rest = Span(_sectors(first[0x1F4:0x1FC]), _sectors(first[0x1FC:0x1FE]))
        if not _within(rest, places):
            raise _no_boot_sector(f"what is in {where} does not lead on")
        disk.seek(rest.offset)
        # Its own decompressor comes first, so it is never all zeros.
        if not disk.read(rest.size).strip(b"\0"):
            raise _no_boot_sector(f"{where} holds nothing but a beginning")


def _sectors(number: bytes) -> int:
    return int.from_bytes(number, "little") * SECTOR


def _within(part: Span, places: Iterable[Span]) -> bool:
    return part.size > 0 and any(
        place.offset <= part.offset
        and part.offset + part.size <= place.offset + place.size
        for place in places
    )


def _check_menu(boot: Filesystem, directory: str, layout: Layout) -> None:
    menus = [
        path
        for path in (f"{directory}/{name}/grub.cfg" for name in MENUS)
        if boot.exists(path)
    ]
    remedy = "include the 'vm' element and one that installs a kernel"
    if not menus:
        raise errors.VerifyFailed(
            "boot-menu", "there is no /boot/grub/grub.cfg", remedy
        )
    lines = list(MENU_LINE.finditer(boot.text(menus[0])))
    for word, name in (("linux", "kernel"), ("initrd", "initramfs")):
        paths = [line["path"] for line in lines if line["word"] == word]
        if not any(boot.size(path) for path in paths):
            raise errors.VerifyFailed(
                "boot-menu", f"{menus[0]} leads to no {name}", remedy
            )
    wanted = f"root=LABEL={layout.root.label}"
    told = [line["rest"].split() for line in lines if line["word"] == "linux"]
    if not any(wanted in words for words in told):
        raise errors.VerifyFailed(
            "boot-menu",
            f"{menus[0]} tells no kernel {wanted}",
            "a root named otherwise is not there on another machine; see "
            "the 'bootloader' element",
        )


def _check_host_keys(root: Filesystem) -> None:
    baked = _matching(root.names("/etc/ssh"), "ssh_host_*")
    if baked:
        raise errors.VerifyFailed(
            "ssh-host-key",
            f"host keys are baked into the image: {', '.join(baked)}",
            "all machines would have one identity; remove them in "
            "finalise.d, as the 'runtime-ssh-host-keys' element does",
        )


def _check_machine_id(root: Filesystem) -> None:
    if root.size("/etc/machine-id"):
        text = root.text("/etc/machine-id").strip()
        if text not in ("", "uninitialized"):
            raise errors.VerifyFailed(
                "machine-id",
                f"/etc/machine-id is set, to {text[:8]}…",
                "all machines would have one identity; empty it in "
                "finalise.d, as the 'sysprep' element does",
            )
    if root.is_file("/var/lib/dbus/machine-id") and root.size(
        "/var/lib/dbus/machine-id"
    ):
        raise errors.VerifyFailed(
            "machine-id",
            "/var/lib/dbus/machine-id is a file with a machine's identity",
            "make it a symbolic link to /etc/machine-id, or remove it",
        )


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    return sorted(fnmatch.filter(names, pattern))
