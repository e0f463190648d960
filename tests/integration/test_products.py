"""Every product in a real Glance: all that is said of it, by the rules.

Each is made by the real engine of the smallest tree that has what is read
from it, and goes the service's whole way. What Ironic takes it for, its own
functions say.
"""

from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import pathlib
import subprocess
from typing import Any, ClassVar

from tests import lab
from tests.integration import service_case

GIB = 2**30
JUDGE = pathlib.Path(__file__).with_name("ironic_judge.py")

BOTH = ("raw", "qcow2")


@dataclasses.dataclass(frozen=True)
class Product:
    """What is asked for, and what has to be said of each of its images.

    ``said`` are the properties of the root image beside those that all
    have; a value that is None must not be there. ``formats`` are those of
    the root image, of which there is none for a ramdisk.
    """

    elements: tuple[str, ...]
    said: Mapping[str, str | None]
    formats: tuple[str, ...] = BOTH
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    whole_disk: bool | None = True
    linked: bool = False


# The rules of a whole disk, of which each product has some of its own.
WHOLE_DISK: Mapping[str, str | None] = {
    "img_type": "whole-disk",
    "img_config_drive": "mandatory",
    "dib_cloud_init_datasources": "ConfigDrive",
    "kernel_id": None,
    "ramdisk_id": None,
}

PRODUCTS: Mapping[str, Product] = {
    "whole disk, BIOS": Product(
        elements=("block-device-mbr",),
        said={
            **WHOLE_DISK,
            "hw_firmware_type": "bios",
            "dib_boot_modes": "bios",
        },
    ),
    "whole disk, UEFI": Product(
        elements=("tiny-uefi",),
        environment={"DIB_TINY_SOURCES": "ConfigDrive, OpenStack, None"},
        said={
            **WHOLE_DISK,
            "hw_firmware_type": "uefi",
            "dib_boot_modes": "uefi",
            "img_config_drive": "optional",
            "dib_cloud_init_datasources": "ConfigDrive,OpenStack",
        },
    ),
    "whole disk, hybrid": Product(
        elements=("block-device-efi",),
        said={
            **WHOLE_DISK,
            "hw_firmware_type": None,
            "dib_boot_modes": "bios,uefi",
        },
    ),
    "whole disk with its kernel beside it": Product(
        elements=("block-device-mbr", "baremetal"),
        formats=("qcow2",),
        said={
            **WHOLE_DISK,
            "hw_firmware_type": "bios",
            "dib_boot_modes": "bios",
        },
    ),
    "partition": Product(
        elements=("baremetal",),
        said={
            "img_type": "partition",
            "img_config_drive": "mandatory",
            "dib_cloud_init_datasources": "ConfigDrive",
            "hw_firmware_type": "uefi",
            "dib_boot_modes": None,
            "rootfs_uuid": None,
        },
        whole_disk=False,
        linked=True,
    ),
    "ramdisk": Product(
        elements=("tiny-ramdisk",), said={}, formats=(), linked=True
    ),
}

# Asked for with every one of them.
ASKED = {
    "properties": {"colour": "green", "os_distro": "windows"},
    "tags": ["one", "two"],
    "traits": ["CUSTOM_GPU"],
}


class ProductsTest(service_case.ServiceCase):
    """One build of each, compared with the table."""

    maxDiff = None
    builds: ClassVar[dict[str, str]]

    @classmethod
    def start_service(cls) -> None:
        """The service, and all builds, of which the first has begun."""
        super().start_service()
        cls.builds = {
            name: cls._asked(product) for name, product in PRODUCTS.items()
        }

    @classmethod
    def _asked(cls, product: Product) -> str:
        wanted: dict[str, Any] = {
            **service_case.TINY,
            "elements": ["tiny", "tiny-machine", *product.elements],
            "environment": dict(product.environment),
            "image": ASKED,
        }
        if product.formats:
            wanted["formats"] = list(product.formats)
        answer = cls.api().post("/v1/builds", json={"build": wanted})
        if answer.status_code != 202:
            raise AssertionError(answer.text)
        return str(answer.json()["build"]["id"])

    def test_all_that_is_said_of_them(self) -> None:
        for name, product in PRODUCTS.items():
            with self.subTest(name):
                made = Made(self, self.builds[name])
                self.assertEqual(sorted(_roles(product)), sorted(made.images))
                for role_and_format in made.images:
                    self.assert_said(product, made, *role_and_format)

    def test_what_ironic_takes_them_for(self) -> None:
        for name, product in PRODUCTS.items():
            with self.subTest(name):
                made = Made(self, self.builds[name])
                roots = [key for key in made.images if key[0] == "image"]
                for verdict, key in zip(
                    self.judged(made, roots), roots, strict=True
                ):
                    self.assert_judged(product, made, key, verdict)

    def test_no_request_makes_them_something_else(self) -> None:
        for forged in ("kernel_id", "ramdisk_id", "img_type", "dib_version"):
            wanted = {
                **service_case.TINY,
                "image": {"properties": {forged: "forged"}},
            }
            answer = self.api().post("/v1/builds", json={"build": wanted})
            self.assertEqual(400, answer.status_code, answer.text)
            self.assertIn(forged, answer.text)

    def assert_said(
        self, product: Product, made: "Made", role: str, format_: str
    ) -> None:
        """The rules, every one of them."""
        image = made.images[role, format_]
        path = made.path(role, format_)
        disk = {"kernel": "aki", "ramdisk": "ari"}.get(role, format_)
        bare = "bare" if role == "image" else disk
        self.assertEqual(
            {
                "status": "active",
                "visibility": "private",
                "os_hidden": False,
                "protected": False,
                "owner": made.build["project_id"],
                "name": made.build["image"]["name"],
                "disk_format": disk,
                "container_format": bare,
                "os_hash_algo": "sha512",
                "os_hash_value": _digest(path, "sha512"),
                "min_ram": 512 if role == "image" else 0,
                "min_disk": made.min_disk(path) if role == "image" else 0,
                "tags": ["dib-build", "one", "two"],
            },
            {
                **{name: image[name] for name in BASE},
                "tags": sorted(image["tags"]),
            },
        )
        wanted = self.properties_of(product, made, role, format_)
        found = {
            name: value
            for name, value in image.items()
            if name not in BASE and name not in GLANCES_OWN
        }
        self.assertEqual(wanted, found)

    def properties_of(
        self, product: Product, made: "Made", role: str, format_: str
    ) -> dict[str, str]:
        """What has to be said of one of a product's images."""
        build = made.build
        origin = made.images[role, format_]
        self.assertRegex(
            origin["dib_built_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
        )
        self.assertTrue(origin["description"].startswith("tiny, tiny-mach"))
        self.assertTrue(origin["description"].endswith(build["id"]))
        said: dict[str, str | None] = {
            "colour": "green",
            "description": origin["description"],
            "architecture": "x86_64",
            "os_type": "linux",
            "os_distro": "opensuse",
            "os_version": "15.6",
            "dib_build_id": build["id"],
            "dib_role": role,
            "dib_elements": _elements(build),
            "dib_version": importlib.metadata.version("dib-service"),
            "dib_built_at": origin["dib_built_at"],
            "dib_artifact_sha256": _digest(made.path(role, format_), "sha256"),
        }
        if role == "ramdisk":
            said["dib_kernel_id"] = made.id_of("kernel")
        if role == "image":
            said |= {
                "trait:CUSTOM_GPU": "required",
                "os_admin_user": "tux",
                "dib_boot_tested": "no",
                **product.said,
            }
            if product.linked:
                said["kernel_id"] = made.id_of("kernel")
                said["ramdisk_id"] = made.id_of("ramdisk")
            else:
                path = made.path(role, format_)
                said["rootfs_uuid"] = made.root_uuid(path)
                said["dib_root_device_min_gb"] = str(made.min_disk(path))
        return {name: v for name, v in said.items() if v is not None}

    def judged(
        self, made: "Made", keys: list[tuple[str, str]]
    ) -> list[dict[str, Any]]:
        """What Ironic's functions say of these images."""
        auth = self.cloud.account("admin").auth()
        file = self.service.path / "ironic.conf"
        file.write_text(
            "[glance]\nauth_type = password\nregion_name = RegionOne\n"
            f"endpoint_override = {self.cloud.glance.url}\n"
            + "".join(f"{name} = {value}\n" for name, value in auth.items())
        )
        questions = [
            {"id": made.images[key]["id"], "path": str(made.path(*key))}
            for key in keys
        ]
        done = subprocess.run(
            [str(lab.services_venv() / "bin/python"), str(JUDGE), str(file)],
            input=json.dumps(questions),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def assert_judged(
        self,
        product: Product,
        made: "Made",
        key: tuple[str, str],
        verdict: Mapping[str, Any],
    ) -> None:
        """Ironic would deploy it, as what it is."""
        linked = {
            f"{role}_id": made.id_of(role) if product.linked else None
            for role in ("kernel", "ramdisk")
        }
        self.assertEqual(
            {
                "whole_disk": product.whole_disk,
                "linked": linked,
                "permitted": True,
                # It is private, and not of Ironic's own project.
                "for_a_member": False,
            },
            verdict,
        )


# Fields of every image, and what Glance makes of them.
BASE = (
    *("status", "visibility", "os_hidden", "protected", "owner", "name"),
    *("disk_format", "container_format", "os_hash_algo", "os_hash_value"),
    *("min_ram", "min_disk", "tags"),
)
GLANCES_OWN = frozenset(
    {
        *("id", "size", "virtual_size", "checksum", "created_at"),
        *("updated_at", "self", "file", "schema", "stores", "direct_url"),
        *("locations",),
    }
)


class Made:
    """One build that is complete: its images, and their bytes."""

    def __init__(self, case: ProductsTest, build_id: str) -> None:
        self._case = case
        self.build = case.assert_complete(build_id, seconds=240)

    @functools.cached_property
    def images(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every image of the build as Glance shows it, by role and format."""
        found = {}
        with self._case.connect() as cloud:
            for row in self.build["publications"]:
                url = f"{self._case.cloud.glance.url}/v2/images"
                answer = cloud.session.get(f"{url}/{row['image_id']}")
                found[row["role"], row["format"]] = answer.json()
        return found

    def id_of(self, role: str) -> str:
        """The id of the build's only image in that role."""
        (found,) = (i["id"] for (r, _), i in self.images.items() if r == role)
        return str(found)

    def path(self, role: str, format_: str) -> pathlib.Path:
        """Its bytes, downloaded once."""
        image_id = self.images[role, format_]["id"]
        path = self._case.service.path / image_id
        if not path.exists():
            with self._case.connect() as cloud:
                cloud.image.download_image(
                    image_id, output=str(path), stream=True
                )
        return path

    def min_disk(self, path: pathlib.Path) -> int:
        """The least GiB of a disk for it and, on it, for a config drive."""
        said = _run("qemu-img", "info", "--output=json", path)
        size: int = json.loads(said)["virtual-size"]
        if ("kernel", "vmlinuz") in self.images:
            return math.ceil(size / GIB)
        return math.ceil((size + 64 * 2**20) / GIB)

    def root_uuid(self, path: pathlib.Path) -> str:
        """The UUID of the filesystem labelled as roots are."""
        raw = path.with_suffix(".disk")
        _run("qemu-img", "convert", "-O", "raw", path, raw)
        table = json.loads(_run("sfdisk", "--json", raw))["partitiontable"]
        try:
            for row in table["partitions"]:
                offset = row["start"] * table["sectorsize"]
                said = _run(
                    *("blkid", "--probe", "--offset", offset),
                    *("--output", "export", raw),
                )
                facts = dict(line.split("=", 1) for line in said.splitlines())
                if facts.get("LABEL") == "cloudimg-rootfs":
                    return facts["UUID"]
        finally:
            raw.unlink()
        raise AssertionError(f"no root in {table}")


def _roles(product: Product) -> list[tuple[str, str]]:
    """The roles and formats of the images that the product has."""
    roots = [("image", each) for each in product.formats]
    if not product.linked:
        return roots
    if product.formats:
        return [*roots, ("kernel", "vmlinuz"), ("ramdisk", "initrd")]
    return [("kernel", "kernel"), ("ramdisk", "initramfs")]


def _elements(build: Mapping[str, Any]) -> str:
    """One digest of every element's."""
    lines = [
        f"{row['name']} {row['digest']}\n"
        for row in build["resolved_elements"]
    ]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


@functools.cache
def _digest(path: pathlib.Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _run(*words: object) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 2):
        raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout
