"""What QEMU is told, and what is never left out of it."""

import dataclasses
import pathlib
import tempfile
import time
import unittest
from unittest import mock

from dib_service.engine.gate import console, disk, machine
from dib_service.engine.gate.faults import Found

HARDWARE = machine.Hardware(
    architecture="x86_64",
    accelerator="tcg",
    firmware="bios",
    disk=disk.Disk(pathlib.Path("/scratch/disk.qcow2"), "qcow2"),
    memory_mib=1024,
    uuid="1-2",
    mac="52:54:00:00:00:01",
    port=2200,
)


class Words(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        share = self.folder / "share"
        for pairs in machine.FLASH.values():
            for name in pairs[0]:
                (share / name).parent.mkdir(parents=True, exist_ok=True)
                (share / name).write_text(name)
        patched = mock.patch.object(machine, "SHARE", share)
        patched.start()
        self.addCleanup(patched.stop)

    def words(self, **changes):
        made = dataclasses.replace(HARDWARE, **changes)
        return list(map(str, machine.command(made, self.folder)))

    def test_a_stranger_is_shut_in(self):
        for firmware in ("bios", "uefi", "secure-boot", "kernel"):
            for architecture in ("x86_64", "aarch64"):
                if architecture == "aarch64" and firmware == "bios":
                    continue
                words = self.words(
                    firmware=firmware,
                    architecture=architecture,
                    kernel=pathlib.Path("/files/kernel")
                    if firmware == "kernel"
                    else None,
                )
                filtered = words[words.index("-sandbox") + 1]
                for what in (
                    "obsolete",
                    "elevateprivileges",
                    "spawn",
                    "resourcecontrol",
                ):
                    self.assertIn(f"{what}=deny", filtered)
                self.assertIn("-nodefaults", words)
                self.assertIn("-no-user-config", words)
                [net] = [word for word in words if word.startswith("user,")]
                self.assertIn("restrict=on", net)
                self.assertIn("127.0.0.1:2200-10.0.2.15:22", net)
                self.assertEqual("prlimit", words[0])
                self.assertIn(f"qemu-system-{architecture}", words)

    def test_only_an_agent_finds_its_api(self):
        [net] = [w for w in self.words(open=True) if w.startswith("user,")]
        self.assertIn("restrict=off", net)

    def test_secure_boot_is_enforced(self):
        words = self.words(firmware="secure-boot")
        self.assertIn("q35,smm=on", words)
        self.assertIn("driver=cfi.pflash01,property=secure,value=on", words)
        self.assertEqual(
            "OVMF/OVMF_VARS_4M.ms.fd",
            (self.folder / "variables.fd").read_text(),
        )
        [code] = [word for word in words if "unit=0" in word]
        self.assertIn("secboot", code)
        self.assertIn("readonly=on", code)

    def test_a_kernel_that_qemu_starts(self):
        words = self.words(
            firmware="kernel",
            kernel=pathlib.Path("/files/kernel"),
            ramdisk=pathlib.Path("/files/ramdisk"),
            line="root=LABEL=cloudimg-rootfs ro",
        )
        line = words[words.index("-append") + 1]
        self.assertTrue(line.startswith("root=LABEL=cloudimg-rootfs ro "))
        self.assertIn("console=ttyS0", line)
        self.assertIn("panic=-1", line)
        self.assertEqual("/files/ramdisk", words[words.index("-initrd") + 1])
        # QEMU refuses to have two that come first.
        self.assertNotIn("bootindex", " ".join(words))
        self.assertIn("bootindex=0", " ".join(self.words()))

    def test_the_format_of_a_disk_is_never_guessed(self):
        [drive] = [word for word in self.words() if "id=disk" in word]
        self.assertIn("format=qcow2", drive)

    def test_firmware_that_is_not_there(self):
        with (
            mock.patch.object(machine, "SHARE", self.folder / "nothing"),
            self.assertRaises(Found) as caught,
        ):
            self.words(firmware="uefi")
        self.assertEqual("boot-test-host", caught.exception.code)

    def test_another_architecture_is_emulated(self):
        with mock.patch("platform.machine", return_value="aarch64"):
            self.assertEqual("tcg", machine.accelerator("x86_64", self.folder))


class SideBySide(unittest.TestCase):
    def test_as_many_as_there_is_room_for(self):
        for available, cores, wanted in (
            (64 << 20, 8, 8),
            (64 << 20, 1, 1),
            (3 << 20, 8, 2),
            (1 << 10, 8, 1),
        ):
            memory = mock.Mock()
            memory.read_text.return_value = f"MemAvailable: {available} kB\n"
            with (
                mock.patch.object(machine, "MEMORY", memory),
                mock.patch("os.sched_getaffinity", return_value=range(cores)),
            ):
                self.assertEqual(wanted, machine.side_by_side(1024))


class Process:
    """A QEMU that has ended, or not."""

    def __init__(self, returncode=None):
        self.returncode = returncode

    def wait(self, timeout):
        if self.returncode is None:
            raise machine.subprocess.TimeoutExpired("qemu", timeout)


class Ends(unittest.TestCase):
    def machine(self, *, text="", firmware="", ended=None, age=0.0):
        made = machine.Machine(
            HARDWARE,
            pathlib.Path("/"),
            seconds=100,
            say=lambda line: None,
        )
        made.started = time.monotonic() - age
        made._process = Process(ended)
        made._ears = []
        made.console.feed(text.encode())
        made.firmware.feed(firmware.encode())
        return made

    def code(self, **changes):
        try:
            self.machine(**changes).go_on("nobody was let in")
        except Found as exc:
            return exc.code
        return None

    def test_while_it_may_still_come_to_it(self):
        self.assertIsNone(self.code(text="[ 1.0] Linux\n"))

    def test_what_is_to_be_seen_is_the_reason(self):
        self.assertEqual(
            "boot-no-loader", self.code(firmware="No bootable device.\n")
        )
        self.assertEqual("boot-loader", self.code(text="grub rescue> "))

    def test_an_end_that_nobody_asked_for(self):
        self.assertEqual("boot-ended", self.code(ended=0, text="bye\n"))
        self.assertEqual("boot-test-host", self.code(ended=1))
        with self.assertRaises(Found) as caught:
            self.machine(ended=1, firmware="qemu: no such file\n").go_on("")
        self.assertIn("no such file", caught.exception.problem)

    def test_an_end_of_its_time(self):
        self.assertEqual("boot-timeout", self.code(age=101))
        waits = "[***  ] A start job is running for Slow (1min / no limit)\n"
        self.assertEqual("boot-unit-hangs", self.code(age=101, text=waits))
        with self.assertRaises(Found) as caught:
            self.machine(age=101, text=waits).go_on("")
        self.assertIn("Slow", caught.exception.problem)
        self.assertEqual([console.clean(waits)], caught.exception.last_lines)
