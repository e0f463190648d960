"""What a request says of its output files, and whether that can be.

The variables are diskimage-builder's, which takes some from its command
line and some from the environment.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
import shutil
import tempfile
from typing import Self

from dib_service.engine import errors, process
from dib_service.engine.spec import DISKS

# What qemu-img calls them, where that is something else.
DRIVERS = {"vhd": "vpc"}

# zstd is five times as fast as zlib and a little smaller. It is one of the
# feature bits that oslo.utils' format inspector accepts, so Glance, Nova and
# Ironic take it; qemu reads it since 5.1.
COMPRESSION = {"compression_type": "zstd"}

# Of a format's own options, what we ask for unless the request says more.
# A VHD's size is otherwise rounded up to whole cylinders, and a GPT would no
# longer end where the disk does.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "qcow2": COMPRESSION,
    "vhd": {"force_size": "on"},
    "vpc": {"force_size": "on"},
}

# An image stands for itself; and no request writes to a file that it names.
REFUSED = frozenset(
    {"backing_file", "backing_fmt", "data_file", "data_file_raw"}
)

ALWAYS = ("sha256", "sha512")

# What a format is made with, and the package that has it.
TOOLS = {
    **{wanted: ("qemu-img", "qemu-utils") for wanted in DISKS[1:]},
    "squashfs": ("mksquashfs", "squashfs-tools"),
    "docker": ("docker", "docker.io or podman-docker"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """How the files are made; ``qemu_img`` is by format."""

    compressed: bool = True
    qemu_img: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=lambda: DEFAULTS
    )
    checksums: tuple[str, ...] = ALWAYS
    gzip: str | None = None
    aci_manifest: Path | None = None
    docker_target: str = ""
    epoch: int | None = None

    @classmethod
    def of(
        cls, formats: Sequence[str], environment: Mapping[str, str]
    ) -> Self:
        """What the variables of a request ask for.

        :raises errors.SpecError: naming the first that cannot be.
        """
        given = _pairs(environment.get("QEMU_IMG_OPTIONS", ""))
        epoch = environment.get("SOURCE_DATE_EPOCH", "")
        if epoch and not epoch.isdecimal():
            raise errors.SpecError("SOURCE_DATE_EPOCH", "expected seconds")
        manifest = environment.get("ACI_MANIFEST")
        return cls(
            # Empty, not absent: so diskimage-builder's -u leaves it.
            compressed=environment.get("COMPRESS_IMAGE") != "",
            qemu_img={
                wanted: _merged(wanted, given)
                for wanted in formats
                if wanted in DISKS
            },
            checksums=_checksums(environment.get("DIB_CHECKSUM", "")),
            gzip=environment.get("DIB_GZIP_BIN"),
            aci_manifest=Path(manifest) if manifest else None,
            docker_target=environment.get("DOCKER_TARGET", ""),
            epoch=int(epoch) if epoch else None,
        )

    def words(self, wanted: str) -> list[str]:
        """The options of a disk's format, as qemu-img reads them."""
        pairs = self.qemu_img.get(wanted, {})
        joined = ",".join(f"{name}={value}" for name, value in pairs.items())
        return ["-o", joined] if joined else []


def check(formats: Sequence[str], options: Options) -> None:
    """Return if these formats can be made here, with these options.

    What cannot be is refused before a build of an hour, not after it.

    :raises errors.SpecError: an option that its format does not have.
    :raises errors.MissingTool: this host lacks a program.
    """
    for wanted in formats:
        tool, package = TOOLS.get(wanted, ("", ""))
        if tool and not _found(tool):
            raise errors.MissingTool(wanted, tool, package)
        if wanted in DISKS and wanted != "raw":
            _try(wanted, options)
    if "docker" in formats and not options.docker_target:
        raise errors.SpecError(
            "DOCKER_TARGET", "say what the docker image is to be called"
        )
    manifest = options.aci_manifest
    if "aci" in formats and manifest and not manifest.is_file():
        raise errors.SpecError("ACI_MANIFEST", f"{manifest} is no file")
    if options.gzip and not _found(options.gzip.split()[0]):
        raise errors.SpecError(
            "DIB_GZIP_BIN", f"no program {options.gzip!r} on this host"
        )


def _found(program: str) -> str | None:
    return shutil.which(program, path=process.BASE_ENV["PATH"])


def _try(wanted: str, options: Options) -> None:
    words = options.words(wanted)
    if options.qemu_img.get(wanted) == DEFAULTS.get(wanted, {}):
        return
    with tempfile.TemporaryDirectory() as place:
        try:
            process.run(
                [
                    *("qemu-img", "create", "-q", *words),
                    *("-f", DRIVERS.get(wanted, wanted)),
                    *(Path(place) / "image", "1M"),
                ]
            )
        except errors.CommandError as exc:
            said = exc.last_lines[-1] if exc.last_lines else str(exc)
            raise errors.SpecError(
                "QEMU_IMG_OPTIONS", f"{said} (format {wanted})"
            ) from exc


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise errors.SpecError(
                "QEMU_IMG_OPTIONS", f"expected name=value, got {pair!r}"
            )
        if name in REFUSED:
            raise errors.SpecError(
                "QEMU_IMG_OPTIONS", f"{name}: an image stands for itself"
            )
        found[name] = value
    return found


def _merged(wanted: str, given: Mapping[str, str]) -> Mapping[str, str]:
    defaults = DEFAULTS.get(wanted, {})
    # Who asks for a compatibility wants readers that know no zstd.
    if "compat" in given and defaults is COMPRESSION:
        defaults = {}
    return {**defaults, **given}


def _checksums(text: str) -> tuple[str, ...]:
    """The kinds to write: ours, and md5 for those who still compare it."""
    md5 = text == "1" or "md5" in text
    return (*ALWAYS, "md5") if md5 else ALWAYS
