"""What is started of a product, and in what."""

import pathlib
import unittest

from dib_service.engine import errors, sizes
from dib_service.engine.disk import layout
from dib_service.engine.gate import product
from dib_service.engine.gate.plan import Plan, Settings
from dib_service.engine.output.files import Artefact

ROOT = layout.Volume(
    "root", "root", "ext4", "cloudimg-rootfs", mount_point="/"
)


def whole(names=("esp", "root"), **changes):
    partitions = tuple(
        layout.Partition(name, sizes.Size(1 << 30), "8300", **changes)
        for name in names
    )
    table = layout.Table("gpt", partitions)
    return layout.Layout((layout.Disk("image0", table),), (ROOT,))


BARE = layout.Layout(
    (layout.Disk("image0"),),
    (layout.Volume("image0", "root", "ext4", "r", mount_point="/"),),
)


def made(role="image", form="qcow2"):
    path = pathlib.Path(f"/made/{role}.{form}")
    return Artefact(form, role, path.name, path, 1, 1, {})


def manifest(*elements, **facts):
    return {
        "architecture": "x86_64",
        "elements": [{"name": name} for name in elements],
        "image": facts,
    }


class Plans(unittest.TestCase):
    def plan(self, facts, of=None, artefacts=None):
        return product.plan(
            facts, of or whole(), artefacts or [made()], Settings()
        )

    def test_each_firmware_that_is_claimed(self):
        for facts, wanted in (
            ({"boot_modes": ["bios", "uefi"]}, ("bios", "uefi")),
            (
                {"boot_modes": ["bios", "uefi"], "secure_boot": True},
                ("bios", "secure-boot"),
            ),
            # What no two have in common is seen in two.
            ({"boot_modes": ["bios"]}, ("bios", "bios")),
            (
                {"boot_modes": ["uefi"], "secure_boot": True},
                ("secure-boot", "secure-boot"),
            ),
        ):
            found, files = self.plan(manifest(product="whole-disk", **facts))
            self.assertEqual(wanted, found.firmwares)
            self.assertEqual("login", found.proof)
            self.assertEqual((1, False), (found.root, found.bare))
            self.assertEqual({"image": made().path}, files)

    def test_the_user_is_the_images(self):
        facts = {"product": "whole-disk", "boot_modes": ["bios"]}
        found, _ = self.plan(manifest(os_admin_user="rocky", **facts))
        self.assertEqual("rocky", found.user)
        self.assertEqual("root", self.plan(manifest(**facts))[0].user)

    def test_no_loader_at_all(self):
        for of in (whole(), BARE):
            with self.assertRaises(errors.BootFailed) as caught:
                self.plan(manifest(product="whole-disk"), of)
            self.assertEqual(
                "boot-no-loader", caught.exception.to_dict()["code"]
            )

    def test_a_partition_image_goes_with_its_kernel(self):
        parts = [made(), made("kernel", "vmlinuz"), made("ramdisk", "initrd")]
        found, files = self.plan(manifest(product="partition"), BARE, parts)
        self.assertEqual(("kernel", "kernel"), found.firmwares)
        self.assertTrue(found.bare)
        self.assertEqual({"image", "kernel", "ramdisk"}, set(files))
        self.assertEqual(
            ("kernel", "ramdisk", "r"),
            (found.kernel, found.ramdisk, found.label),
        )

    def test_a_whole_disk_starts_without_what_lies_beside_it(self):
        parts = [made(), made("kernel", "vmlinuz"), made("ramdisk", "initrd")]
        facts = manifest(product="whole-disk", boot_modes=["bios"])
        found, files = self.plan(facts, whole(), parts)
        self.assertEqual(("", ""), (found.kernel, found.ramdisk))
        self.assertEqual({"image"}, set(files))

    def test_ramdisks(self):
        parts = [made("kernel", "kernel"), made("ramdisk", "initramfs")]
        for elements, proof in (
            (["debian", "ironic-python-agent-ramdisk"], "agent"),
            (["debian", "ramdisk"], "init"),
        ):
            found, files = self.plan(
                manifest(*elements, product="ramdisk"), BARE, parts
            )
            self.assertEqual(proof, found.proof)
            self.assertEqual(("kernel",), found.firmwares)
            self.assertEqual({"kernel", "ramdisk"}, set(files))

    def test_an_archive_does_not_start(self):
        self.assertIsNone(self.plan(manifest(), whole(), [made(form="tar")]))

    def test_a_root_that_cannot_grow(self):
        facts = manifest(product="whole-disk", boot_modes=["bios"])
        for of in (whole(("esp", "other")), whole(logical=True)):
            self.assertEqual(-1, self.plan(facts, of)[0].root)

    def test_one_of_the_formats_is_started(self):
        facts = manifest(product="whole-disk", boot_modes=["bios"])
        artefacts = [made(form="vhd"), made(form="qcow2")]
        found, _ = self.plan(facts, whole(), artefacts)
        self.assertEqual("qcow2", found.format)
        found, _ = self.plan(facts, whole(), artefacts[:1])
        self.assertEqual("vpc", found.format)

    def test_a_plan_travels_as_json(self):
        facts = manifest(product="whole-disk", boot_modes=["bios"])
        found, _ = self.plan(facts)
        self.assertEqual(found, Plan.from_json(found.to_json()))


class Settled(unittest.TestCase):
    def test_an_emulated_machine_has_more_time(self):
        plan = Plan("login", "x86_64", ("bios",), Settings(seconds=60))
        self.assertEqual(60, plan.seconds("kvm"))
        self.assertEqual(300, plan.seconds("tcg"))

    def test_an_agent_has_more_memory(self):
        for proof, wanted in (("login", 1024), ("agent", 3072)):
            plan = Plan(proof, "x86_64", ("kernel",), Settings())
            self.assertEqual(wanted, plan.memory_mib)
