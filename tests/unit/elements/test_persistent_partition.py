"""What may be somebody's state is neither formatted nor grown over."""

import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

from tests.unit.elements import persistent

with persistent.importable():
    from persistent_state import devices, locator, partition, table
    from persistent_state.devices import Device
    from persistent_state.faults import Fault

MiB = 1 << 20
LABEL = "persistent-state"


class InFile(Device):
    """A device whose content is that of a file."""

    files: pathlib.Path

    @property
    def path(self) -> str:
        return str(self.files / self.name)


class DiskCase(unittest.TestCase):
    """A partition, and a disk whose table is a value."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        InFile.files = pathlib.Path(holder.name)
        self.device = self.made("vda3", "vda", 200 * MiB)
        self.disk = self.made("vda", "vda", 400 * MiB)
        self.entries = {1: (MiB, 10 * MiB)}
        self.added: list[tuple[int, int]] = []
        for where, name, stand_in in (
            (table, "read", self.read),
            (table, "add", self.add),
            (devices, "device", lambda _: self.device),
            (devices, "all_devices", lambda *_: []),
        ):
            self.enterContext(mock.patch.object(where, name, stand_in))

    def made(self, name: str, disk: str, size: int) -> InFile:
        device = InFile(name, disk, 0, size)
        with pathlib.Path(device.path).open("wb") as file:
            file.truncate(size)
        return device

    def read(self, _: Device) -> table.Table:
        return table.Table("gpt", (), (), dict(self.entries))

    def add(
        self, _: Device, layout: table.Table, start: int, size: int, __: str
    ) -> str:
        self.added.append((start, size))
        self.entries[3] = (start, size)
        return "vda3"

    def mkfs(self, *words: str) -> None:
        subprocess.run(
            ["mkfs.ext4", "-q", "-L", LABEL, self.device.path, *words],
            check=True,
            capture_output=True,
        )

    def clobber(self) -> None:
        with pathlib.Path(self.device.path).open("r+b") as file:
            file.write(b"\0" * MiB)

    def note(self) -> locator.Locator | None:
        return locator.read(self.device.path, self.device.size)

    def checked(self) -> partition.Found:
        return partition.checked(
            partition.Wanted(),
            self.device,
            devices.recognised(self.device.path),
        )


class TestChecked(DiskCase):
    def test_power_was_lost_before_the_note(self) -> None:
        self.mkfs(f"{199 * 1024}k")
        self.assertFalse(self.checked().made)
        self.assertEqual(locator.Locator(0, 199 * MiB), self.note())

    def test_a_note_is_no_part_of_anybodys_filesystem(self) -> None:
        self.mkfs()
        before = pathlib.Path(self.device.path).read_bytes()[-MiB:]
        self.assertFalse(self.checked().made)
        after = pathlib.Path(self.device.path).read_bytes()[-MiB:]
        self.assertEqual(before, after)

    def test_a_lost_filesystem_that_somebody_made_is_not_made_anew(
        self,
    ) -> None:
        for block in ("1024", "2048", "4096"):
            with self.subTest(block):
                self.mkfs("-b", block)
                self.clobber()
                with self.assertRaises(Fault) as caught:
                    self.checked()
                self.assertEqual("damaged", caught.exception.code)

    def test_a_check_that_was_killed_has_found_nothing_good(self) -> None:
        self.mkfs()
        with (
            mock.patch.object(partition, "exit_code", return_value=-9),
            self.assertRaises(Fault) as caught,
        ):
            self.checked()
        self.assertEqual("damaged", caught.exception.code)

    def test_an_empty_partition_is_made_use_of(self) -> None:
        self.assertTrue(self.checked().made)
        self.assertEqual(locator.Locator(0, 199 * MiB), self.note())


class TestAfterADeploy(DiskCase):
    """The table's entry is gone, and the note at the end is there."""

    start = 128 * MiB
    end = 328 * MiB

    def setUp(self) -> None:
        super().setUp()
        note = locator.Locator(self.start, 199 * MiB)
        locator.write(self.disk.path, self.end, note)
        locator.write(self.device.path, self.device.size, note)

    def find(self, place: str = "root-disk") -> partition.Found:
        wanted = partition.Wanted(place=place)
        return partition.find_or_make(wanted, self.disk)

    def test_what_is_damaged_gets_its_entry_before_the_root_grows(
        self,
    ) -> None:
        with self.assertRaises(Fault) as caught:
            self.find()
        self.assertEqual("damaged", caught.exception.code)
        self.assertEqual([(self.start, 200 * MiB)], self.added)

    def test_so_does_one_beside_which_another_has_the_label(self) -> None:
        other = self.made("vdb", "vdb", 200 * MiB)
        found = [(other, {"LABEL": LABEL}), (self.device, {"LABEL": LABEL})]
        with (
            mock.patch.object(partition, "labelled", return_value=found),
            self.assertRaises(Fault) as caught,
        ):
            self.find()
        self.assertEqual("two-candidates", caught.exception.code)
        self.assertEqual([(self.start, 200 * MiB)], self.added)

    def test_an_image_that_reaches_into_it_gets_no_entry_there(self) -> None:
        self.entries[1] = (MiB, 200 * MiB)
        with self.assertRaises(Fault) as caught:
            self.find()
        self.assertEqual("overwritten", caught.exception.code)
        self.assertEqual([], self.added)

    def test_without_an_entry_the_root_would_grow_over_it(self) -> None:
        wanted = partition.Wanted()
        self.assertTrue(partition.exposed(wanted, self.disk))
        with mock.patch.object(table, "read", side_effect=Fault("table", "")):
            self.assertTrue(partition.exposed(wanted, self.disk))
        self.entries[3] = (self.start, 200 * MiB)
        self.assertFalse(partition.exposed(wanted, self.disk))

    def test_where_no_state_is_the_root_may_grow(self) -> None:
        other = self.made("vdb", "vdb", 400 * MiB)
        self.assertFalse(partition.exposed(partition.Wanted(), other))
        elsewhere = partition.Wanted(place="ephemeral")
        self.assertFalse(partition.exposed(elsewhere, self.disk))


class TestAtTheEnd(DiskCase):
    def test_somebody_elses_partition_of_the_same_place(self) -> None:
        start, size = 288 * MiB, 40 * MiB
        self.entries[3] = (start, size)
        subprocess.run(
            [
                *("mkfs.ext4", "-q", "-L", "theirs"),
                *("-E", f"offset={start}", self.disk.path, "39M"),
            ],
            check=True,
            capture_output=True,
        )
        with self.assertRaises(Fault) as caught:
            partition.find_or_make(partition.Wanted(), self.disk)
        self.assertEqual("no-room", caught.exception.code)

    def test_more_than_the_disk_has(self) -> None:
        for size, why in (("100%", "more than"), ("1MiB", "too small")):
            wanted = partition.Wanted(size=size)
            with self.subTest(size), self.assertRaises(Fault) as caught:
                partition.find_or_make(wanted, self.disk)
            self.assertEqual("no-room", caught.exception.code)
            self.assertIn(why, str(caught.exception))
