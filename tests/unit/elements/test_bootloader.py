"""What a request says of the boot loader is a value, never a program."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

HOOK = (
    pathlib.Path(__file__).parents[3]
    / "elements/bootloader/finalise.d/50-bootloader"
)


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
        text = HOOK.read_text()
        start = text.index("function grub_serial {")
        function = text[start : text.index("\n}\n", start) + 3]
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
