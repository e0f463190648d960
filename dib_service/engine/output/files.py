"""Makes the files that were asked for, all of them or none.

There are two kinds: disks, made of the raw image, and archives, made of the
tree while it is mounted in that image. What hooks wrote beside them, a
kernel and a ramdisk perhaps, belongs to the same set.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path
import shutil
from typing import Any, Literal

from dib_service.engine import kernel
from dib_service.engine.output import archive, disk
from dib_service.engine.output.options import Options
from dib_service.engine.spec import ARCHIVES, DISKS, BuildSpec

# A file only until it is in another program's store.
DOCKER = "docker"

Role = Literal["image", "disk", "kernel", "ramdisk", "other"]

# What elements that take a kernel out of the tree call it: baremetal the
# first of each pair, ramdisk and ironic-python-agent-ramdisk the second.
ROLES: Mapping[str, Role] = {
    ".vmlinuz": "kernel",
    ".kernel": "kernel",
    ".initrd": "ramdisk",
    ".initramfs": "ramdisk",
}


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One finished file; sizes are in bytes, digests in hexadecimal.

    ``name`` is its path below the directory of the set. ``role`` says what
    it is for: ``image``, what was asked for; ``disk``, one more that goes
    with it; ``kernel``, ``ramdisk`` and ``other``, what hooks wrote beside
    it. ``virtual_size`` is that of the disk which the file is; of what is no
    disk, its own. ``digests`` are by the names of their kinds.
    """

    format: str
    role: Role
    name: str
    path: Path
    size: int
    virtual_size: int
    digests: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The form in which it stands in events and manifests."""
        facts = dataclasses.asdict(self)
        digests = facts.pop("digests")
        return {**facts, "path": str(self.path), **digests}


@dataclasses.dataclass(frozen=True)
class Source:
    """What the files are made of.

    ``root`` is the tree, mounted from the disk ``image``; that is whole once
    ``put_away`` was called. ``others`` are further disks, whole then, too,
    by their names.
    """

    root: Path
    image: Path
    put_away: Callable[[], None] = lambda: None
    others: Mapping[str, Path] = dataclasses.field(default_factory=dict)


def write_all(
    wanted: BuildSpec,
    source: Source,
    *,
    output_dir: Path,
    options: Options,
    warn: Callable[[str], None],
) -> tuple[Artefact, ...]:
    """The set: each of the formats, and what hooks left in ``output_dir``.

    The files get their names when all of them are there; until then, and
    after an error, ``output_dir`` holds none of them. Beside each image,
    kernel and ramdisk there is a file for each of its checksums. The raw
    image itself is moved if it is asked for.

    :raises errors.CommandError: a conversion failed.
    :raises OSError: no room, or a name that is taken by a directory.
    """
    sides = _beside(output_dir)
    with _unfinished(output_dir) as place:
        images = _images(wanted, source, place, options, warn)
        artefacts = _digested(
            [*images, *(_side(path, output_dir) for path in sides)],
            options.checksums,
        )
        for artefact in artefacts:
            if artefact.role != "other" and artefact.format != DOCKER:
                _write_checksums(artefact, place)
        ours = {path.name for path in place.iterdir()}
        _name(place, output_dir)
    return tuple(
        dataclasses.replace(artefact, path=output_dir / artefact.name)
        for artefact in artefacts
        # What a hook wrote under a name of ours is no more.
        if artefact.path.parent == place or artefact.name not in ours
    )


def import_to_docker(
    artefacts: Sequence[Artefact], options: Options
) -> tuple[Artefact, ...]:
    """Hand what is for docker to it; the artefacts that are files.

    The last thing to do: nothing of ours takes it back.

    :raises errors.CommandError: docker did not take it.
    """
    for artefact in artefacts:
        if artefact.format == DOCKER:
            archive.import_to_docker(artefact.path, options)
            artefact.path.unlink()
    return tuple(each for each in artefacts if each.format != DOCKER)


def _beside(directory: Path) -> list[Path]:
    """The files in a directory and below."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink()
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


def _images(
    wanted: BuildSpec,
    source: Source,
    place: Path,
    options: Options,
    warn: Callable[[str], None],
) -> list[Artefact]:
    """Each of the formats, and further disks, in ``place``."""
    files = {each: place / wanted.file_name(each) for each in wanted.formats}
    for each in filter(files.__contains__, ARCHIVES):
        archive.write(each, source.root, files[each], options, warn)
    source.put_away()
    disks = [each for each in DISKS if each in files]
    virtual_size = source.image.stat().st_size if disks else 0
    # What reads the image comes first: it is moved for raw.
    for each in reversed(disks):
        disk.write(each, source.image, files[each], options)
    # diskimage-builder makes further disks and then loses them.
    for name, further in source.others.items():
        if disks:
            path = place / f"{wanted.name}-{name}.raw"
            disk.write("raw", further, path, options)
    return [
        *(_image(*each, virtual_size) for each in files.items()),
        # Some of qemu-img's own formats have further files, too.
        *(
            dataclasses.replace(_side(path, place), role="disk")
            for path in sorted(place.iterdir())
            if path not in files.values()
        ),
    ]


def _image(wanted: str, path: Path, virtual_size: int) -> Artefact:
    path.chmod(0o644)
    size = path.stat().st_size
    return Artefact(
        format=wanted,
        role="image",
        name=path.name,
        path=path,
        size=size,
        virtual_size=virtual_size if wanted in DISKS else size,
        digests={},
    )


def _side(path: Path, output_dir: Path) -> Artefact:
    size = path.stat().st_size
    role: Role = "other"
    if path.parent == output_dir:
        role = ROLES.get(path.suffix, role)
    return Artefact(
        format=path.suffix.lstrip("."),
        role=role,
        name=str(path.relative_to(output_dir)),
        path=path,
        size=size,
        virtual_size=size,
        digests={},
    )


def _digested(
    artefacts: Sequence[Artefact], kinds: Sequence[str]
) -> list[Artefact]:
    """The artefacts with their digests, worked out beside each other."""
    # hashlib lets other threads run; each reads what is still in memory,
    # and meanwhile the disk has its own work.
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        written = [
            pool.submit(kernel.to_disk, each.path) for each in artefacts
        ]
        found = [
            {kind: pool.submit(_digest, each.path, kind) for kind in kinds}
            for each in artefacts
        ]
        for job in written:
            # An error of the disk is told once, to the first who asks.
            job.result()
        return [
            dataclasses.replace(
                artefact,
                digests={kind: jobs[kind].result() for kind in kinds},
            )
            for artefact, jobs in zip(artefacts, found, strict=True)
        ]


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()


def _write_checksums(artefact: Artefact, place: Path) -> None:
    for kind, digest in artefact.digests.items():
        # The form that sha256sum --check reads.
        (place / f"{artefact.name}.{kind}").write_text(
            f"{digest}  {artefact.name}\n", encoding="ascii"
        )


def _name(place: Path, output_dir: Path) -> None:
    """Give the files their names, once all of them are on the disk."""
    for path in place.iterdir():
        kernel.to_disk(path)
    for path in sorted(place.iterdir()):
        path.rename(output_dir / path.name)
    kernel.to_disk(output_dir)
