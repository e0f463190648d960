"""What a request says of the boot loader is a value, never a program."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

# SUSE's publisher writes it so, of the disk that the image came on.
OF_ANOTHER_DISK = "search --fs-uuid --set=root 0a1b2c3d\n"

HOOK = (
    pathlib.Path(__file__).parents[3]
    / "elements/bootloader/finalise.d/50-bootloader"
)


def function_of_the_hook(name: str) -> str:
    text = HOOK.read_text()
    start = text.index(f"function {name} {{")
    return text[start : text.index("\n}\n", start) + 3]


class TestBootloader(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bin = pathlib.Path(folder.name)
        # No grub here, so the hook never gets as far as the host's /boot.
        for name in ("bash", "grep"):
            program = shutil.which(name)
            assert program
            (self.bin / name).symlink_to(program)

    def said(self, **environment: str) -> str:
        done = subprocess.run(
            [self.bin / "bash", HOOK],
            env={
                "PATH": str(self.bin),
                "ARCH": "amd64",
                "DIB_BLOCK_DEVICE": "gpt",
                "DIB_ROOT_LABEL": "cloudimg-rootfs",
                **environment,
            },
            capture_output=True,
            text=True,
        )
        self.assertEqual(1, done.returncode)
        return done.stderr

    def test_what_a_shell_would_run_is_refused(self) -> None:
        # /etc/default/grub is a script to grub-mkconfig.
        for name in (
            "DIB_BOOTLOADER_DEFAULT_CMDLINE",
            "DIB_BOOTLOADER_SERIAL_CONSOLE",
            "DIB_BOOTLOADER_VIRTUAL_TERMINAL",
            "DIB_GRUB_TIMEOUT",
            "DIB_GRUB_TIMEOUT_STYLE",
        ):
            for value in ('1"; id; "', "$(id)", "`id`", "a\nid", "a\\"):
                with self.subTest(name, value=value):
                    said = self.said(**{name: value})
                    self.assertIn(f"bootloader: {name} ", said)

    def test_what_is_sound_is_not(self) -> None:
        said = self.said(
            DIB_BOOTLOADER_DEFAULT_CMDLINE="mitigations=off a.b=c,d:e@f%g*+ -",
            DIB_BOOTLOADER_SERIAL_CONSOLE="ttyS1,57600n8",
            DIB_GRUB_TIMEOUT="-1",
        )
        self.assertIn("grub-mkconfig is not installed", said)

    def test_grubs_serial_line_is_the_kernels(self) -> None:
        function = function_of_the_hook("grub_serial")
        for asked, said in (
            ("ttyS0,115200", "--speed=115200 --unit=0"),
            ("ttyS1,57600n8", "--speed=57600 --unit=1"),
            ("ttyS2", "--speed=115200 --unit=2"),
            ("ttyAMA0,9600", "--speed=9600 --unit=0"),
            ("hvc0", "--speed=115200 --unit=0"),
        ):
            done = subprocess.run(
                ["bash", "-c", f'{function}grub_serial "$1"', "-", asked],
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(f"serial {said}\n", done.stdout)


class TestSystemPartition(unittest.TestCase):
    """Whichever place a signed grub reads its menu from, it is ours there."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.esp = pathlib.Path(folder.name)

    def place(self, *names: str) -> None:
        for name in names:
            path = self.esp / "EFI" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def write(self, own: str, **environment: str) -> None:
        functions = "".join(
            map(
                function_of_the_hook,
                ("fail", "search_menu", "write_esp_menu", "write_esp"),
            )
        ).replace("/boot/efi", str(self.esp))
        subprocess.run(
            ["bash", "-euc", f"{functions}write_esp"],
            env={
                "PATH": os.environ["PATH"],
                "DIB_MOUNTPOINTS": f"/|{self.esp}",
                "DIB_ROOT_LABEL": "cloudimg-rootfs",
                "EFI_BOOT_DIR": f"EFI/{own}",
                "efi_suffix": "x64",
                "grub": "grub2",
                **environment,
            },
            check=True,
        )

    def menu(self, place: str) -> str:
        return (self.esp / "EFI" / place / "grub.cfg").read_text()

    def test_the_publishers_menu_of_another_disk_is_replaced(self) -> None:
        self.place("BOOT/BOOTX64.EFI", "BOOT/grub.efi")
        (self.esp / "EFI/BOOT/grub.cfg").write_text(OF_ANOTHER_DISK)
        self.write("opensuse")
        menu = self.menu("BOOT")
        self.assertNotIn("fs-uuid", menu)
        self.assertIn("search.fs_label cloudimg-rootfs root $disk,", menu)
        self.assertIn("set prefix=($root)/boot/grub2\n", menu)
        self.assertEqual(menu, self.menu("opensuse"))

    def test_the_menu_asks_no_regexp_of_a_grub_that_has_none(self) -> None:
        # SUSE's signed one, of which all modules are inside.
        self.place("BOOT/BOOTX64.EFI", "BOOT/grub.efi")
        self.write("opensuse")
        loops = self.menu("BOOT").partition('if [ -z "$disk" ]')[0]
        # Grub's words are a shell's, but for this one.
        script = loops.replace("set disk", "disk")
        for root, disk in (("hd0,gpt1", "hd0"), ("hd3,gpt2", "hd3")):
            found = subprocess.run(
                ["bash", "-c", f"root=$0; {script}echo $disk", root],
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(f"{disk}\n", found.stdout)

    def test_red_hats_loader_is_copied_and_has_its_menu(self) -> None:
        self.place("fedora/shimx64.efi", "fedora/grubx64.efi")
        self.write("fedora", DIB_BOOT_LABEL="boot")
        for name, text in (
            ("BOOTX64.EFI", "fedora/shimx64.efi"),
            ("grubx64.efi", "fedora/grubx64.efi"),
        ):
            path = self.esp / "EFI/BOOT" / name
            self.assertEqual(text, path.read_text())
        self.assertIn("search.fs_label boot root", self.menu("fedora"))
        self.assertIn("configfile $prefix/grub.cfg", self.menu("fedora"))
