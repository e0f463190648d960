"""The boot sector that the bootloader element installs starts grub."""

import os
from pathlib import Path
import selectors
import subprocess
import tempfile
import time
import unittest

from dib_service.engine.disk import making
from dib_service.engine.verify import checks
from dib_service.engine.verify.image import Filesystem, partition_table
from tests import qemu
from tests.integration.engine import images

BOOT_SECONDS = 120


def serial_output(image, until, *, firmware="bios", sector=512):
    """What a machine with this disk says on its serial port."""
    sectors = f"logical_block_size={sector},physical_block_size={sector}"
    machine = subprocess.Popen(
        [
            *("qemu-system-x86_64", "-accel", "tcg", "-m", "256"),
            *("-nographic", "-nodefaults", "-serial", "stdio"),
            *qemu.machine(firmware, image.parent),
            *("-drive", f"file={image},format=raw,if=none,id=disk"),
            *("-device", f"virtio-blk-pci,drive=disk,{sectors}", "-snapshot"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = b""
    give_up = time.monotonic() + BOOT_SECONDS
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(machine.stdout, selectors.EVENT_READ)
            while until not in said and time.monotonic() < give_up:
                if selector.select(1):
                    piece = os.read(machine.stdout.fileno(), 65536)
                    if not piece:
                        break
                    said += piece
    finally:
        machine.kill()
        machine.wait()
        machine.stdout.close()
    return said.decode(errors="replace")


class BootLoader(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()

    def boots(self, kind, *firmwares, sector=512):
        image = images.bootable(kind, self.path)
        checks.check_image(image, images.layout(kind))
        for firmware in firmwares or ("bios",):
            with self.subTest(firmware):
                # The firmware found the boot sector or the loader, it found
                # root by its label, and the menu there started its first
                # entry.
                said = serial_output(
                    image,
                    b"Loading Linux 6.1",
                    firmware=firmware,
                    sector=sector,
                )
                self.assertIn("Loading Linux 6.1", said)
        return image

    def test_an_mbr_boots(self):
        self.boots("mbr")

    def test_entries_in_files_get_the_images_own_words(self):
        # As Fedora's kernels bring them; its grub alone can read them.
        tree = self.path / "built"
        images.bootable_tree(tree)
        menu = tree / "etc/grub.d/10_linux"
        menu.write_text("#!/bin/sh\n# GRUB_ENABLE_BLSCFG\necho blscfg\n")
        entry = tree / "boot/loader/entries/0123-6.1.conf"
        entry.parent.mkdir(parents=True)
        entry.write_text(
            "title Linux 6.1\nlinux /boot/vmlinuz-6.1\n"
            "initrd /boot/initramfs-6.1.img $tuned_initrd\n"
            "options root=UUID=0123 quiet\n"
        )
        with making.laid_out(
            images.layout("mbr"),
            tree=tree,
            directory=self.path,
            mount_point=self.path / "mnt",
            size=None,
        ) as target:
            images.boot_loader_installed(
                target, "mbr", DIB_BOOTLOADER_DEFAULT_CMDLINE="a&b|c"
            )
            made = (target.root / entry.relative_to(tree)).read_text()
            kept = (target.root / "etc/kernel/cmdline").read_text()
            menu = (target.root / "boot/grub/grub.cfg").read_text()
        self.assertIn("root=LABEL=cloudimg-rootfs ro a&b|c console=", kept)
        self.assertEqual(
            "title Linux 6.1\nlinux /boot/vmlinuz-6.1\n"
            "initrd /boot/initramfs-6.1.img $tuned_initrd\n"
            f"options {kept}",
            made,
        )
        self.assertIn("blscfg", menu)

    def test_entries_that_are_not_read_are_left_alone(self):
        # As elements of cloud images have it: theirs name another disk.
        tree = self.path / "built"
        images.bootable_tree(tree)
        (tree / "etc/default").mkdir(exist_ok=True)
        (tree / "etc/default/grub").write_text("GRUB_ENABLE_BLSCFG=false\n")
        menu = tree / "etc/grub.d/10_linux"
        menu.write_text(
            "#!/bin/sh\n. /etc/default/grub\n"
            'test "$GRUB_ENABLE_BLSCFG" = true && echo blscfg'
            " || echo linux /boot/vmlinuz-6.1\n"
        )
        with making.laid_out(
            images.layout("mbr"),
            tree=tree,
            directory=self.path,
            mount_point=self.path / "mnt",
            size=None,
        ) as target:
            images.boot_loader_installed(target, "mbr")
            menu = (target.root / "boot/grub/grub.cfg").read_text()
        self.assertIn("linux /boot/vmlinuz-6.1", menu)
        self.assertNotIn("blscfg", menu)

    def test_a_gpt_boots(self):
        self.boots("gpt")

    def test_one_disk_boots_from_bios_and_from_uefi(self):
        self.boots("efi", "bios", "uefi")

    def test_sectors_of_4_kib_boot_from_uefi(self):
        self.boots("efi-4k", "uefi", sector=4096)

    def test_the_menu_finds_root_by_label_and_names_nothing_of_the_host(self):
        image = self.boots("gpt")
        root = partition_table(image, 512).spans[-1]
        inside = Filesystem(image, root.offset)
        menu = inside.text("/boot/grub/grub.cfg")
        self.assertIn("root=LABEL=cloudimg-rootfs", menu)
        self.assertIn("console=tty0 console=ttyS0,115200", menu)
        self.assertNotIn("/dev/loop", menu)
        self.assertNotIn("hostdisk", menu)
        defaults = inside.text("/etc/default/grub")
        self.assertIn("GRUB_DISABLE_LINUX_UUID", defaults)
        # It was for the build only; update-grub finds out by itself.
        self.assertNotIn("GRUB_DEVICE_BOOT", defaults)

    def test_a_tree_without_a_kernel_is_refused(self):
        tree = self.path / "built"
        images.bootable_tree(tree)
        (tree / "boot/vmlinuz-6.1").unlink()
        with (
            self.assertRaisesRegex(AssertionError, "no kernel in /boot"),
            images.making.laid_out(
                images.layout("mbr"),
                tree=tree,
                directory=self.path,
                mount_point=self.path / "mnt",
                size=None,
            ) as target,
        ):
            images.boot_loader_installed(target, "mbr")

    def test_what_we_cannot_boot_is_refused(self):
        tree = self.path / "built"
        images.bootable_tree(tree)
        with images.making.laid_out(
            images.layout("mbr"),
            tree=tree,
            directory=self.path,
            mount_point=self.path / "mnt",
            size=None,
        ) as target:
            with self.assertRaisesRegex(AssertionError, "cannot boot arm64"):
                images.boot_loader_installed(target, "mbr", ARCH="arm64")
            said = images.boot_loader_installed(target, "")
            self.assertIn("no boot loader", said)
