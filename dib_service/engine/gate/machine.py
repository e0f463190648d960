"""A machine to start an image in: QEMU, one disk, one network, one console.

QEMU is the only thing that stands between a stranger and this process; it
has its own system call filter on, may start nothing, and whoever calls us has
taken everything else away from both.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import os
from pathlib import Path
import platform
import re
import shutil
import subprocess
import threading
import time
from typing import Self

from dib_service.engine import process
from dib_service.engine.gate import console, drive
from dib_service.engine.gate.disk import Disk
from dib_service.engine.gate.faults import Found
from dib_service.engine.gate.plan import Accelerator, Firmware

SANDBOX = (
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
)

# For a kernel that QEMU itself starts. An emulated timer may be late when the
# host is busy, which Linux takes for a broken one; and a guest that panics
# ends, so that nobody waits for it.
KERNEL_OPTIONS = "no_timer_check panic=-1"

# Beside the guest's memory: QEMU itself, its translated code, its libraries.
BESIDE_BYTES = 4 << 30

# What QEMU is seen to take of it.
QEMU_MIB = 256
MEMORY = Path("/proc/meminfo")

# UEFI firmware: its code, and the variables that a new machine has, where
# Debian and Fedora have them. Those for Secure Boot hold Microsoft's keys and
# have it enforced.
FLASH: Mapping[tuple[str, Firmware], Sequence[tuple[str, str]]] = {
    ("x86_64", "uefi"): (
        ("OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"),
        ("edk2/ovmf/OVMF_CODE.fd", "edk2/ovmf/OVMF_VARS.fd"),
    ),
    ("x86_64", "secure-boot"): (
        ("OVMF/OVMF_CODE_4M.secboot.fd", "OVMF/OVMF_VARS_4M.ms.fd"),
        ("edk2/ovmf/OVMF_CODE.secboot.fd", "edk2/ovmf/OVMF_VARS.secboot.fd"),
    ),
    ("aarch64", "uefi"): (
        ("AAVMF/AAVMF_CODE.fd", "AAVMF/AAVMF_VARS.fd"),
        (
            "edk2/aarch64/QEMU_EFI-pflash.raw",
            "edk2/aarch64/vars-template-pflash.raw",
        ),
    ),
    ("aarch64", "secure-boot"): (
        ("AAVMF/AAVMF_CODE.ms.fd", "AAVMF/AAVMF_VARS.ms.fd"),
    ),
}
SHARE = Path("/usr/share")

# What each architecture's kernels call the first serial line.
SERIAL = {"x86_64": "ttyS0", "aarch64": "ttyAMA0"}

PROBE_SECONDS = 10.0
TICK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What a machine is made of; ``guest_port`` is shown as ``port``.

    ``open`` lets the guest speak to what listens in this namespace.
    """

    architecture: str
    accelerator: Accelerator
    firmware: Firmware
    disk: Disk
    memory_mib: int
    uuid: str
    mac: str
    port: int
    guest_port: int = 22
    sector: int = 512
    kernel: Path | None = None
    ramdisk: Path | None = None
    line: str = ""
    open: bool = False


class Machine:
    """A machine that runs for as long as the block.

    ``say`` gets each line of the console; ``deadline`` is monotonic.
    """

    def __init__(
        self,
        hardware: Hardware,
        folder: Path,
        *,
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self.hardware = hardware
        self.console = console.Console(say)
        # Of SeaBIOS and of QEMU itself; only told in a fault.
        self.firmware = console.Console(lambda line: None)
        self._folder = folder
        self._seconds = seconds

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self._process = process.begin(
            command(self.hardware, self._folder), cwd=self._folder
        )
        self._ears = [
            threading.Thread(target=ears.listen, args=[pipe], daemon=True)
            for ears, pipe in (
                (self.console, self._process.stdout),
                (self.firmware, self._process.stderr),
            )
        ]
        for thread in self._ears:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        process.end(self._process)
        for thread in self._ears:
            thread.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    @property
    def left(self) -> float:
        """The seconds until its time is over; not negative."""
        end = self.started + self._seconds
        return max(0.0, end - time.monotonic())

    @property
    def age(self) -> float:
        """The seconds since it was switched on."""
        return time.monotonic() - self.started

    def go_on(self, waiting_for: str) -> None:
        """Return, a moment later, while it may still come to that.

        :raises Found: it has ended, had its time, or says that it will not.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(TICK_SECONDS)
        seen = console.sign(self.firmware.text + self.console.text)
        if seen:
            raise self.found(*seen)
        if self._process.returncode is not None:
            for thread in self._ears:
                thread.join(1)
            raise self._ended()
        if not self.left:
            raise self._late(waiting_for)

    def found(self, code: str, problem: str) -> Found:
        """What to raise, with the end of what was to be seen."""
        last = self.console.tail(20) or self.firmware.tail(20)
        return Found(code, problem, last)

    def _ended(self) -> Found:
        said = self.firmware.tail(20)
        if self._process.returncode and not self.console.tail(1):
            return Found(
                "boot-test-host",
                f"QEMU exited {self._process.returncode}: "
                f"{said[-1] if said else 'without a word'}",
                said,
            )
        return self.found("boot-ended", "the machine has switched itself off")

    def _late(self, waiting_for: str) -> Found:
        unit = console.waited_for(self.console.text)
        if unit:
            return self.found(
                "boot-unit-hangs",
                f"after {self._seconds:.0f} s the boot still waits for {unit}",
            )
        return self.found(
            "boot-timeout", f"after {self._seconds:.0f} s {waiting_for}"
        )


def command(hardware: Hardware, folder: Path) -> list[str | Path]:
    """QEMU's words for a machine; its variables are a file in ``folder``."""
    here = f"127.0.0.1:{hardware.port}"
    there = f"{drive.ADDRESS}:{hardware.guest_port}"
    shut = "off" if hardware.open else "on"
    sectors = ",".join(
        f"{name}={hardware.sector}"
        for name in ("logical_block_size", "physical_block_size")
    )
    disk = hardware.disk
    # A kernel of QEMU's own comes first in any case.
    first = "" if hardware.kernel else ",bootindex=0"
    return [
        *("prlimit", f"--as={(hardware.memory_mib << 20) + BESIDE_BYTES}"),
        *("--", f"qemu-system-{hardware.architecture}"),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-sandbox", SANDBOX),
        *_processor(hardware.architecture, hardware.accelerator),
        *_board(hardware, folder),
        *("-m", str(hardware.memory_mib), "-uuid", hardware.uuid),
        *("-chardev", "stdio,id=serial,signal=off", "-serial"),
        "chardev:serial",
        *("-device", "virtio-rng-pci"),
        "-drive",
        f"file={disk.path},format={disk.format},if=none,id=disk,"
        "cache=unsafe,discard=unmap",
        *("-device", f"virtio-blk-pci,drive=disk{first},{sectors}"),
        "-netdev",
        f"user,id=net,restrict={shut},hostfwd=tcp:{here}-{there}",
        *("-device", f"virtio-net-pci,netdev=net,mac={hardware.mac},romfile="),
        *_started_by_qemu(hardware),
    ]


def accelerator(architecture: str, folder: Path) -> Accelerator:
    """``kvm`` where a guest is seen to run with it, else ``tcg``."""
    # A device node proves nothing: on some hosts /dev/kvm is there and a
    # guest hangs in it.
    if architecture != platform.machine() or not Path("/dev/kvm").exists():
        return "tcg"
    probe = {"x86_64": _probe_x86, "aarch64": _probe_arm}[architecture]
    words, wanted = probe(folder)
    with contextlib.ExitStack() as stack:
        guest = process.begin(words, cwd=folder)
        stack.callback(process.end, guest)
        try:
            runs = guest.wait(PROBE_SECONDS) == wanted
        except subprocess.TimeoutExpired:
            runs = False
    return "kvm" if runs else "tcg"


def _probe_x86(folder: Path) -> tuple[list[str | Path], int]:
    """A boot sector that writes 16 to port 0xf4: QEMU then exits with 33."""
    code = bytes([0xB0, 0x10, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD])
    disk = folder / "probe"
    disk.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa")
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config"),
        *("-display", "none", "-sandbox", SANDBOX, "-m", "16"),
        *_processor("x86_64", "kvm"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
        *("-drive", f"file={disk},format=raw,if=ide"),
    ], 33


def _probe_arm(folder: Path) -> tuple[list[str | Path], int]:
    """A program that asks PSCI to switch the machine off."""
    code = (0x52800100, 0x72B08000, 0xD4000002, 0x14000000)
    kernel = folder / "probe"
    kernel.write_bytes(b"".join(w.to_bytes(4, "little") for w in code))
    return [
        *("qemu-system-aarch64", "-nodefaults", "-no-user-config"),
        *("-display", "none", "-sandbox", SANDBOX, "-m", "64"),
        *("-machine", "virt,gic-version=max", *_processor("aarch64", "kvm")),
        *("-kernel", kernel),
    ], 0


def _processor(architecture: str, accelerator: Accelerator) -> list[str]:
    accel = "kvm" if accelerator == "kvm" else "tcg,thread=multi,tb-size=256"
    return ["-accel", accel, "-cpu", "max", "-smp", "1"]


def _board(hardware: Hardware, folder: Path) -> list[str]:
    if hardware.architecture == "aarch64":
        flash = [] if hardware.kernel else _flash(hardware, folder)
        return ["-machine", "virt,gic-version=max", *flash]
    if hardware.firmware in ("bios", "kernel"):
        # SeaBIOS says on this port what it finds to start.
        return [
            *("-machine", "pc", "-chardev", "file,id=bios,path=/dev/stderr"),
            *("-device", "isa-debugcon,iobase=0x402,chardev=bios"),
        ]
    flash = _flash(hardware, folder)
    if hardware.firmware == "uefi":
        return ["-machine", "q35", *flash]
    # The variables are safe from the guest only behind SMM.
    return [
        *("-machine", "q35,smm=on"),
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        *("-global", "ICH9-LPC.disable_s3=1", *flash),
    ]


def _flash(hardware: Hardware, folder: Path) -> list[str]:
    for code, variables in FLASH[hardware.architecture, hardware.firmware]:
        if (SHARE / code).exists() and (SHARE / variables).exists():
            own = folder / "variables.fd"
            shutil.copyfile(SHARE / variables, own)
            flash = "if=pflash,format=raw"
            return [
                "-drive",
                f"{flash},unit=0,file={SHARE / code},readonly=on",
                *("-drive", f"{flash},unit=1,file={own}"),
            ]
    raise Found(
        "boot-test-host",
        f"there is no {hardware.firmware} firmware for "
        f"{hardware.architecture} in {SHARE}; Debian has it in the packages "
        "ovmf and qemu-efi-aarch64",
    )


def _started_by_qemu(hardware: Hardware) -> list[str | Path]:
    if not hardware.kernel:
        return []
    words: list[str | Path] = ["-no-reboot", "-kernel", hardware.kernel]
    if hardware.ramdisk:
        words += ["-initrd", hardware.ramdisk]
    serial = f"console={SERIAL[hardware.architecture]}"
    line = f"{hardware.line} {serial} {KERNEL_OPTIONS}"
    return [*words, "-append", line.strip()]


def side_by_side(memory_mib: int) -> int:
    """How many machines of so much memory this host has room for."""
    found = re.search(r"MemAvailable: +(\d+) kB", MEMORY.read_text())
    room = int(found[1]) // 1024 if found else 0
    each = memory_mib + QEMU_MIB
    return max(1, min(len(os.sched_getaffinity(0)), room // each))
