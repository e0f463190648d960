"""An EFI system partition, with a driver of vfat or without, as root."""

import os

from dib_service.engine import errors
from dib_service.engine.disk import blockdevice
from dib_service.engine.sizes import MiB
from dib_service.engine.verify.image import Filesystem, partition_table
from tests.integration.engine import images
from tests.integration.engine.disks import Disks

WITH_ESP = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: ESP
        type: 'EF00'
        size: 64MiB
        mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: }}
      - name: root
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
"""


class SystemPartitions(Disks):
    """An EFI system partition, on a kernel that may not have vfat."""

    def layout(self, **environment):
        return blockdevice.parse(WITH_ESP, environment)

    def listed(self, image, sector=512):
        """What lies in the ESP, by path."""
        esp = partition_table(image, sector).spans[0]
        place = f"{image}@@{esp.offset}"
        names = images.run("mdir", "-/", "-b", "-i", place, "::")
        return {
            name.removeprefix("::"): images.run("mtype", "-i", place, name)
            for name in names.splitlines()
            if name and not name.endswith("/")
        }

    def test_what_hooks_write_there_is_in_the_partition_only(self):
        (self.tree / "boot/efi/EFI/debian").mkdir(parents=True)
        (self.tree / "boot/efi/EFI/debian/shimx64.efi").write_text("shim")
        os.chown(self.tree / "boot/efi/EFI/debian/shimx64.efi", 12, 34)
        for block_size in (512, 4096):
            layout = self.layout(DIB_BLOCK_SIZE=str(block_size))
            with self.laid_out(layout) as target:
                efi = target.root / "boot/efi"
                self.assertTrue(efi.is_mount())
                devices = target.environment["IMAGE_BLOCK_DEVICES"]
                source = images.run("findmnt", "-no", "SOURCE", efi).strip()
                self.assertIn(f"[ESP]={source} ", devices)
                copied = efi / "EFI/debian/shimx64.efi"
                self.assertEqual("shim", copied.read_text())
                (efi / "EFI/BOOT").mkdir()
                (efi / "EFI/BOOT/BOOTX64.EFI").write_text("grub")
                (efi / "Long name \xe9.txt").write_text("kept")
            with self.subTest(block_size):
                found = self.listed(target.image, block_size)
                self.assertEqual("shim", found["/EFI/debian/shimx64.efi"])
                self.assertEqual("grub", found["/EFI/BOOT/BOOTX64.EFI"])
                self.assertEqual(3, len(found))
                table = partition_table(target.image, block_size)
                inside = Filesystem(target.image, table.spans[1].offset)
                self.assertEqual([], list(inside.names("/boot/efi")))
                esp = self.path / "esp"
                images.run(
                    *("dd", f"if={target.image}", f"of={esp}", "bs=1M"),
                    *("skip=1", f"count={table.spans[0].size // MiB}"),
                )
                images.run("fsck.vfat", "-n", esp)
            target.image.unlink()

    def test_what_the_tree_has_there_and_fat_cannot_hold(self):
        efi = self.tree / "boot/efi"
        efi.mkdir(parents=True)
        (efi / "grub.cfg").symlink_to("nowhere")
        with (
            self.assertRaisesRegex(
                errors.FatContent,
                "^/boot/efi/grub.cfg is neither a file nor a directory",
            ),
            self.laid_out(self.layout()),
        ):
            pass
        (efi / "grub.cfg").unlink()
        (efi / "EFI").mkdir()
        (efi / "efi").mkdir()
        (self.path / "image0.raw").unlink()
        with (
            self.assertRaisesRegex(errors.FatContent, "/boot/efi/efi is the"),
            self.laid_out(self.layout()),
        ):
            pass

    def test_more_than_the_partition_holds(self):
        # A kernel with a driver says so to whoever writes, one without only
        # to us.
        with (
            self.assertRaisesRegex(
                (OSError, errors.FatContent), "does not fit|No space left"
            ),
            self.laid_out(self.layout()) as target,
            (target.root / "boot/efi/large").open("wb") as file,
        ):
            for _ in range(64):
                file.write(b"x" * MiB)
