"""What a build is asked to be: one frozen value, JSON both ways."""

from collections.abc import Collection, Iterable, Mapping
import dataclasses
import re
from typing import Any, Self

from dib_service.engine import errors

# What from_dict raises, for those who may not import engine.errors.
from dib_service.engine.errors import SpecError as SpecError

VERSION = 1

# uname -m's words, which are also Glance's, and the ARCH that
# diskimage-builder's elements expect for each.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# Made of the whole disk, and of the tree that is in it. Each is named as
# its format is, but for squashfs: diskimage-builder cuts that name short.
DISKS = ("raw", "qcow2", "vmdk", "vdi", "vpc", "vhd", "vhdx")
ARCHIVES = ("tar", "tgz", "squashfs", "aci", "docker")
FORMATS = (*DISKS, *ARCHIVES)
SUFFIXES = {"squashfs": "squash"}

ELEMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
IMAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")

# Whatever a package manager takes for a package, but for an option.
PACKAGE = re.compile(r"[^\s-]\S{0,255}")

ROOT_LABEL = "cloudimg-rootfs"

# Names that a request may not set, whoever asks: they would change what a
# shell, a loader or the engine itself does before the first hook speaks.
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
FORBIDDEN_VARIABLE = re.compile(
    r"BASH_.*|break.*|CDPATH|ENV|GLOBIGNORE|HOME|IFS|LC_ALL|LD_.*|PATH|PS[0-4]"
    r"|PYTHON.*|SHELLOPTS|TARGET_ROOT|TMP_.*|TMPDIR|_LIB"
)
LONGEST_VALUE = 64 * 1024

LARGEST_DISK = 1024**5


@dataclasses.dataclass(frozen=True)
class BuildSpec:
    """One build, every default already decided by whoever asked for it.

    ``disk_size`` is the size of the whole image in bytes, or ``None`` for
    just large enough. ``architecture`` is a word of ``uname -m``.
    ``packages`` are installed in the chroot when install.d has run.
    ``ramdisk`` is for elements that make one: there is no image then.
    ``boot_test`` has the image start before it is handed over.
    ``digests``, where there are any, are those that the elements of the
    image must have, by name: all of them, and no others.
    """

    elements: tuple[str, ...]
    formats: tuple[str, ...] = ("qcow2",)
    architecture: str = "x86_64"
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    disk_size: int | None = None
    name: str = "image"
    skip_base: bool = False
    packages: tuple[str, ...] = ()
    ramdisk: bool = False
    boot_test: bool = False
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A spec from its JSON form.

        :raises SpecError: naming the first field that is wrong.
        """
        if data.get("version") != VERSION:
            raise errors.SpecError("version", f"expected {VERSION}")
        known = {field.name for field in dataclasses.fields(cls)}
        for key in data:
            if key != "version" and key not in known:
                raise errors.SpecError(key, "no such field")
        spec = cls(
            elements=_words(data, "elements", ()),
            formats=_words(data, "formats", ("qcow2",)),
            architecture=data.get("architecture", "x86_64"),
            environment=_environment(data),
            disk_size=data.get("disk_size"),
            name=data.get("name", "image"),
            skip_base=bool(data.get("skip_base", False)),
            packages=_words(data, "packages", ()),
            ramdisk=bool(data.get("ramdisk", False)),
            boot_test=bool(data.get("boot_test", False)),
            digests=_texts(data, "digests"),
        )
        spec._check()
        return spec

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that ``from_dict`` reads."""
        return {
            "version": VERSION,
            "elements": list(self.elements),
            "formats": list(self.formats),
            "architecture": self.architecture,
            "environment": dict(self.environment),
            "disk_size": self.disk_size,
            "name": self.name,
            "skip_base": self.skip_base,
            **({"packages": list(self.packages)} if self.packages else {}),
            **({"ramdisk": True} if self.ramdisk else {}),
            **({"boot_test": True} if self.boot_test else {}),
            **({"digests": dict(self.digests)} if self.digests else {}),
        }

    def file_name(self, wanted: str) -> str:
        """What the image is called in one of its formats."""
        return f"{self.name}.{SUFFIXES.get(wanted, wanted)}"

    def _check(self) -> None:
        _check_names("elements", self.elements, ELEMENT_NAME)
        _check_names("packages", self.packages, PACKAGE)
        _check_names("name", (self.name,), IMAGE_NAME)
        if not self.elements:
            raise errors.SpecError("elements", "name at least one element")
        for wanted in self.formats:
            _check_choice("formats", wanted, FORMATS)
        if not self.formats:
            raise errors.SpecError("formats", "name at least one format")
        _check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.disk_size is not None:
            _check_size(self.disk_size)


def _check_names(
    field: str, names: Iterable[object], rule: re.Pattern[str]
) -> None:
    for name in names:
        if not isinstance(name, str) or not rule.fullmatch(name):
            raise errors.SpecError(field, f"bad name {name!r}")


def _check_choice(field: str, value: object, choices: Collection[str]) -> None:
    if value not in choices:
        raise errors.SpecError(
            field, f"{value!r} is not one of {', '.join(choices)}"
        )


def _check_size(size: object) -> None:
    if type(size) is not int or size <= 0:
        raise errors.SpecError("disk_size", "a positive number of bytes")
    if size > LARGEST_DISK:
        raise errors.SpecError("disk_size", "1 PiB at the most")


def _words(
    data: Mapping[str, Any], field: str, default: tuple[str, ...]
) -> tuple[str, ...]:
    value = data.get(field, default)
    if not isinstance(value, list | tuple) or not all(
        isinstance(word, str) for word in value
    ):
        raise errors.SpecError(field, "expected a list of strings")
    return tuple(value)


def _texts(data: Mapping[str, Any], field: str) -> dict[str, str]:
    value = data.get(field, {})
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    ):
        raise errors.SpecError(field, "expected strings by name")
    return dict(value)


def allows(name: str, value: str) -> bool:
    """Whether a request may set a variable to this."""
    return (
        VARIABLE.fullmatch(name) is not None
        and not FORBIDDEN_VARIABLE.fullmatch(name)
        and "\0" not in value
        and len(value) <= LONGEST_VALUE
    )


def _environment(data: Mapping[str, Any]) -> dict[str, str]:
    value = _texts(data, "environment")
    for name, text in value.items():
        if not VARIABLE.fullmatch(name):
            raise errors.SpecError("environment", f"bad name {name!r}")
        if FORBIDDEN_VARIABLE.fullmatch(name):
            raise errors.SpecError("environment", f"{name} may not be set")
        if "\0" in text or len(text) > LONGEST_VALUE:
            raise errors.SpecError("environment", f"bad value of {name}")
    return value
