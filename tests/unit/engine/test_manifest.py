"""What a build says when it has ended."""

from pathlib import Path
import unittest

from dib_service.engine import manifest, spec
from dib_service.engine.disk import blockdevice
from dib_service.engine.output import files
from dib_service.engine.verify import checks


class Manifest(unittest.TestCase):
    def made(self, name, role, size):
        return files.Artefact(
            format=Path(name).suffix[1:],
            role=role,
            name=name,
            path=Path(name),
            size=1,
            virtual_size=size,
            digests={},
        )

    def test_the_disk_is_the_image_not_one_beside_it(self):
        found = self.manifest(
            self.made("image.qcow2", "image", 100),
            self.made("image.tar", "image", 150),
            self.made("image-data.raw", "disk", 200),
        )
        self.assertEqual(100, found["virtual_size"])

    def test_what_the_set_of_files_is(self):
        image = self.made("image.qcow2", "image", 100)
        boot = (
            self.made("image.vmlinuz", "kernel", 1),
            self.made("image.initrd", "ramdisk", 1),
        )
        for formats, artefacts, product in (
            (("qcow2",), (image,), "partition"),
            (("qcow2",), (image, *boot), "partition"),
            (("tar", "raw"), (image, *boot), "partition"),
            (("tar",), (image,), None),
            ((), boot, "ramdisk"),
            ((), boot[:1], None),
        ):
            with self.subTest(formats=formats):
                found = self.manifest(*artefacts, formats=formats)["image"]
                self.assertEqual(product, found.get("product"))

    def test_what_was_read_and_seen_stands_together(self):
        seen = checks.Seen("u-u", 7, ("bios", "uefi"), secure_boot=True)
        found = self.manifest(tree={"os_distro": "debian"}, seen=seen)
        self.assertEqual(
            {
                "product": "partition",
                "os_distro": "debian",
                "root_uuid": "u-u",
                "root_size": 7,
                "boot_modes": ["bios", "uefi"],
                "secure_boot": True,
            },
            found["image"],
        )

    def test_what_no_firmware_starts_says_nothing_of_it(self):
        found = self.manifest(seen=checks.Seen("u-u", 7))["image"]
        self.assertEqual({"product", "root_uuid", "root_size"}, set(found))
        seen = checks.Seen("u-u", 7, ("bios",))
        found = self.manifest(seen=seen)["image"]
        self.assertNotIn("secure_boot", found)

    def manifest(self, *artefacts, formats=("qcow2",), tree=None, seen=None):
        return manifest.of(
            spec.BuildSpec(elements=("a",), formats=formats),
            [],
            blockdevice.parse(blockdevice.BUILT_IN, {}),
            {},
            artefacts,
            tree=tree or {},
            seen=seen,
        )
