"""What UEFI firmware finds on an image's EFI system partition.

Firmware that nobody has told anything starts one file of it, the one on the
removable path. A FAT filesystem is read by mtools, a process of its own.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
from pathlib import Path
import struct
import tempfile

from dib_service.engine import errors, process
from dib_service.engine.disk.partitioning import Span
from dib_service.engine.verify.image import Filesystem

REMOVABLE = "/EFI/BOOT"

# What firmware calls a machine, by the loader on the removable path; what
# shim and grub call it.
LOADERS: Mapping[str, str] = {"BOOTX64.EFI": "x64", "BOOTAA64.EFI": "aa64"}

# Where Debian and what descends from it has what Microsoft has signed.
SHIM = "/usr/lib/shim/shim{}.efi.signed"

REMEDY = (
    "include the 'vm' element, or 'bootloader' beside a block-device-* element"
)

# Of a PE file: where its header is, the entry of the certificates.
PE_OFFSET = 0x3C
CERTIFICATES = {0x10B: 128, 0x20B: 144}


@dataclasses.dataclass(frozen=True)
class Fat:
    """A FAT filesystem in a part of an image."""

    image: Path
    span: Span

    def files(self) -> Mapping[str, str]:
        """Every path, by its name in capitals as firmware takes it.

        :raises errors.CommandError: there is no such filesystem.
        """
        said = self._ask("mdir", "-/", "-b", "::/")
        paths = [line.removeprefix("::") for line in said.splitlines()]
        return {path.upper(): path for path in paths if path[-1:] != "/"}

    @contextlib.contextmanager
    def copied(self, path: str) -> Iterator[Path]:
        """A file of it, for as long as it is looked at."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "file"
            self._ask("mcopy", f"::{path}", str(copy))
            yield copy

    def _ask(self, tool: str, *words: str) -> str:
        place = f"{self.image}@@{self.span.offset}"
        return process.run(
            [tool, "-i", place, *words],
            env={"LC_ALL": "C.UTF-8", "MTOOLSRC": "/dev/null"},
        )


def check(esp: Fat, root: Filesystem) -> dict[str, bool]:
    """The machines that the loaders on ``esp`` are for: x64, aa64.

    Of each: whether all that firmware starts there is signed.

    :raises errors.VerifyFailed: nothing there starts the image.
    """
    try:
        files = esp.files()
    except errors.CommandError as exc:
        raise _fault(f"it cannot be read: {exc}") from exc
    found = {
        machine: files[f"{REMOVABLE}/{name}"]
        for name, machine in LOADERS.items()
        if f"{REMOVABLE}/{name}" in files
    }
    if not found:
        raise _fault(
            f"{REMOVABLE} has none of {', '.join(sorted(LOADERS))}, "
            "which firmware starts"
        )
    for machine, path in found.items():
        _check_loader(esp, path)
        if root.size(SHIM.format(machine)):
            _check_signed(esp, files, machine, path)
    return {
        machine: _signed(esp, files, machine, path)
        for machine, path in found.items()
    }


def _check_loader(esp: Fat, path: str) -> None:
    with esp.copied(path) as loader:
        if not is_program(loader):
            raise _fault(f"{path} is no program for UEFI firmware")


def _check_signed(
    esp: Fat, files: Mapping[str, str], machine: str, path: str
) -> None:
    """What shim starts is beside it, signed as well, and finds its menu."""
    grub = files.get(_grub(machine))
    if grub is None:
        raise _fault(f"there is no grub{machine}.efi beside {path}")
    for each in (path, grub):
        with esp.copied(each) as loader:
            if not is_signed(loader):
                raise errors.VerifyFailed(
                    "secure-boot",
                    f"{each} of the EFI system partition is not signed, and "
                    "the distribution has one that is",
                    "put the distribution's shim and grub there, as the "
                    "'efi-loader' element does",
                )
    if not _has_menu(files):
        raise _fault("the signed grub finds no grub.cfg on it")


def _signed(
    esp: Fat, files: Mapping[str, str], machine: str, path: str
) -> bool:
    """Whether there is a chain that firmware which wants signatures takes."""
    grub = files.get(_grub(machine))
    if grub is None or not _has_menu(files):
        return False
    for each in (path, grub):
        with esp.copied(each) as loader:
            if not is_signed(loader):
                return False
    return True


def _grub(machine: str) -> str:
    """What shim starts."""
    return f"{REMOVABLE}/GRUB{machine}.EFI".upper()


def _has_menu(files: Mapping[str, str]) -> bool:
    return any(name.endswith("/GRUB.CFG") for name in files)


def is_program(path: Path) -> bool:
    """Whether it is a PE file."""
    return _certificates(path) is not None


def is_signed(path: Path) -> bool:
    """Whether a PE file says that it is signed; by whom, firmware judges."""
    found = _certificates(path)
    if found is None:
        return False
    offset, size = found
    return size > 0 and offset + size <= path.stat().st_size


def _certificates(path: Path) -> tuple[int, int] | None:
    """Where in a PE file its certificates are, and how large they are."""
    data = path.read_bytes()
    if len(data) < 512 or data[:2] != b"MZ":
        return None
    (header,) = struct.unpack_from("<I", data, PE_OFFSET)
    optional = header + 24
    if data[header : header + 4] != b"PE\0\0" or optional + 200 > len(data):
        return None
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic not in CERTIFICATES:
        return None
    offset, size = struct.unpack_from(
        "<II", data, optional + CERTIFICATES[magic]
    )
    return offset, size


def _fault(problem: str) -> errors.VerifyFailed:
    return errors.VerifyFailed(
        "uefi-loader", f"on the EFI system partition {problem}", REMEDY
    )
