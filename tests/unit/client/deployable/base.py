"""A case in which all is well, and rows that spoil it one by one."""

import dataclasses
from typing import Any
import unittest

from dib_service.client import deployable
from dib_service.client.deployable.case import GIB, MIB, Case, Finding

IMAGE_ID = "11111111-1111-4111-8111-111111111111"
KERNEL_ID = "22222222-2222-4222-8222-222222222222"
RAMDISK_ID = "33333333-3333-4333-8333-333333333333"
BARE_METAL = "b" * 32
ASKER = "a" * 32

IMAGE: dict[str, Any] = {
    "id": IMAGE_ID,
    "status": "active",
    "os_hidden": False,
    "visibility": "public",
    "owner": ASKER,
    "disk_format": "qcow2",
    "container_format": "bare",
    "size": 500 * MIB,
    "virtual_size": 3 * GIB,
    "min_disk": 4,
    "min_ram": 512,
    "os_hash_algo": "sha512",
    "os_hash_value": "0" * 128,
    "img_type": "whole-disk",
    "architecture": "x86_64",
    "dib_boot_modes": "bios,uefi",
}

KERNEL: dict[str, Any] = {
    "id": KERNEL_ID,
    "status": "active",
    "visibility": "public",
    "owner": ASKER,
    "disk_format": "aki",
    "container_format": "aki",
}

RAMDISK = {
    **KERNEL,
    "id": RAMDISK_ID,
    "disk_format": "ari",
    "container_format": "ari",
}

PARTITION = {
    "img_type": "partition",
    "kernel_id": KERNEL_ID,
    "ramdisk_id": RAMDISK_ID,
}

NODE: dict[str, Any] = {
    "name": "rack1-7",
    "provision_state": "available",
    "maintenance": False,
    "deploy_interface": "direct",
    "resource_class": "bare-metal.large",
    "traits": ["CUSTOM_GPU"],
    "driver_info": {"deploy_kernel": KERNEL_ID, "deploy_ramdisk": RAMDISK_ID},
    "instance_info": {},
    "properties": {
        "cpu_arch": "x86_64",
        "memory_mb": 8192,
        "local_gb": 100,
        "capabilities": "boot_mode:uefi",
    },
}

FLAVOR: dict[str, Any] = {
    "name": "bm.large",
    "ram": 8192,
    "disk": 100,
    "extra_specs": {
        "resources:CUSTOM_BARE_METAL_LARGE": "1",
        "capabilities:boot_mode": "uefi",
    },
}

GOOD = Case(
    image=IMAGE,
    linked={"kernel_id": KERNEL, "ramdisk_id": RAMDISK},
    node=NODE,
    flavor=FLAVOR,
    project_id=BARE_METAL,
)


def case(
    image: dict[str, Any] | None = None,
    node: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    flavor: dict[str, Any] | None = None,
    specs: dict[str, Any] | None = None,
    **changes: Any,
) -> Case:
    """The good case, with these things changed; None takes one away."""
    merged = _without_none({**IMAGE, **(image or {})})
    on_node = _without_none({**NODE, **(node or {})})
    on_node["properties"] = _without_none(
        {**NODE["properties"], **(properties or {})}
    )
    of_flavor = _without_none({**FLAVOR, **(flavor or {})})
    of_flavor["extra_specs"] = _without_none(
        {**FLAVOR["extra_specs"], **(specs or {})}
    )
    return dataclasses.replace(
        GOOD,
        **{"image": merged, "node": on_node, "flavor": of_flavor, **changes},
    )


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


class RuleCase(unittest.TestCase):
    """What is said of cases, looked up by the name of the check."""

    def said(self, judged: Case, check: str) -> list[Finding]:
        return [f for f in deployable.judge(judged) if f.check == check]

    def assert_says(
        self, verdict: str, check: str, judged: Case, *words: str
    ) -> None:
        """Just one thing is said of it, and it is this."""
        said = self.said(judged, check)
        self.assertEqual(1, len(said), f"{check}: {said}")
        self.assertEqual(verdict, said[0].verdict, said[0].reason)
        for word in words:
            self.assertIn(word, said[0].reason)

    def assert_silent(self, check: str, judged: Case) -> None:
        self.assertEqual([], self.said(judged, check))
