"""Each check of a finished image: sound images pass, broken ones do not."""

import dataclasses
import os
from pathlib import Path
import shutil
import tempfile
import unittest

from dib_service.engine import errors, spec
from dib_service.engine.disk import blockdevice, making
from dib_service.engine.output import files
from dib_service.engine.output.options import Options
from dib_service.engine.verify import checks
from dib_service.engine.verify.image import partition_table
from tests.integration.engine import images
from tests.unit.engine.verify.test_uefi import program

MiB = 1024 * 1024
GRUB_CFG = "/boot/grub/grub.cfg"
LOADER = "/EFI/BOOT/BOOTX64.EFI"


MBR_WITH_ESP = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: ESP
        type: EF
        size: 8MiB
        flags: [primary]
        mkfs: {type: vfat, mount: {mount_point: /boot/efi}}
      - name: root
        size: 100%
        flags: [primary]
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
"""


class Verified(unittest.TestCase):
    kinds: tuple[str | None, ...] = ("gpt", "mbr", "efi", None)

    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.addClassCleanup(holder.cleanup)
        cls.sound = {}
        for kind in cls.kinds:
            path = Path(holder.name).resolve() / str(kind)
            path.mkdir()
            cls.sound[kind] = images.bootable(kind, path)

    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()

    def copied(self, kind):
        image = self.path / "image0.raw"
        images.run("cp", "--sparse=always", self.sound[kind], image)
        return image

    def refused(self, image, kind, check):
        with self.assertRaises(errors.VerifyFailed) as caught:
            checks.check_image(image, images.layout(kind))
        self.assertEqual(check, caught.exception.facts["check"])
        # What is wrong; what to do.
        self.assertIn("; ", str(caught.exception))


class Images(Verified):
    def place(self, image, kind):
        offset = 0
        if kind:
            table = partition_table(image, 512)
            offset = table.spans[-1].offset
        return f"{image}?offset={offset}"

    def edited(self, kind, *requests):
        image = self.copied(kind)
        script = self.path / "script"
        script.write_text("".join(f"{request}\n" for request in requests))
        images.run("debugfs", "-w", "-f", script, self.place(image, kind))
        return image

    def with_file(self, kind, path, text):
        source = self.path / "source"
        source.write_text(text)
        return self.edited(kind, f"rm {path}", f"write {source} {path}")

    def test_sound_images_pass(self):
        for kind in self.kinds:
            with self.subTest(kind):
                checks.check_image(self.sound[kind], images.layout(kind))

    def test_what_starts_it_and_its_root_are_seen(self):
        for kind, boot_modes in (
            ("gpt", ("bios",)),
            ("mbr", ("bios",)),
            ("efi", ("bios", "uefi")),
            (None, ()),
        ):
            with self.subTest(kind):
                image = self.sound[kind]
                seen = checks.check_image(image, images.layout(kind))
                self.assertEqual(boot_modes, seen.boot_modes)
                # The loader is what grub itself makes, and nobody signed.
                self.assertFalse(seen.secure_boot)
                said = images.run("dumpe2fs", "-h", self.place(image, kind))
                self.assertRegex(said, rf"Filesystem UUID: +{seen.root_uuid}")
                found = images.run(
                    *("blkid", "--probe", "--offset"),
                    self.place(image, kind).partition("=")[2] or "0",
                    *("--output", "value", "--match-tag", "UUID", image),
                )
                self.assertEqual(seen.root_uuid, found.strip())
                self.assertEqual(0, seen.root_size % MiB)
                self.assertLessEqual(seen.root_size, image.stat().st_size)

    def test_another_label(self):
        for kind in self.kinds:
            image = self.copied(kind)
            images.run("tune2fs", "-L", "other", self.place(image, kind))
            self.refused(image, kind, "root-label")

    def test_no_filesystem(self):
        image = self.copied(None)
        with image.open("r+b") as disk:
            disk.write(b"\0" * MiB)
        self.refused(image, None, "root-label")

    def test_a_damaged_filesystem(self):
        for kind in self.kinds:
            image = self.edited(kind, "clri /etc/ssh")
            self.refused(image, kind, "filesystem")

    def test_fstab(self):
        self.refused(self.edited(None, "rm /etc/fstab"), None, "fstab")
        for line in (
            "",
            "/dev/sda1 / ext4 defaults 0 1\n",
            "# LABEL=cloudimg-rootfs / ext4 defaults 0 1\n",
            "LABEL=cloudimg-rootfs /mnt ext4 defaults 0 1\n",
        ):
            image = self.with_file(None, "/etc/fstab", line)
            self.refused(image, None, "fstab")

    def test_host_keys(self):
        for name in ("ssh_host_ed25519_key", "ssh_host_rsa_key.pub"):
            image = self.with_file(None, f"/etc/ssh/{name}", "key")
            self.refused(image, None, "ssh-host-key")

    def test_machine_id(self):
        identity = "0123456789abcdef" * 2 + "\n"
        image = self.with_file(None, "/etc/machine-id", identity)
        self.refused(image, None, "machine-id")
        dbus = "/var/lib/dbus/machine-id"
        image = self.with_file(None, dbus, identity)
        self.refused(image, None, "machine-id")
        for sound in (
            self.with_file(None, "/etc/machine-id", ""),
            self.edited(None, "rm /etc/machine-id", f"rm {dbus}"),
        ):
            checks.check_image(sound, images.layout())

    def test_the_menu(self):
        for path in (GRUB_CFG, "/boot/vmlinuz-6.1", "/boot/initrd.img-6.1"):
            image = self.edited("gpt", f"rm {path}")
            self.refused(image, "gpt", "boot-menu")
        for root in ("root=/dev/sda1", "", "root=LABEL=cloudimg-rootfs2"):
            menu = f"linux /boot/vmlinuz-6.1 {root} ro\n"
            menu += "initrd /boot/initrd.img-6.1\n"
            image = self.with_file("mbr", GRUB_CFG, menu)
            self.refused(image, "mbr", "boot-menu")

    def test_a_menu_that_means_harm(self):
        menu = 'linux /boot/"x root=LABEL=cloudimg-rootfs\ninitrd /\x01\n'
        image = self.with_file("mbr", GRUB_CFG, menu)
        self.refused(image, "mbr", "boot-menu")

    def overwritten(self, kind, offset, data):
        image = self.copied(kind)
        with image.open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)
        return image

    def test_the_boot_sector(self):
        efi = self.table("efi").spans[1].offset
        for kind, core in (("mbr", 512), ("gpt", MiB), ("efi", efi)):
            for offset, data in (
                # No code; code that leads past the end; no core; half of it.
                (0, b"\0" * 440),
                (0x5C, b"\xff" * 8),
                (0x5C, (4 * MiB).to_bytes(8, "little")),
                (core, b"\0" * 512),
                (core + 512, b"\0" * 100_000),
            ):
                with self.subTest(kind, offset=offset, length=len(data)):
                    if offset == core + 512 and kind == "mbr":
                        data = data[: MiB - offset]
                    image = self.overwritten(kind, offset, data)
                    self.refused(image, kind, "boot-sector")

    def table(self, kind):
        return partition_table(self.sound[kind], 512)

    def esp(self, image):
        return f"{image}@@{self.table('efi').spans[0].offset}"

    def with_loader(self, path, data):
        image = self.copied("efi")
        source = self.path / "loader"
        source.write_bytes(data)
        images.run(
            *("mcopy", "-o", "-i", self.esp(image), source, f"::{path}")
        )
        return image

    def test_no_loader_for_uefi(self):
        image = self.copied("efi")
        images.run("mdel", "-i", self.esp(image), f"::{LOADER}")
        self.refused(image, "efi", "uefi-loader")
        self.refused(self.with_loader(LOADER, b""), "efi", "uefi-loader")
        text = b"MZ" + b" " * 4096
        self.refused(self.with_loader(LOADER, text), "efi", "uefi-loader")
        esp = self.table("efi").spans[0]
        image = self.overwritten("efi", esp.offset, b"\0" * MiB)
        self.refused(image, "efi", "uefi-loader")

    def test_a_machine_that_no_bios_starts(self):
        # An mbr may have an EFI system partition as well, and an arm64
        # machine starts from nothing else.
        layout = blockdevice.parse(MBR_WITH_ESP, {})
        tree = self.path / "built"
        images.bootable_tree(tree)
        (tree / "boot/grub").mkdir()
        (tree / "boot/grub/grub.cfg").write_text(
            "linux /boot/vmlinuz-6.1 root=LABEL=cloudimg-rootfs\n"
            "initrd /boot/initrd.img-6.1\n"
        )
        source = tree / "boot/efi/EFI/BOOT"
        source.mkdir(parents=True)
        (source / "BOOTAA64.EFI").write_bytes(program())
        with making.laid_out(
            layout,
            tree=tree,
            directory=self.path,
            mount_point=self.path / "mnt",
            size=None,
        ) as target:
            pass
        seen = checks.check_image(target.image, layout)
        self.assertEqual(("uefi",), seen.boot_modes)

    def test_a_chain_that_is_signed(self):
        signed = program(certificates=(4096 - 512, 512))
        image = self.with_loader(LOADER, signed)
        for name, data in (
            ("grubx64.efi", signed),
            ("grub.cfg", b"# the menu\n"),
        ):
            # Not before all of it is there.
            self.assertFalse(self.seen(image).secure_boot)
            source = self.path / name
            source.write_bytes(data)
            place = f"::/EFI/BOOT/{name}"
            images.run("mcopy", "-i", self.esp(image), source, place)
        self.assertTrue(self.seen(image).secure_boot)
        source = self.path / "grubx64.efi"
        source.write_bytes(program())
        place = f"::/EFI/BOOT/{source.name}"
        images.run("mcopy", "-o", "-i", self.esp(image), source, place)
        self.assertFalse(self.seen(image).secure_boot)

    def seen(self, image):
        return checks.check_image(image, images.layout("efi"))

    def test_an_unsigned_loader_where_there_is_a_signed_one(self):
        # The tree has the distribution's shim; what firmware starts is not it.
        source = self.path / "shim"
        source.write_bytes(b"shim")
        image = self.edited(
            "efi",
            *("mkdir /usr/lib", "mkdir /usr/lib/shim"),
            f"write {source} /usr/lib/shim/shimx64.efi.signed",
        )
        self.refused(image, "efi", "uefi-loader")
        loader = self.path / "unsigned"
        images.run(*("mcopy", "-i", self.esp(image), f"::{LOADER}", loader))
        images.run(
            *("mcopy", "-i", self.esp(image)),
            *(loader, "::/EFI/BOOT/grubx64.efi"),
        )
        self.refused(image, "efi", "secure-boot")

    def test_the_partition_table(self):
        for kind in ("mbr", "gpt"):
            image = self.overwritten(kind, 446, b"\0" * 66)
            self.refused(image, kind, "partition-table")
        self.refused(self.sound["mbr"], "gpt", "partition-table")
        self.refused(self.sound["gpt"], "mbr", "partition-table")
        image = self.overwritten("gpt", 512, b"\0" * 8)
        self.refused(image, "gpt", "partition-table")
        image = self.copied("gpt")
        os.truncate(image, image.stat().st_size - 512)
        self.refused(image, "gpt", "partition-table")


class Files(Verified):
    kinds = (None,)

    def written(self, *formats):
        return self.written_of(self.copied(None), *formats)

    def written_of(self, image, *formats, options=""):
        return files.write_all(
            spec.BuildSpec(("x",), formats),
            files.Source(self.path, image),
            output_dir=self.path / "out",
            options=Options.of(formats, {"QEMU_IMG_OPTIONS": options}),
            warn=self.fail,
        )

    def check(self, *artefacts):
        checks.check(artefacts, images.layout(), scratch=self.path)

    def assert_refused(self, check, *artefacts):
        with self.assertRaises(errors.VerifyFailed) as caught:
            self.check(*artefacts)
        self.assertEqual(check, caught.exception.facts["check"])

    def test_sound_files_pass(self):
        self.check(*self.written("raw", "qcow2"))
        self.check(*self.written("qcow2"))
        self.assertEqual(
            {"out", "image0.raw"}, {p.name for p in self.path.iterdir()}
        )

    def test_formats_as_their_options_say(self):
        for wanted, subformat in (
            ("vhd", "fixed"),
            ("vhdx", "fixed"),
            ("vmdk", "streamOptimized"),
            ("vmdk", "monolithicFlat"),
        ):
            with self.subTest(wanted, subformat=subformat):
                made = self.written_of(
                    self.copied(None),
                    wanted,
                    options=f"subformat={subformat}",
                )
                self.check(*made)
                shutil.rmtree(self.path / "out")

    def test_what_a_disk_consists_of_is_named(self):
        made = self.written_of(
            self.copied(None), "vmdk", options="subformat=monolithicFlat"
        )
        self.assertEqual(
            [("image.vmdk", "image"), ("image-flat.vmdk", "disk")],
            [(each.name, each.role) for each in made],
        )

    def test_another_format_than_declared(self):
        raw, qcow2 = self.written("raw", "qcow2")
        self.assert_refused(
            "format", dataclasses.replace(raw, path=qcow2.path)
        )
        self.assert_refused(
            "format", dataclasses.replace(qcow2, path=raw.path)
        )

    def test_another_size(self):
        [raw] = self.written("raw")
        os.truncate(raw.path, raw.size + MiB)
        self.assert_refused("virtual-size", raw)

    def test_a_file_that_refers_to_another(self):
        raw, qcow2 = self.written("raw", "qcow2")
        images.run(
            *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"),
            *("-b", raw.path, qcow2.path),
        )
        self.assert_refused("format", qcow2)

    def test_a_damaged_file(self):
        [qcow2] = self.written("qcow2")
        with qcow2.path.open("r+b") as file:
            # The table of reference counts.
            file.seek(0x30)
            table = int.from_bytes(file.read(8), "big")
            file.seek(table)
            at = int.from_bytes(file.read(8), "big")
            file.seek(at)
            file.write(b"\0" * 64)
        self.assert_refused("qemu-img-check", qcow2)

    def test_formats_that_hold_different_things(self):
        raw, qcow2 = self.written("raw", "qcow2")
        with raw.path.open("r+b") as file:
            file.seek(raw.size - 4096)
            file.write(b"other")
        self.assert_refused("same-content", raw, qcow2)

    def test_what_is_in_a_qcow2_is_looked_at(self):
        image = self.copied(None)
        images.run("tune2fs", "-L", "other", image)
        artefacts = self.written_of(image, "qcow2")
        self.assert_refused("root-label", *artefacts)
