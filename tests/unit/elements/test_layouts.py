"""The disks that the project's own layouts make."""

import pathlib
import subprocess
import unittest

from dib_service.engine.disk import blockdevice

ELEMENTS = pathlib.Path(__file__).parents[3] / "elements"
MiB = 1 << 20


def layout(name: str, architecture: str = "amd64") -> blockdevice.Layout:
    return blockdevice.load(
        [ELEMENTS / f"block-device-{name}"], architecture, {}
    )


class TestLayouts(unittest.TestCase):
    def partitions(self, name: str, architecture: str) -> list[str]:
        table = layout(name, architecture).table
        assert table
        return [partition.name for partition in table.partitions]

    def test_root_comes_last_so_that_it_can_grow(self) -> None:
        for name, architecture, expected in (
            ("efi", "amd64", ["ESP", "BSP", "root"]),
            ("efi", "arm64", ["ESP", "root"]),
            ("efi-4k", "amd64", ["ESP", "BSP", "root"]),
            ("gpt", "amd64", ["BSP", "root"]),
            ("mbr", "amd64", ["root"]),
        ):
            with self.subTest(name, architecture=architecture):
                self.assertEqual(expected, self.partitions(name, architecture))

    def test_the_esp_has_room_for_a_fat32_and_starts_without_it(self) -> None:
        for name, size, sector in (("efi", 128, 512), ("efi-4k", 260, 4096)):
            found = layout(name)
            assert found.table
            esp = found.table.partitions[0]
            self.assertEqual("EF00", esp.type)
            self.assertEqual(size * MiB, esp.size.bytes)
            self.assertEqual(sector, found.block_size)
            # Fewer clusters than these, and it is a FAT16 to its readers.
            self.assertGreater(esp.size.bytes // sector - 1024, 65525)
            volume = next(v for v in found.volumes if v.base == "ESP")
            assert volume.fstab
            self.assertEqual("/boot/efi", volume.mount_point)
            self.assertIn("nofail", volume.fstab.options)

    def environment(self, name: str, architecture: str) -> tuple[int, str]:
        snippet = (
            ELEMENTS
            / f"block-device-{name}/environment.d/15-block-device.bash"
        )
        done = subprocess.run(
            ["bash", "-c", f'. {snippet}; echo "$DIB_BLOCK_DEVICE"'],
            env={"ARCH": architecture, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout.strip()

    def test_boot_loader_elements_are_told(self) -> None:
        for name, told in (
            ("efi", "efi"),
            ("efi-4k", "efi"),
            ("gpt", "gpt"),
            ("mbr", "mbr"),
        ):
            self.assertEqual((0, told), self.environment(name, "amd64"))

    def test_what_starts_no_arm64_machine_is_refused(self) -> None:
        self.assertEqual((0, "efi"), self.environment("efi", "arm64"))
        for name in ("gpt", "mbr"):
            self.assertEqual((1, ""), self.environment(name, "arm64"))
