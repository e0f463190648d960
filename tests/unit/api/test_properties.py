"""Which properties an image may be given."""

import unittest

from dib_service import exception
from dib_service.api import properties

GOOD = {
    "os_distro": "debian",
    "os_admin_user": "debian",
    "hw_disk_bus": "virtio",
    "trait:CUSTOM_GPU": "required",
    "a.b-c_d": "",
    "owner_specified.note": "mine",
    "x" * 255: "y" * 255,
    "umlaut": "größer",
}

BAD_NAMES = {
    "": "1 to 255",
    "x" * 256: "1 to 255",
    "a b": "1 to 255",
    "a/b": "1 to 255",
    "größe": "1 to 255",
    "a\n": "1 to 255",
    "a\0": "1 to 255",
    "owner": "field of every image",
    "Owner": "field of every image",
    "id": "field of every image",
    "status": "field of every image",
    "locations": "field of every image",
    "checksum": "field of every image",
    "visibility": "field of every image",
    "os_hidden": "field of every image",
    "protected": "field of every image",
    "min_disk": "field of every image",
    "disk_format": "field of every image",
    "os_hash_algo": "reserved",
    "os_hash_value": "reserved",
    "os_glance_importing_to_stores": "reserved",
    "OS_GLANCE_x": "reserved",
    "dib_build_id": "reserved",
    "dib_anything": "reserved",
    "kernel_id": "set by the service",
    "ramdisk_id": "set by the service",
    "img_type": "set by the service",
    "architecture": "set by the service",
    "rootfs_uuid": "set by the service",
    "boot_iso_id": "set by the service",
    "hw_qemu_guest_agent": "set by the service",
    "Kernel_ID": "set by the service",
    "cinder_encryption_key_deletion_policy": "reserved",
    "cinder_encryption_key_id": "reserved",
    "img_signature": "reserved",
    "img_signature_hash_method": "reserved",
}

BAD_CHOICES = {
    "hw_firmware_type": "efi",
    "img_config_drive": "true",
    "os_secure_boot": "yes",
}

BAD_TRAITS = {
    "trait:gpu": ("required", "in capitals"),
    "trait:CUSTOM_gpu": ("required", "in capitals"),
    "trait:GPU_A": ("required", "a standard one"),
    "trait:": ("required", "in capitals"),
    "trait:CUSTOM_GPU": ("forbidden", "'required' is all"),
    "trait:HW_CPU_X86_VMX": ("", "'required' is all"),
}

BAD_VALUES = {
    "x" * 256: "255 characters",
    "a\nb": "control",
    "a\0b": "control",
    "a\x7fb": "control",
}


class PropertiesTest(unittest.TestCase):
    """The tables above, row by row."""

    def test_what_people_say_of_images(self) -> None:
        properties.check(GOOD)

    def test_names_that_are_something_else(self) -> None:
        for name, why in BAD_NAMES.items():
            with self.subTest(name=name):
                error = self.refused({name: "1"})
                self.assertIn(why, error.message)
                self.assertTrue(
                    error.facts["field"].startswith("build.image.properties.")
                )

    def test_values_that_nobody_can_read(self) -> None:
        for value, why in BAD_VALUES.items():
            with self.subTest(value=value):
                self.assertIn(why, self.refused({"note": value}).message)

    def test_values_that_nova_would_refuse(self) -> None:
        for name, value in BAD_CHOICES.items():
            with self.subTest(name=name):
                self.assertIn("one of", self.refused({name: value}).message)

    def test_traits_that_nova_or_placement_do_not_know(self) -> None:
        for name, (value, why) in BAD_TRAITS.items():
            with self.subTest(name=name):
                error = self.refused({name: value})
                self.assertIn(why, error.message)
                self.assertIn(name, error.facts["field"])

    def refused(self, values: dict[str, str]) -> exception.BadRequest:
        """The error that these properties get."""
        with self.assertRaises(exception.BadRequest) as caught:
            properties.check(values)
        return caught.exception
