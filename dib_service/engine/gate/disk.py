"""A throw-away disk with an image and a config drive on it.

The image itself is never written to. Nothing is mounted and no right is
needed: what changes is written into files of our own.
"""

from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path

from dib_service.engine import process
from dib_service.engine.gate import table
from dib_service.engine.gate.plan import LARGER, Plan
from dib_service.engine.sizes import MiB

SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Disk:
    """A file for QEMU; ``room`` is what the root has to grow to, in bytes.

    0 where it cannot grow.
    """

    path: Path
    format: str
    room: int = 0


def make(plan: Plan, image: Path, drive: Path, folder: Path) -> Disk:
    """A disk larger than its image, with the drive at its end.

    :raises Found: the image's partition table has no room for it.
    """
    size = _virtual_size(image, plan.format)
    if plan.bare:
        return _around(plan, image, size, drive, folder)
    path = folder / "disk.qcow2"
    process.run(
        [
            *("qemu-img", "create", "-q", "-f", "qcow2"),
            *("-b", image, "-F", plan.format, path, str(size + LARGER)),
        ],
        deadline=SECONDS,
    )
    return _completed(plan, path, "qcow2", size + LARGER, drive)


def empty(folder: Path) -> Disk:
    """A disk with nothing on it, for what is started from elsewhere."""
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(LARGER)
    return Disk(path, "raw")


def _around(
    plan: Plan, image: Path, size: int, drive: Path, folder: Path
) -> Disk:
    """A filesystem's image in a partition, as Ironic's agent puts it."""
    path = folder / "disk.raw"
    whole = -(-size // MiB) * MiB + LARGER
    with path.open("wb") as file:
        file.write(table.empty_gpt(whole, plan.sector))
        file.truncate(whole)
    target = f"driver=raw,offset={MiB},size={-(-size // 512) * 512}"
    process.run(
        [
            *("qemu-img", "convert", "-n", "--target-is-zero"),
            *("-f", plan.format, "--target-image-opts", image),
            f"{target},file.driver=file,file.filename={path}",
        ],
        deadline=SECONDS,
    )
    return _completed(plan, path, "raw", whole, drive)


def _completed(
    plan: Plan, path: Path, form: str, size: int, drive: Path
) -> Disk:
    placed = table.with_drive(_head(path, form), size, plan.sector)
    _write(
        path,
        form,
        [*placed.patches, (placed.drive.offset, drive.read_bytes())],
    )
    return Disk(path, form, placed.room(0 if plan.bare else plan.root))


def _head(path: Path, form: str) -> bytes:
    copy = path.with_suffix(".head")
    process.run(
        [
            *("qemu-img", "dd", "-f", form, "-O", "raw"),
            *(f"bs={table.HEAD_BYTES}", "count=1"),
            *(f"if={path}", f"of={copy}"),
        ],
        deadline=SECONDS,
    )
    return copy.read_bytes()


def _write(path: Path, form: str, patches: Sequence[table.Patch]) -> None:
    words: list[str | Path] = ["qemu-io", "-f", form]
    for number, (offset, data) in enumerate(patches):
        patch = path.with_suffix(f".patch{number}")
        patch.write_bytes(data)
        words += ["-c", f"write -q -s {patch} {offset} {len(data)}"]
    process.run([*words, path], deadline=SECONDS)


def _virtual_size(image: Path, form: str) -> int:
    said = process.run(
        ["qemu-img", "info", "--output=json", "-f", form, image],
        deadline=SECONDS,
    )
    return int(json.loads(said)["virtual-size"])
