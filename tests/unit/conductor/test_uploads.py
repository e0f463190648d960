"""What Glance is told of an artefact."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import testtools

from dib_service.conductor import rpcapi, uploads
from dib_service.objects import release
from tests import database

BIOS = {"firmware": "bios", "config_drive": True, "memory_mib": 300}
SIGNED = {"firmware": "secure-boot", "config_drive": True, "memory_mib": 700}

IMAGE = {
    "product": "whole-disk",
    "os_distro": "debian",
    "os_version": "12",
    "os_admin_user": "debian",
    "boot_modes": ["bios", "uefi"],
    "secure_boot": True,
    "root_uuid": "11111111-2222-4333-8444-555555555555",
    "root_size": 2**30,
    "datasources": ["ConfigDrive", "OpenStack"],
    "guest_agent": True,
}

MANIFEST = {
    "layout": "whole-disk",
    "built_at": "2026-11-22T10:00:00Z",
    "built_by": "1.2.3",
    "image": IMAGE,
    "artefacts": [
        {"role": "image", "format": "raw", "sha256": "b" * 64},
        {"role": "image", "format": "qcow2", "sha256": "a" * 64},
        {"role": "kernel", "format": "vmlinuz", "sha256": "c" * 64},
    ],
    "boot_tests": [BIOS, SIGNED],
    "min_ram_mib": 900,
}

PARTITION = {
    **MANIFEST,
    "layout": "partition",
    "image": {
        name: value
        for name, value in {**IMAGE, "product": "partition"}.items()
        if name not in ("boot_modes", "secure_boot")
    },
    "boot_tests": [{"firmware": "kernel", "config_drive": True}],
}

RAMDISK = {
    "layout": None,
    "built_at": "2026-11-22T10:00:00Z",
    "image": {"product": "ramdisk", "os_distro": "debian"},
    "artefacts": [],
    "boot_tests": [{"firmware": "kernel", "config_drive": False}],
    "min_ram_mib": 3072,
}

STAGED = release.Staged(
    image_id="i",
    role="image",
    format="qcow2",
    target="glance",
    state="staged",
    size=100,
    virtual_size=2**31,
    sha512="a",
)
KERNEL = dataclasses.replace(
    STAGED, image_id="k", role="kernel", format="vmlinuz"
)
BOOT = dataclasses.replace(
    STAGED, image_id="r", role="ramdisk", format="initrd"
)
ELSEWHERE = dataclasses.replace(KERNEL, image_id="other", target="other")


class UploadTest(testtools.TestCase):
    """One artefact of one build."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())
        self.ask(color="red")

    def ask(self, **properties: str) -> None:
        """Another build, whose request has these properties."""
        self.build = database.new_build(
            properties=properties, traits=["CUSTOM_A"], tags=["web"]
        )

    def upload(
        self,
        manifest: Mapping[str, Any] = MANIFEST,
        staged: release.Staged = STAGED,
    ) -> rpcapi.Upload:
        """What is told of the image, which has a kernel and a ramdisk."""
        siblings = [ELSEWHERE, KERNEL, BOOT, STAGED]
        return uploads.upload(self.build, staged, manifest, siblings)

    def told(self, **changes: Any) -> Mapping[str, str]:
        """The properties where these facts are otherwise."""
        facts = {**IMAGE, **changes}
        image = {k: v for k, v in facts.items() if v is not None}
        return self.upload({**MANIFEST, "image": image}).properties

    def test_a_whole_disk(self) -> None:
        upload = self.upload()
        self.assertEqual(
            {
                "color": "red",
                "trait:CUSTOM_A": "required",
                "description": "debian (debian 12); built "
                f"2026-11-22T10:00:00Z as {self.build.id}",
                "architecture": "x86_64",
                "os_type": "linux",
                "img_type": "whole-disk",
                "os_distro": "debian",
                "os_version": "12",
                "os_admin_user": "debian",
                "img_config_drive": "optional",
                "hw_qemu_guest_agent": "yes",
                "rootfs_uuid": IMAGE["root_uuid"],
                "dib_build_id": self.build.id,
                "dib_role": "image",
                "dib_elements": uploads._elements(self.build),
                "dib_version": "1.2.3",
                "dib_built_at": "2026-11-22T10:00:00Z",
                "dib_artifact_sha256": "a" * 64,
                "dib_boot_tested": "bios,secure-boot,config-drive",
                "dib_boot_modes": "bios,uefi",
                "dib_root_device_min_gb": "3",
                "dib_cloud_init_datasources": "ConfigDrive,OpenStack",
            },
            upload.properties,
        )
        self.assertEqual(
            ("qcow2", "bare"), (upload.disk_format, upload.container_format)
        )
        self.assertEqual(("dib-build", "web"), upload.tags)
        self.assertEqual((3, 900), (upload.min_disk, upload.min_ram))

    def test_a_partition_names_its_kernel_and_ramdisk(self) -> None:
        upload = self.upload(PARTITION)
        said = upload.properties
        self.assertEqual("partition", said["img_type"])
        self.assertEqual("k", said["kernel_id"])
        self.assertEqual("r", said["ramdisk_id"])
        self.assertEqual("uefi", said["hw_firmware_type"])
        self.assertEqual("kernel,config-drive", said["dib_boot_tested"])
        for name in ("rootfs_uuid", "dib_boot_modes", "os_secure_boot"):
            self.assertNotIn(name, said)
        self.assertEqual(2, upload.min_disk)

    def test_a_kernel_and_a_ramdisk(self) -> None:
        self.ask(
            color="red",
            os_secure_boot="disabled",
            os_distro="windows",
            hw_firmware_type="bios",
            img_config_drive="mandatory",
        )
        for staged, word in ((KERNEL, "aki"), (BOOT, "ari")):
            upload = self.upload(RAMDISK, staged)
            self.assertEqual(
                (word, word), (upload.disk_format, upload.container_format)
            )
            self.assertEqual((0, 0), (upload.min_disk, upload.min_ram))
            linked = {"dib_kernel_id"} if word == "ari" else set()
            self.assertEqual(
                {
                    *("architecture", "os_type", "description", "color"),
                    "os_distro",
                    *("dib_build_id", "dib_role", "dib_elements"),
                    *("dib_built_at", *linked),
                },
                set(upload.properties),
            )
            self.assertEqual(staged.role, upload.properties["dib_role"])
            self.assertEqual("debian", upload.properties["os_distro"])
        self.assertEqual("k", upload.properties["dib_kernel_id"])

    def test_a_kernel_beside_a_whole_disk_is_nobodys(self) -> None:
        self.assertFalse(uploads.published("kernel", MANIFEST))
        self.assertFalse(uploads.published("ramdisk", {}))
        self.assertTrue(uploads.published("image", MANIFEST))
        for manifest in (PARTITION, RAMDISK):
            self.assertTrue(uploads.published("kernel", manifest))

    def test_no_request_makes_a_whole_disk_another_kind_of_image(self) -> None:
        self.ask(
            kernel_id="k",
            Ramdisk_ID="r",
            img_type="partition",
            dib_build_id="forged",
            dib_boot_tested="uefi",
            os_distro="windows",
            img_config_drive="mandatory",
        )
        forged = self.upload().properties
        self.ask()
        honest = self.upload().properties
        told = {"description", "dib_build_id"}
        for name in {*forged, *honest} - told:
            self.assertEqual(honest.get(name), forged.get(name), name)

    def test_what_is_not_known_is_not_said(self) -> None:
        self.ask(os_distro="debian", img_config_drive="mandatory")
        upload = self.upload({})
        self.assertEqual(
            {
                *("architecture", "os_type", "img_type", "description"),
                *("dib_build_id", "dib_role", "dib_elements"),
                *("dib_boot_tested", "dib_root_device_min_gb"),
                # Of these only the request speaks.
                *("os_distro", "img_config_drive", "trait:CUSTOM_A"),
            },
            set(upload.properties),
        )
        self.assertEqual("whole-disk", upload.properties["img_type"])
        self.assertEqual("no", upload.properties["dib_boot_tested"])
        self.assertEqual(512, upload.min_ram)

    def test_only_one_kind_of_firmware_is_named(self) -> None:
        for modes, said in (
            (["bios"], "bios"),
            (["uefi"], "uefi"),
            (["bios", "uefi"], None),
            (None, None),
        ):
            properties = self.told(boot_modes=modes)
            self.assertEqual(said, properties.get("hw_firmware_type"))

    def test_a_config_drive_is_mandatory_without_a_metadata_service(
        self,
    ) -> None:
        for sources, said in (
            (["ConfigDrive"], "mandatory"),
            (["NoCloud"], "mandatory"),
            (["ConfigDrive", "Ec2"], "optional"),
            (["OpenStack"], "optional"),
            (None, None),
        ):
            properties = self.told(datasources=sources)
            self.assertEqual(said, properties.get("img_config_drive"))

    def test_secure_boot_is_asked_for_and_proven(self) -> None:
        self.ask(os_secure_boot="required")
        self.assertEqual("required", self.told()["os_secure_boot"])
        self.assertNotIn("os_secure_boot", self.told(secure_boot=False))
        untested = {**MANIFEST, "boot_tests": [BIOS]}
        self.assertNotIn("os_secure_boot", self.upload(untested).properties)
        self.ask(os_secure_boot="disabled")
        self.assertEqual("disabled", self.told()["os_secure_boot"])

    def test_the_disk_must_hold_all_of_it(self) -> None:
        for virtual_size, whole, root in (
            (1, 1, 1),
            (2**30 - 64 * 2**20, 1, 1),
            (2**30 - 64 * 2**20 + 1, 2, 1),
            (2**30, 2, 1),
            (2**30 + 1, 2, 2),
            (2**31, 3, 2),
        ):
            staged = dataclasses.replace(STAGED, virtual_size=virtual_size)
            self.assertEqual(whole, self.upload(MANIFEST, staged).min_disk)
            self.assertEqual(root, self.upload(PARTITION, staged).min_disk)

    def test_less_memory_than_any_machine_needs_is_not_promised(self) -> None:
        for tested, said in ((None, 512), (100, 512), (513, 513)):
            manifest = {**MANIFEST, "min_ram_mib": tested}
            self.assertEqual(said, self.upload(manifest).min_ram)

    def test_a_description_is_one_line_of_a_length(self) -> None:
        build = database.new_build(elements=["é" * 200, "b" * 200])
        upload = uploads.upload(build, STAGED, MANIFEST)
        text = upload.properties["description"]
        self.assertEqual(255, len(text))
        self.assertIn("…", text)
        self.assertTrue(text.endswith(build.id))
        self.ask(description="mine")
        self.assertEqual("mine", self.upload().properties["description"])

    def test_a_tag_of_ours_is_there_once(self) -> None:
        build = database.new_build(tags=["a", "dib-build"])
        upload = uploads.upload(build, STAGED, MANIFEST)
        self.assertEqual(("dib-build", "a"), upload.tags)

    def test_the_same_elements_have_one_digest(self) -> None:
        first, second = database.new_build(), database.new_build()
        self.assertEqual(uploads._elements(first), uploads._elements(second))
        other = dataclasses.replace(second, elements={"base": "d-other"})
        self.assertNotEqual(uploads._elements(first), uploads._elements(other))

    def test_there_is_room_for_all_of_it(self) -> None:
        # Glance's image_property_quota, which the API counts against.
        self.ask()
        ours = {*self.upload().properties, *self.upload(PARTITION).properties}
        self.assertLessEqual(len(ours) + 100, 128)
