"""Makes of one raw image the files that were asked for, all or none."""

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path
import shutil
from typing import Any

from dib_service.engine import process

# zstd is five times as fast as zlib and a little smaller. It is one of the
# feature bits that oslo.utils' format inspector accepts, so Glance, Nova and
# Ironic take it; qemu reads it since 5.1. Threads beside each other, but
# writing in order (no -W): equal bytes from equal input.
QCOW2_OPTIONS = "compression_type=zstd"
THREADS = "16"

PIECE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One finished file; sizes are in bytes, digests in hexadecimal."""

    format: str
    path: Path
    size: int
    virtual_size: int
    sha512: str
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """The form in which it stands in events and manifests."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def write_all(
    formats: Sequence[str], image: Path, *, name: str, output_dir: Path
) -> tuple[Artefact, ...]:
    """The image in each of the formats, with a file for each checksum.

    They get their names when all of them are there; until then, and after
    an error, ``output_dir`` holds none of them. The raw image itself is
    moved if it is asked for, so ``image`` may be gone afterwards.

    :raises errors.CommandError: a conversion failed.
    :raises OSError: no room, or a name that is taken by a directory.
    """
    # What reads the image comes first: it is moved for raw.
    formats = sorted(dict.fromkeys(formats), key=lambda f: f == "raw")
    with _unfinished(output_dir) as place:
        made = [
            _made(wanted, image, place / f"{name}.{wanted}")
            for wanted in formats
        ]
        for path in sorted(place.iterdir()):
            path.rename(output_dir / path.name)
    _to_disk(output_dir)
    return tuple(
        dataclasses.replace(artefact, path=output_dir / artefact.path.name)
        for artefact in made
    )


@contextlib.contextmanager
def _unfinished(output_dir: Path) -> Iterator[Path]:
    """A directory beside the final names, gone afterwards."""
    output_dir.mkdir(parents=True, exist_ok=True)
    place = output_dir / ".unfinished"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _made(wanted: str, image: Path, path: Path) -> Artefact:
    virtual_size = image.stat().st_size
    if wanted == "raw":
        _move(image, path)
    else:
        _convert(image, path, wanted)
    path.chmod(0o644)
    digests = _digests(path)
    for kind, digest in digests.items():
        beside = path.with_name(f"{path.name}.{kind}")
        # The form that sha256sum --check reads.
        beside.write_text(f"{digest}  {path.name}\n", encoding="ascii")
        _to_disk(beside)
    _to_disk(path)
    return Artefact(
        format=wanted,
        path=path,
        size=path.stat().st_size,
        virtual_size=virtual_size,
        **digests,
    )


def _convert(image: Path, path: Path, wanted: str) -> None:
    options = []
    if wanted == "qcow2":
        options = ["-c", "-o", QCOW2_OPTIONS, "-m", THREADS]
    process.run(
        [
            *("qemu-img", "convert", "-f", "raw", "-O", wanted),
            *options,
            image,
            path,
        ]
    )


def _move(image: Path, path: Path) -> None:
    try:
        image.rename(path)
    except OSError:
        # Another filesystem: copy, and keep the holes.
        process.run(["cp", "--sparse=always", "--reflink=auto", image, path])
        image.unlink()


def _digests(path: Path) -> dict[str, str]:
    found = {"sha512": hashlib.sha512(), "sha256": hashlib.sha256()}
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            for digest in found.values():
                digest.update(piece)
    return {kind: digest.hexdigest() for kind, digest in found.items()}


def _to_disk(path: Path) -> None:
    # A name may reach the disk before what it names does.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def described(path: Path, wanted: str | None = None) -> dict[str, Any]:
    """What ``qemu-img info`` says of a file.

    :raises errors.CommandError: it cannot be read as ``wanted``.
    """
    options = ["-f", wanted] if wanted else []
    text = process.run(["qemu-img", "info", "--output=json", *options, path])
    found: dict[str, Any] = json.loads(text)
    return found
