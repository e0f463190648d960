"""A throw-away disk: the image as it was, a config drive, and room."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from dib_service.engine import sizes
from dib_service.engine.disk import layout, partitioning
from dib_service.engine.gate import disk, drive
from dib_service.engine.gate.plan import LARGER, Plan, Settings
from dib_service.engine.sizes import GiB, MiB
from dib_service.engine.verify.image import partition_table

ABOUT = drive.Machine(
    "u-u-i-d", "machine-1", "52:54:00:00:00:01", "ssh-x AAAA"
)


class Disks(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)
        self.folder = self.place / "machine"
        self.folder.mkdir()
        self.iso = drive.write(ABOUT, self.folder)

    def image(self, label: str, form: str, sector: int = 512) -> pathlib.Path:
        """An image of 1 GiB, of two partitions with a mark in the second."""
        raw = self.place / "image.raw"
        with raw.open("wb") as file:
            file.truncate(GiB)
        gpt = label == "gpt"
        table = layout.Table(
            "gpt" if gpt else "mbr",
            tuple(
                layout.Partition(
                    name,
                    sizes.Size(bytes=100 * MiB)
                    if name == "boot"
                    else sizes.Size(percent=100),
                    "8300" if gpt else "83",
                )
                for name in ("boot", "root")
            ),
        )
        places = partitioning.spans(table, GiB)
        if sector == 512:
            partitioning.write(raw, table, places, sector)
        self.root = places["root"]
        with raw.open("r+b") as file:
            file.seek(self.root.offset)
            file.write(b"the root")
        if form == "raw":
            return raw
        return self.converted(raw, "raw", form, "image.qcow2")

    def converted(
        self, source: pathlib.Path, form: str, to: str, name: str
    ) -> pathlib.Path:
        target = self.place / name
        subprocess.run(
            [
                *("qemu-img", "convert", "-f", form, "-O", to),
                *(source, target),
            ],
            check=True,
        )
        return target

    def plan(self, form: str, *, bare: bool = False) -> Plan:
        return Plan(
            *("login", "x86_64", ("bios",), Settings()),
            image="image",
            format=form,
            root=1,
            bare=bare,
        )

    def read(self, path: pathlib.Path, offset: int, size: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def test_an_image_with_a_drive_at_its_end(self) -> None:
        for label in ("gpt", "mbr"):
            for form in ("raw", "qcow2"):
                with self.subTest(f"{label} {form}"):
                    self.check(label, form)

    def check(self, label: str, form: str) -> None:
        image = self.image(label, form)
        before = image.read_bytes()
        made = disk.make(self.plan(form), image, self.iso, self.folder)
        # What is tested is what is uploaded.
        self.assertEqual(before, image.read_bytes())
        raw = self.converted(made.path, made.format, "raw", "after.raw")
        self.assertEqual(GiB + LARGER, raw.stat().st_size)
        found = partition_table(raw, 512)
        self.assertEqual(label, found.label)
        [_, root, config] = found.spans
        self.assertEqual(self.root, root)
        self.assertEqual(b"the root", self.read(raw, root.offset, 8))
        self.assertEqual(
            self.iso.read_bytes(),
            self.read(raw, config.offset, self.iso.stat().st_size),
        )
        self.assertLessEqual(config.size, 65 * MiB)
        self.assertEqual(config.offset - root.offset, made.room)
        if label == "gpt":
            said = subprocess.run(
                ["sgdisk", "--verify", raw],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            self.assertIn("No problems found", said)

    def test_a_filesystem_gets_a_disk_around_it(self) -> None:
        image = self.place / "image.raw"
        with image.open("wb") as file:
            file.truncate(200 * MiB + 512)
        subprocess.run(["mkfs.ext4", "-q", "-L", "here", image], check=True)
        made = disk.make(
            self.plan("raw", bare=True), image, self.iso, self.folder
        )
        self.assertEqual("raw", made.format)
        [root, config] = partition_table(made.path, 512).spans
        self.assertEqual(
            image.read_bytes(),
            self.read(made.path, root.offset, image.stat().st_size),
        )
        self.assertEqual(
            self.iso.read_bytes(),
            self.read(made.path, config.offset, self.iso.stat().st_size),
        )
        self.assertGreater(made.room, 3 * GiB)

    def test_what_is_on_the_drive(self) -> None:
        self.assertEqual(b"config-2", self.read(self.iso, 16 * 2048 + 40, 8))
        for version in ("latest", "2012-08-10"):
            said = subprocess.run(
                [
                    *("isoinfo", "-R", "-i", self.iso),
                    *("-x", f"/openstack/{version}/meta_data.json"),
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            self.assertEqual("machine-1", json.loads(said)["name"])
