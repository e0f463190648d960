"""What is registered is read, and files are kept whole."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import sys
import tempfile
import types
import unittest
from unittest import mock

from tests.unit.elements import persistent

with persistent.importable():
    from persistent_state import (
        locator,
        partition,
        registry,
        report,
        table,
    )
    from persistent_state.content import Content
    from persistent_state.devices import Device
    from persistent_state.faults import Fault, run

PROGRAM = persistent.LIBRARY.parent / "sbin/persistent-state"
MOUNTPOINT = "/var/lib/persistent-state"
MiB = 1 << 20


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)

    def write(self, path: str, text: str) -> pathlib.Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


class TestRegistry(Folder):
    def registered(self, text: str) -> registry.Registered:
        self.write("usr/lib/persistent-state.d/one.conf", text)
        return registry.read(self.root, mountpoint=MOUNTPOINT)

    def test_directories_and_files(self) -> None:
        found = self.registered(
            "# a comment\n\n/var/lib/db/\n  /etc/ssh/ssh_host_*_key*\n"
        )
        self.assertEqual(("/var/lib/db",), found.directories)
        self.assertEqual(("/etc/ssh/ssh_host_*_key*",), found.files)
        self.assertEqual((), found.wrong)

    def test_what_lies_in_a_directory_goes_with_it(self) -> None:
        found = self.registered(
            "/var/lib/nova/instances/\n/var/lib/nova/\n"
            "/var/lib/nova/id\n/var/lib/nova-more/\n"
        )
        self.assertEqual(
            ("/var/lib/nova", "/var/lib/nova-more"), found.directories
        )
        self.assertEqual((), found.files)

    def test_one_path_has_one_name(self) -> None:
        found = self.registered("/srv//db/\n/srv/./db/\n/srv/db//\n")
        self.assertEqual(("/srv/db",), found.directories)

    def test_what_is_no_path_to_keep(self) -> None:
        for line in (
            "var/lib/db/",
            "/",
            "/var/",
            "/var/lib/",
            "/var/lib/../../etc/",
            "/srv/*/",
            "/etc/[ab]/key",
            f"{MOUNTPOINT}/",
        ):
            with self.subTest(line):
                found = self.registered(f"{line}\n")
                self.assertEqual(((), ()), (found.directories, found.files))
                self.assertEqual(1, len(found.wrong))

    def test_the_operators_file_takes_the_elements_place(self) -> None:
        self.write("etc/persistent-state.d/one.conf", "/srv/mine/\n")
        self.write("etc/persistent-state.d/two.conf", "/srv/more/\n")
        found = self.registered("/srv/theirs/\n")
        self.assertEqual(("/srv/mine", "/srv/more"), found.directories)


class TestLocator(Folder):
    def test_it_is_read_as_it_was_written(self) -> None:
        file = self.write("disk", "")
        os.truncate(file, 8 * MiB)
        note = locator.Locator(start=MiB, size=5 * MiB)
        self.assertIsNone(locator.read(str(file), 7 * MiB))
        locator.write(str(file), 7 * MiB, note)
        self.assertEqual(note, locator.read(str(file), 7 * MiB))
        self.assertIsNone(locator.read(str(file), 8 * MiB))

    def test_half_of_it_is_none(self) -> None:
        file = self.write("disk", "")
        os.truncate(file, 8 * MiB)
        locator.write(str(file), MiB, locator.Locator(1, 2))
        content = file.read_bytes().replace(b'"start": 1', b'"start": 9')
        file.write_bytes(content)
        self.assertIsNone(locator.read(str(file), MiB))


class TestPartition(unittest.TestCase):
    disk = Device("vda", "vda", 0, 100 * MiB)

    def test_sizes(self) -> None:
        for text, size in (
            ("10%", 10 * MiB),
            ("8GiB", 8192 * MiB),
            ("8G", 8192 * MiB),
            ("512MiB", 512 * MiB),
        ):
            self.assertEqual(size, partition.in_bytes(text, self.disk))
        for text in ("", "much", "-1GiB", "1PiB"):
            with self.assertRaises(Fault) as caught:
                partition.in_bytes(text, self.disk)
            self.assertEqual("configuration", caught.exception.code)

    def test_the_kernels_names_of_partitions(self) -> None:
        for disk, name in (
            ("vda", "vda3"),
            ("nvme0n1", "nvme0n1p3"),
            ("md126", "md126p3"),
        ):
            device = Device(disk, disk, 0, 1)
            self.assertEqual(name, table.partition_name(device, 3))

    def test_a_table_is_read(self) -> None:
        dump = (
            "label: gpt\ndevice: /dev/nvme0n1\nunit: sectors\n"
            "last-lba: 999\n\n"
            "/dev/nvme0n1p1 : start=        2048, size=     262144, type=X\n"
            "/dev/nvme0n1p12 : start=    264192, size=       2048, type=X\n"
        )
        with (
            mock.patch.object(table, "run", return_value=dump),
            mock.patch.object(table, "sector_size", return_value=512),
        ):
            found = table.read(self.disk)
        self.assertEqual(
            {1: (MiB, 128 * MiB), 12: (129 * MiB, MiB)}, found.entries
        )
        self.assertEqual([12], table.overlapping(found, 129 * MiB, 1))
        self.assertEqual([], table.overlapping(found, 130 * MiB, MiB))

    def test_a_table_that_is_full(self) -> None:
        for kind, most in (("gpt", 128), ("dos", 4)):
            entries = {number: (0, 1) for number in range(1, most + 1)}
            full = table.Table(kind, (), (), entries)
            with self.subTest(kind), self.assertRaises(Fault) as caught:
                table.add(self.disk, full, MiB, MiB, "state")
            self.assertEqual("table", caught.exception.code)

    def test_an_mbr_does_not_reach_the_end_of_a_large_disk(self) -> None:
        layout = table.Table("dos", (), (), {1: (MiB, MiB)})
        with (
            mock.patch.object(table, "sector_size", return_value=512),
            self.assertRaises(Fault) as caught,
        ):
            table.add(self.disk, layout, 2 << 40, MiB, "state")
        self.assertEqual("table", caught.exception.code)
        self.assertIn("ends at 2 TiB", str(caught.exception))

    def test_names_in_any_encoding_go_back_as_they_are(self) -> None:
        said = run("printf", r"\344")
        again = run("od", "-An", "-tx1", stdin=said)
        self.assertEqual("e4", again.strip())


class TestFiles(Folder):
    def setUp(self) -> None:
        super().setUp()
        (self.root / "state").mkdir()
        (self.root / "system/etc").mkdir(parents=True)
        self.content = Content(self.root / "state", self.root / "system")
        self.content.prepare()

    def test_they_are_kept_and_come_back(self) -> None:
        key = self.write("system/etc/a.key", "secret")
        key.chmod(0o640)
        self.assertEqual(["/etc/a.key"], self.content.save("/etc/*.key"))
        self.assertEqual([], self.content.save("/etc/*.key"))
        key.unlink()
        self.assertEqual([], self.content.save("/etc/*.key"))
        self.assertEqual(["/etc/a.key"], self.content.restore("/etc/*.key"))
        self.assertEqual("secret", key.read_text())
        self.assertEqual(0o640, key.stat().st_mode & 0o777)

    def test_a_new_mode_is_a_change(self) -> None:
        key = self.write("system/etc/a.key", "secret")
        self.content.save("/etc/*.key")
        key.chmod(0o600)
        self.assertEqual(["/etc/a.key"], self.content.save("/etc/*.key"))

    def test_links_are_not_followed(self) -> None:
        self.write("system/etc/secret", "of another")
        (self.root / "system/etc/a.key").symlink_to("secret")
        self.assertEqual([], self.content.save("/etc/*.key"))

    def linked(self, link: str, target: str, *, owner: int = 1) -> None:
        """In the system there is a link of this user's."""
        path = self.root / "system" / link
        path.symlink_to(target)
        lstat = os.lstat

        def owned(asked: str | pathlib.Path) -> object:
            if asked == path:
                return types.SimpleNamespace(st_uid=owner)
            return lstat(asked)

        self.enterContext(mock.patch.object(os, "lstat", owned))

    def kept(self, path: str = "a.key") -> None:
        """A file has been kept, and the image has none."""
        key = self.write(f"system/etc/{path}", "kept")
        self.content.save(f"/etc/{path}")
        key.unlink()

    def test_no_services_link_leads_to_another_file(self) -> None:
        self.kept()
        shadow = self.write("system/etc/shadow", "root's")
        self.linked("etc/a.key", "shadow")
        with self.assertRaises(Fault):
            self.content.restore("/etc/a.key")
        self.assertEqual("root's", shadow.read_text())

    def test_no_services_link_leads_to_another_folder(self) -> None:
        self.kept("service/keys/passwd")
        passwd = self.write("system/etc/passwd", "root's")
        (self.root / "system/etc/service/keys").rmdir()
        self.linked("etc/service/keys", "..")
        for act in (
            lambda: self.content.restore("/etc/service/keys/passwd"),
            lambda: self.content.bind("/etc/service/keys"),
        ):
            with self.assertRaises(Fault):
                act()
        self.assertEqual("root's", passwd.read_text())

    def test_no_link_is_in_the_place_of_the_copy(self) -> None:
        self.kept()
        shadow = self.write("system/etc/shadow", "root's")
        (self.root / "system/etc/a.key.new").symlink_to("shadow")
        self.assertEqual(["/etc/a.key"], self.content.restore("/etc/a.key"))
        self.assertEqual("root's", shadow.read_text())
        self.assertEqual("kept", (self.root / "system/etc/a.key").read_text())

    def test_roots_links_are_followed(self) -> None:
        self.kept("service/a.key")
        (self.root / "system/etc/service").rmdir()
        (self.root / "system/srv").mkdir()
        self.linked("etc/service", "../etc/../srv/./", owner=0)
        self.content.restore("/etc/service/*")
        self.assertEqual("kept", (self.root / "system/srv/a.key").read_text())

    def test_links_that_lead_to_each_other(self) -> None:
        self.kept()
        self.linked("etc/a.key", "a.key", owner=0)
        with self.assertRaises(Fault):
            self.content.restore("/etc/a.key")

    def test_half_a_file_is_not_put_back(self) -> None:
        self.write("state/persistent-state/files/etc/a.key.new", "hal")
        self.assertEqual([], self.content.restore("/etc/a*"))
        self.assertFalse((self.root / "system/etc/a.key.new").exists())

    def test_half_a_file_is_none(self) -> None:
        self.write("system/etc/a.key", "first")
        self.content.save("/etc/*.key")
        self.write("system/etc/a.key", "second")
        with (
            mock.patch("os.fsync", side_effect=OSError(28, "full")),
            self.assertRaises(OSError),
        ):
            self.content.save("/etc/*.key")
        files = self.root / "state/persistent-state/files/etc"
        self.assertEqual(["a.key"], [path.name for path in files.iterdir()])
        self.assertEqual("first", (files / "a.key").read_text())


class TestProgram(Folder):
    """A machine without its state: it is told, and boots."""

    def setUp(self) -> None:
        super().setUp()
        self.program = loaded()
        for where, name in (
            (self.program, "CONFIG"),
            (self.program, "MOUNTPOINT"),
            (report, "RUN"),
            (report, "MOTD"),
            (report, "CONSOLE"),
        ):
            path = self.root / name.lower()
            self.enterContext(mock.patch.object(where, name, path))
        self.exposed = self.enterContext(
            mock.patch.object(partition, "exposed", return_value=False)
        )
        self.sleep = self.enterContext(
            mock.patch.object(self.program.time, "sleep")
        )
        self.journal = io.StringIO()
        self.enterContext(contextlib.redirect_stderr(self.journal))

    def asked(self, word: str) -> tuple[int, str]:
        said = io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["persistent-state", word]),
            contextlib.redirect_stdout(said),
        ):
            return self.program.main(), said.getvalue()

    def test_a_fault_is_told_and_does_not_fail_the_boot(self) -> None:
        fault = Fault("damaged", "the disk is what it is")
        with mock.patch.object(partition, "find_or_make", side_effect=fault):
            self.assertEqual((0, ""), self.asked("start"))
        for told in (
            self.journal.getvalue(),
            (self.root / "console").read_text(),
        ):
            self.assertIn("DEGRADED (damaged): the disk is what it is", told)
        self.assertTrue(self.journal.getvalue().startswith("<2>"))
        for marker in ("run/degraded", "motd"):
            self.assertIn(
                "the disk is what it is", (self.root / marker).read_text()
            )
        code, said = self.asked("status")
        self.assertEqual(1, code)
        self.assertEqual("damaged", json.loads(said)["code"])
        # There is nowhere to save anything to.
        self.assertEqual((0, ""), self.asked("save"))
        self.assertFalse((self.root / "run/hold-root").exists())

    def test_the_root_does_not_grow_over_what_was_not_to_be_had(self) -> None:
        self.exposed.return_value = True
        # Nobody understands it, and still it says nothing of another place.
        (self.root / "config").write_text("lable = mine\n")
        self.assertEqual((0, ""), self.asked("start"))
        self.assertTrue((self.root / "run/hold-root").exists())
        self.assertIn("does not grow", (self.root / "console").read_text())
        unit = persistent.LIBRARY.parents[4] / (
            "growroot/init-scripts/systemd/growroot.service"
        )
        self.assertIn(
            "ConditionPathExists=!/run/persistent-state/hold-root",
            unit.read_text().splitlines(),
        )

    def test_no_surprise_fails_the_boot(self) -> None:
        surprise = KeyError("what nobody thought of")
        with mock.patch.object(
            partition, "find_or_make", side_effect=surprise
        ):
            self.assertEqual((0, ""), self.asked("start"))
        self.assertIn(
            "what nobody thought of", (self.root / "run/degraded").read_text()
        )

    def kept(self) -> pathlib.Path:
        """The state's copy of the one key that is registered."""
        self.enterContext(mock.patch.object(os.path, "ismount"))
        self.enterContext(mock.patch.object(self.program, "ROOT", self.root))
        self.write("usr/lib/persistent-state.d/one.conf", "/etc/ssh/key\n")
        self.write("etc/ssh/key", "of this deploy")
        for name in ("passwd", "group"):
            self.write(f"etc/{name}", "root:x:0:0::/:\n")
        kept = "mountpoint/persistent-state/files/etc/ssh/key"
        return self.write(kept, "of the first")

    def moved_in(self, **restore: object) -> None:
        found = partition.Found(Device("vda3", "vda", 0, MiB), "ext4")
        with (
            mock.patch.object(Content, "restore", **restore),
            mock.patch.object(Content, "own_again"),
        ):
            self.program.move_in(found)

    def test_what_could_not_be_put_back_is_kept_as_it_was(self) -> None:
        kept = self.kept()
        self.moved_in(side_effect=OSError(28, "no room"))
        self.assertEqual((0, ""), self.asked("save"))
        self.assertEqual("of the first", kept.read_text())

    def test_what_was_put_back_is_saved(self) -> None:
        kept = self.kept()
        self.moved_in(return_value=["/etc/ssh/key"])
        self.assertEqual((0, ""), self.asked("save"))
        self.assertEqual("of this deploy", kept.read_text())

    def test_who_is_made_while_it_runs_is_remembered(self) -> None:
        self.kept()
        self.moved_in(return_value=["/etc/ssh/key"])
        self.write("etc/passwd", "root:x:0:0::/:\nlate:x:1000:1000::/:\n")
        self.assertEqual((0, ""), self.asked("save"))
        record = self.root / "mountpoint/persistent-state/owners.json"
        self.assertEqual(1000, json.loads(record.read_text())["users"]["late"])

    def test_what_changes_while_it_is_saved_is_saved(self) -> None:
        kept = self.kept()
        self.moved_in(return_value=["/etc/ssh/key"])
        more = iter(["half", "the whole"])

        def written(_: float) -> None:
            with contextlib.suppress(StopIteration):
                self.write("etc/ssh/key", next(more))

        self.sleep.side_effect = written
        self.assertEqual((0, ""), self.asked("save"))
        self.assertEqual("the whole", kept.read_text())

    def test_who_writes_all_the_time_is_not_waited_for(self) -> None:
        self.kept()
        self.moved_in(return_value=["/etc/ssh/key"])
        self.sleep.side_effect = lambda _: self.write(
            "etc/ssh/key", str(self.sleep.call_count)
        )
        self.assertEqual((0, ""), self.asked("save"))
        self.assertEqual(self.program.MOST_LOOKS, self.sleep.call_count)

    def test_a_state_that_is_mounted_by_hand_is_kept_as_it_was(self) -> None:
        kept = self.kept()
        report.write(
            state="degraded", code="damaged", device="", kept=(), why="fsck"
        )
        self.assertEqual((0, ""), self.asked("save"))
        self.assertEqual("of the first", kept.read_text())

    def test_an_image_is_asked_for_the_folders_to_watch(self) -> None:
        self.enterContext(mock.patch.object(self.program, "ROOT", self.root))
        name = "usr/lib/persistent-state.d/one.conf"
        self.write(name, "/etc/ssh/*_key\n/etc/ssh/x\n/srv/db/\n/etc/id\n")
        self.assertEqual((0, "/etc\n/etc/ssh\n"), self.asked("watched"))
        # What no machine would keep is told while there is no machine.
        self.write(name, "/etc/ssh/*_key\n/etc/*/key\n")
        self.assertEqual(1, self.asked("watched")[0])
        self.assertIn("one.conf: /etc/*/key", self.journal.getvalue())

    def test_an_image_is_asked_for_what_may_be_mounted_before(self) -> None:
        self.enterContext(mock.patch.object(self.program, "ROOT", self.root))
        self.assertEqual((0, ""), self.asked("above"))
        name = "usr/lib/persistent-state.d/one.conf"
        self.write(name, "/etc/ssh/*_key\n/srv/db/\n/var/lib/db/main/\n")
        self.assertEqual(
            (0, "/etc\n/etc/ssh\n/srv\n/var\n/var/lib\n/var/lib/db\n"),
            self.asked("above"),
        )

    def test_a_configuration_that_nobody_understands(self) -> None:
        self.write("config", "# as ever\nplaces = here\n")
        self.assertEqual((0, ""), self.asked("start"))
        self.assertIn("DEGRADED (configuration)", self.journal.getvalue())

    def test_the_configuration(self) -> None:
        self.write(
            "config", "# what\nlabel = mine\nplace=/dev/sdb\ndisks = sda sdb\n"
        )
        self.assertEqual(
            partition.Wanted(
                label="mine", place="/dev/sdb", disks=("sda", "sdb")
            ),
            self.program.wanted(),
        )

    def test_nothing_was_started_yet(self) -> None:
        self.assertEqual((1, "{}\n"), self.asked("status"))


def loaded() -> types.ModuleType:
    """The program, as a module."""
    loader = importlib.machinery.SourceFileLoader("program", str(PROGRAM))
    spec = importlib.util.spec_from_loader("program", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    with (
        mock.patch.object(sys, "dont_write_bytecode", True),
        mock.patch.object(sys, "path", list(sys.path)),
    ):
        loader.exec_module(module)
    return module
