"""Whether the machine is large enough and of the right kind."""

import dataclasses

from dib_service.client.deployable.case import GIB, MIB, Case
from tests.unit.client.deployable import base


def on_node(**changes) -> Case:
    return dataclasses.replace(base.case(**changes), flavor=None)


def by_flavor(**changes) -> Case:
    return dataclasses.replace(base.case(**changes), node=None)


class TestRootDevice(base.RuleCase):
    def test_the_node(self):
        for image, properties, verdict, words in (
            ({}, {}, "ok", ("4.0 GiB", "100 GiB (local_gb)")),
            ({}, {"local_gb": "4"}, "ok", ("4 GiB",)),
            ({}, {"local_gb": 3}, "problem", ("4.0 GiB", "3 GiB")),
            ({"min_disk": 0}, {"local_gb": 3}, "ok", ("3.0 GiB",)),
            ({"virtual_size": 200 * GIB}, {}, "problem", ("200.0 GiB",)),
            ({}, {"local_gb": None}, "warning", ("neither",)),
            ({}, {"root_device": {"size": 3}}, "problem", ("hint",)),
            ({}, {"root_device": {"size": ">= 8"}}, "ok", ("8 GiB",)),
            ({}, {"root_device": {"size": "<= 3"}}, "ok", ("local_gb",)),
            ({}, {"root_device": {"name": "/dev/sda"}}, "ok", ("local_gb",)),
            ({}, {"root_device": "sda"}, "ok", ("local_gb",)),
        ):
            with self.subTest(image=image, properties=properties):
                self.assert_says(
                    verdict,
                    "root device",
                    on_node(image=image, properties=properties),
                    *words,
                )

    def test_the_flavor(self):
        for image, disk, verdict, words in (
            ({}, 4, "ok", ("4.0 GiB",)),
            ({}, 3, "problem", ("Nova refuses",)),
            ({"min_disk": 0, "size": 5 * GIB}, 4, "problem", ("5.0 GiB",)),
            ({"min_disk": 0}, 2, "warning", ("unpacked",)),
            (
                {"min_disk": 0, **base.PARTITION},
                2,
                "problem",
                ("unpacked",),
            ),
            ({}, 0, "warning", ("disk is 0",)),
        ):
            with self.subTest(image=image, disk=disk):
                self.assert_says(
                    verdict,
                    "root device",
                    by_flavor(image=image, flavor={"disk": disk}),
                    *words,
                )

    def test_both_are_compared(self):
        self.assertEqual(2, len(self.said(base.case(), "root device")))

    def test_nothing_to_compare_with(self):
        self.assert_says(
            "ok", "root device", Case(image=base.IMAGE), "at least 4.0 GiB"
        )

    def test_an_image_of_no_size(self):
        self.assert_says(
            "warning",
            "root device",
            base.case(image={"min_disk": 0, "virtual_size": None}),
        )


class TestMemory(base.RuleCase):
    def test_it_is_streamed_or_fits(self):
        for image, has, verdict, words in (
            ({}, 512, "ok", ("500 MiB",)),
            ({"size": 600 * MIB}, 512, "warning", ("raw", "do not fit")),
            ({"size": 600 * MIB, "disk_format": "raw"}, 512, "ok", ("raw",)),
            ({"min_ram": 1024}, 512, "warning", ("1024",)),
        ):
            with self.subTest(image=image):
                self.assert_says(
                    verdict,
                    "memory",
                    on_node(image=image, properties={"memory_mb": has}),
                    *words,
                )

    def test_the_flavor_is_smaller_than_the_image_needs(self):
        self.assert_says(
            "problem", "memory", by_flavor(flavor={"ram": 256}), "min_ram"
        )

    def test_nobody_knows(self):
        self.assert_silent("memory", on_node(properties={"memory_mb": None}))


class TestKind(base.RuleCase):
    def test_architecture(self):
        for image, node, verdict in (
            ("x86_64", "x86_64", "ok"),
            ("amd64", "x86_64", "ok"),
            ("aarch64", "arm64", "ok"),
            ("i686", "x86_64", "warning"),
            ("aarch64", "x86_64", "problem"),
            (None, "x86_64", "warning"),
        ):
            with self.subTest(image=image, node=node):
                self.assert_says(
                    verdict,
                    "architecture",
                    base.case(
                        image={"architecture": image},
                        properties={"cpu_arch": node},
                    ),
                )

    def test_a_node_that_says_nothing_of_itself(self):
        self.assert_silent(
            "architecture", base.case(properties={"cpu_arch": None})
        )

    def test_hypervisor(self):
        for key in ("hypervisor_type", "img_hv_type"):
            for kind in ("qemu", "ironic"):
                self.assert_says(
                    "problem", "hypervisor", base.case(image={key: kind}), kind
                )
            # Ironic itself does not ask.
            self.assert_says(
                "warning", "hypervisor", on_node(image={key: "qemu"}), "Nova"
            )
            metal = base.case(image={key: "baremetal"})
            self.assert_silent("hypervisor", metal)


class TestTraits(base.RuleCase):
    def test_the_node_has_them(self):
        gpu = {"trait:CUSTOM_GPU": "required"}
        self.assert_says("ok", "traits", base.case(image=gpu), "CUSTOM_GPU")
        self.assert_says("ok", "traits", base.case(specs=gpu), "CUSTOM_GPU")
        self.assert_says("ok", "traits", by_flavor(image=gpu), "must have")

    def test_the_node_lacks_one(self):
        ib = {"trait:CUSTOM_IB": "required"}
        self.assert_says("problem", "traits", base.case(image=ib), "lacks")
        self.assert_says("problem", "traits", base.case(specs=ib), "lacks")
        self.assert_says(
            "problem",
            "traits",
            base.case(specs={"trait2:CUSTOM_IB": "required"}),
        )

    def test_without_nova_nobody_asks(self):
        ib = {"trait:CUSTOM_IB": "required"}
        self.assert_says(
            "warning", "traits", on_node(image=ib), "lacks CUSTOM_IB"
        )

    def test_the_flavor_forbids_it(self):
        self.assert_says(
            "problem",
            "traits",
            base.case(
                image={"trait:CUSTOM_GPU": "required"},
                specs={"trait:CUSTOM_GPU": "forbidden"},
            ),
            "forbids",
        )

    def test_a_value_that_nova_does_not_know(self):
        self.assert_says(
            "warning",
            "traits",
            base.case(image={"trait:CUSTOM_GPU": "forbidden"}),
            "required only",
        )

    def test_none(self):
        self.assert_silent("traits", base.case())


class TestPlacement(base.RuleCase):
    def test_capabilities(self):
        raid = {"capabilities:raid_level": "5"}
        self.assert_says(
            "problem", "capabilities", base.case(specs=raid), "raid_level:5"
        )
        self.assert_silent(
            "capabilities",
            base.case(
                specs=raid,
                properties={"capabilities": "boot_mode:uefi,raid_level:5"},
            ),
        )
        self.assert_silent(
            "capabilities",
            base.case(specs={"capabilities:raid_level": "<in> 5"}),
        )

    def test_resource_class(self):
        self.assert_says("ok", "resource class", base.case())
        self.assert_says(
            "problem",
            "resource class",
            base.case(node={"resource_class": "small"}),
            "resources:CUSTOM_SMALL=1",
        )
        self.assert_says(
            "problem",
            "resource class",
            base.case(node={"resource_class": None}),
            "no flavor",
        )
        self.assert_silent("resource class", on_node())
