"""A machine to boot images in: QEMU with a disk, a network and a console.

    with Guest(image, drive=drive, key=key, address="10.0.2.77") as guest:
        guest.wait_for_ssh()
        guest.run("cloud-init", "status", "--wait")

The image itself is never written to: the guest has an overlay of its own.
"""

import atexit
import contextlib
import functools
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from typing import Literal, Self

from dib_service.engine.gate import drive
from dib_service.engine.gate import machine as engine_machine
from dib_service.engine.gate.drive import GATEWAY as GATEWAY
from dib_service.engine.gate.drive import NAMESERVER as NAMESERVER
from dib_service.engine.gate.machine import KERNEL_OPTIONS as KERNEL_OPTIONS

# What QEMU's own network offers.
NETWORK = "10.0.2.0/24"
FIRST_LEASE = drive.ADDRESS

DEADLINE_SECONDS = 1500.0

Firmware = Literal["bios", "uefi", "secure-boot"]

# UEFI firmware: its code, and the variables that a new machine has. Those for
# Secure Boot hold Microsoft's keys and have it enforced.
OVMF = pathlib.Path("/usr/share/OVMF")
UEFI = ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")
SECURE_BOOT = ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd")


class GuestError(AssertionError):
    """A guest did not do what it should; its console is in the message."""


class Guest:
    """One machine with an image in it, running for as long as the block.

    ``larger`` is how many bytes its disk has more than the image; ``sector``
    is what its disk reads at once, in bytes. ``port`` on this host leads to
    ``guest_port`` there. ``disk`` is where its disk is kept, for another boot
    of the same machine; ``netdev`` is what its network is, in QEMU's words.
    """

    def __init__(
        self,
        image: pathlib.Path,
        *,
        drive: pathlib.Path | None = None,
        key: pathlib.Path | None = None,
        user: str = "debian",
        address: str = FIRST_LEASE,
        mac: str = "52:54:00:00:00:01",
        larger: int = 4 << 30,
        memory_mib: int = 1024,
        firmware: Firmware = "bios",
        sector: int = 512,
        guest_port: int = 22,
        disk: pathlib.Path | None = None,
        netdev: str = f"net={NETWORK}",
        extra: tuple[str, ...] = (),
    ) -> None:
        self.image = image
        self.drive = drive
        self.key = key
        self.user = user
        self.address = address
        self.mac = mac
        self.larger = larger
        self.memory_mib = memory_mib
        self.firmware = firmware
        self.sector = sector
        self.guest_port = guest_port
        self.disk = disk
        self.netdev = netdev
        self.extra = extra
        self.port = 0
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.workspace = pathlib.Path(
                stack.enter_context(tempfile.TemporaryDirectory("-guest"))
            )
            self.console = self.workspace / "console"
            self.port = free_port()
            disk = self._overlay()
            self._process = subprocess.Popen(
                self._command(disk),
                stdin=subprocess.DEVNULL,
                stdout=(self.workspace / "qemu").open("wb"),
                stderr=subprocess.STDOUT,
            )
            stack.callback(end, self._process)
            self.started = time.monotonic()
            self._ending = stack.pop_all()
        # Also where the tests are told to end: no class is cleaned up then.
        atexit.register(self._ending.close)
        return self

    def __exit__(self, *failure: object) -> None:
        atexit.unregister(self._ending.close)
        self._ending.close()

    def wait_for_ssh(self) -> None:
        """Return when the key lets us in.

        :raises GuestError: when that takes too long or the guest ends.
        """
        while True:
            said = self.ssh("true")
            if said.returncode == 0:
                return
            self.still_alive(f"no ssh yet: {said.stderr.strip()}")
            time.sleep(2)

    def power_off(self) -> None:
        """End the machine as its own shutdown does, disk and all.

        :raises GuestError: when that takes too long.
        """
        # What answers is an sshd that ends, one way or another.
        self.ssh("sudo", "systemctl", "poweroff")
        try:
            self._process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise GuestError(f"it does not end\n{self.tail()}") from error

    def wait_for_console(self, text: str) -> None:
        """Return when the text stands on the console.

        :raises GuestError: when that takes too long or the guest ends.
        """
        while text not in self.console_text():
            self.still_alive(f"{text!r} is not on the console")
            time.sleep(1)

    def run(self, *command: str, accept: tuple[int, ...] = (0,)) -> str:
        """What the command prints in the guest.

        :raises GuestError: when it fails.
        """
        said = self.ssh(*command)
        if said.returncode not in accept:
            raise GuestError(
                f"{' '.join(command)} exited {said.returncode}:\n"
                f"{said.stdout}{said.stderr}\n{self.tail()}"
            )
        return said.stdout

    def ssh(
        self,
        *command: str,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """How the command ended, or how ssh did."""
        words = [
            "ssh",
            "-F/dev/null",
            f"-p{self.port}",
            f"-l{self.user}",
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
            "-oLogLevel=ERROR",
            "-oConnectTimeout=20",
            "-oIdentityAgent=none",
            "-oIdentitiesOnly=yes",
            *options,
        ]
        if self.key:
            words.append(f"-i{self.key}")
        return subprocess.run(
            [*words, "127.0.0.1", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            env={**os.environ, **(environment or {})},
        )

    def console_text(self) -> str:
        """All that the guest wrote on its serial console."""
        try:
            return self.console.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines: int = 1000) -> str:
        """The end of the console, for a message."""
        last = self.console_text().splitlines()[-lines:]
        qemu = (self.workspace / "qemu").read_text(errors="replace")
        return "\n".join(["--- console", *last, "--- qemu", qemu])

    def _overlay(self) -> pathlib.Path:
        overlay = self.disk or self.workspace / "disk.qcow2"
        if overlay.exists():
            return overlay
        size = virtual_size(self.image) + self.larger
        subprocess.run(
            [
                "qemu-img", "create", "-q", "-f", "qcow2",
                "-b", str(self.image.resolve()), "-F", format_of(self.image),
                str(overlay), str(size),
            ],
            check=True,
        )  # fmt: skip
        return overlay

    def _command(self, disk: pathlib.Path) -> list[str]:
        here, there = f"127.0.0.1:{self.port}", self.address
        forward = f"hostfwd=tcp:{here}-{there}:{self.guest_port}"
        words = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot",
            "-accel", accelerator(), "-cpu", "max", "-smp", "1",
            "-m", str(self.memory_mib),
            "-serial", f"file:{self.console}",
            "-device", "virtio-rng-pci",
            *machine(self.firmware, self.workspace),
            "-drive",
            f"file={disk},if=none,id=disk,cache=unsafe,discard=unmap",
            "-device", f"virtio-blk-pci,drive=disk,{self._sectors()}",
            "-netdev", f"user,id=net0,{self.netdev},{forward}",
            "-device", f"virtio-net-pci,netdev=net0,mac={self.mac},romfile=",
            *self.extra,
        ]  # fmt: skip
        if self.drive:
            cdrom = f"file={self.drive},media=cdrom,if=ide,format=raw"
            words += ["-drive", f"{cdrom},readonly=on"]
        return words

    def _sectors(self) -> str:
        of = ("logical_block_size", "physical_block_size")
        return ",".join(f"{name}={self.sector}" for name in of)

    def still_alive(self, what: str) -> None:
        """Return as long as it may still come to what is waited for.

        :raises GuestError: it has ended, or had its time.
        """
        if self._process.poll() is not None:
            raise GuestError(f"the guest has ended; {what}\n{self.tail()}")
        if time.monotonic() - self.started > DEADLINE_SECONDS:
            raise GuestError(
                f"after {DEADLINE_SECONDS:.0f} s: {what}\n{self.tail()}"
            )


def machine(firmware: Firmware, folder: pathlib.Path) -> list[str]:
    """QEMU's words for a machine with this firmware.

    Its variables are a file in ``folder``, for as long as it runs.
    """
    if firmware == "bios":
        return []
    code, variables = SECURE_BOOT if firmware == "secure-boot" else UEFI
    own = folder / "variables.fd"
    shutil.copyfile(OVMF / variables, own)
    flash = "if=pflash,format=raw"
    words = [
        "-drive", f"{flash},unit=0,file={OVMF / code},readonly=on",
        "-drive", f"{flash},unit=1,file={own}",
    ]  # fmt: skip
    if firmware == "uefi":
        return ["-machine", "q35", *words]
    # The variables are safe from the guest only behind SMM.
    return [
        "-machine", "q35,smm=on",
        "-global", "driver=cfi.pflash01,property=secure,value=on",
        "-global", "ICH9-LPC.disable_s3=1",
        *words,
    ]  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait until it has ended."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A TCP port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def virtual_size(image: pathlib.Path) -> int:
    """How large a disk the image makes, in bytes."""
    return int(_image_info(image)["virtual-size"])  # type: ignore[call-overload]


def format_of(image: pathlib.Path) -> str:
    """``raw`` or ``qcow2``, from the content."""
    return str(_image_info(image)["format"])


def _image_info(image: pathlib.Path) -> dict[str, object]:
    said = subprocess.run(
        ["qemu-img", "info", "--output=json", str(image)],
        check=True,
        stdout=subprocess.PIPE,
    )
    info: dict[str, object] = json.loads(said.stdout)
    return info


@functools.cache
def accelerator() -> str:
    """``kvm`` where a guest runs with it, else TCG."""
    with tempfile.TemporaryDirectory() as folder:
        found = engine_machine.accelerator(
            platform.machine(), pathlib.Path(folder)
        )
    return "kvm" if found == "kvm" else "tcg,thread=multi"
