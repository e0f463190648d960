"""Block devices pass the tests that diskimage-builder has for its.

Where one asks for the words of diskimage-builder's own commands it cannot
pass; the tables here say which, and what is tested instead.
"""

import unittest

from dib_service.engine import errors
from dib_service.engine.disk import blockdevice, partitioning
from dib_service.engine.sizes import GiB, MiB
from tests.conformance import shim_blockdevice

theirs = shim_blockdevice.their_tests()

COMMANDS = (
    "asks for the words of sgdisk, kpartx, mkfs and mount as "
    "diskimage-builder has them; their outcome is tested below and in "
    "tests/integration/engine/test_disk.py"
)
LVM = "lvm is refused, with the reason"
STATE = (
    "asks for the files in which diskimage-builder's programs hand one "
    "another their state; the engine is one program and has none"
)

NOT_FOR_US = {
    "TestGPT.test_gpt_efi": COMMANDS,
    "TestMountOrder.test_mfks_and_mount_order": COMMANDS,
    "TestMountOrder.test_mount_order_unsorted": LVM,
    "TestLVM.test_lvm_invalid_config": LVM,
    "TestLVM.test_lvm_multi_pv": LVM,
    "TestLVM.test_lvm_multi_pv_vg": LVM,
    "TestLVM.test_lvm_multiple_partitions": LVM,
    "TestLVM.test_lvm_spanned_vg": LVM,
    "TestLVM.test_lvm_thin_provision": LVM,
    "TestLVM.test_lvm_tree_to_graph": LVM,
    "TestLVM.test_validate_lvs_type": LVM,
    "TestState.test_missing_state": STATE,
    "TestState.test_rollback": STATE,
    "TestState.test_state_create": STATE,
}

# What becomes of each of their configurations that is no whole one.
REFUSED = {
    "bad_edge_graph": "there is no 'this_is_not_a_node'",
    "bad_plugin": "'this_is_not_a_plugin_name' is none of",
    "cmd_create": "'test_a' is none of",
    "duplicate_fs_labels": "is there twice",
    "duplicate_name": "'this_is_a_duplicate' is there twice",
    "multi_key_node": "must have one key",
    "rollback": "'test_a' is none of",
    "simple_graph": "there is none with the name 'image0'",
    "simple_tree": "there is none with the name 'image0'",
    "too_long_fs_label": "there is none with the name 'image0'",
}

# What each of the others mounts, in its order.
MOUNTED = {
    "deep_graph": ["/"],
    "deep_tree": ["/"],
    "gpt_efi": ["/", "/boot/efi"],
    "multiple_partitions_graph": ["/", "/var", "/var/log"],
    "multiple_partitions_tree": ["/", "/var", "/var/log"],
}


class Parsing(theirs["test_config"].TestConfigParsing):
    """Trees and graphs are read as they should be."""


class Graph(theirs["test_config"].TestCreateGraph):
    """What is made comes in its order, or is refused."""


class Labels(theirs["test_mkfs"].TestMkfs):
    """Labels that cannot be are refused."""


class Table(theirs["test_mbr"].TestMBR):
    """partx lists what was written."""


class Sizes(theirs["test_utils"].TestBlockDeviceUtils):
    """Numbers with units."""


RUN = (Parsing, Graph, Labels, Table, Sizes)


class Known(unittest.TestCase):
    """No test and no configuration of theirs is passed over in silence."""

    def test_every_test_is_run_or_named(self):
        loader = unittest.TestLoader()
        all_of_theirs = {
            f"{kind.__name__}.{name}"
            for module in theirs.values()
            for kind in vars(module).values()
            if isinstance(kind, type)
            and kind.__module__ == module.__name__
            and issubclass(kind, unittest.TestCase)
            for name in loader.getTestCaseNames(kind)
        }
        run = {
            f"{kind.__mro__[1].__name__}.{name}"
            for kind in RUN
            for name in loader.getTestCaseNames(kind)
        }
        self.assertEqual(all_of_theirs, run | set(NOT_FOR_US))
        self.assertEqual(set(), run & set(NOT_FOR_US))
        self.assertEqual(24, len(run))

    def test_every_configuration(self):
        for path in shim_blockdevice.configurations():
            text = path.read_text()
            with self.subTest(path.stem):
                if path.stem.startswith("lvm_"):
                    self.assert_refused(text, "device-mapper")
                elif path.stem in REFUSED:
                    self.assert_refused(text, REFUSED[path.stem])
                else:
                    found = blockdevice.parse(text, {})
                    self.assertEqual(
                        MOUNTED[path.stem],
                        [volume.mount_point for volume in found.mounts],
                    )

    def assert_refused(self, text, problem):
        with self.assertRaises(errors.LayoutError) as caught:
            blockdevice.parse(text, {})
        self.assertIn(problem, str(caught.exception))


class Outcomes(unittest.TestCase):
    """What the tests that name commands want to see, without their words."""

    def layout(self, name):
        [path] = [
            path
            for path in shim_blockdevice.configurations()
            if path.stem == name
        ]
        return blockdevice.parse(path.read_text(), {})

    def test_gpt_efi(self):
        found = self.layout("gpt_efi")
        self.assertEqual(
            [("ESP", "EF00", 1, 8), ("BSP", "EF02", 2, 8),
             ("Root Part", "8300", 3, 1006)],
            [
                (p.name, p.type, span.number, span.size // MiB)
                for p, span in zip(
                    found.table.partitions,
                    partitioning.spans(found.table, GiB).values(),
                    strict=True,
                )
            ],
        )  # fmt: skip

    def test_mfks_and_mount_order(self):
        found = self.layout("multiple_partitions_graph")
        self.assertEqual(
            [("xfs", "root-uuid-1234", "/"), ("xfs", "var-uuid-1234", "/var"),
             ("vfat", None, "/var/log"), ("swap", "swap-uuid-1234", "none")],
            [(v.type, v.uuid, v.mount_point) for v in found.volumes],
        )  # fmt: skip
        self.assertEqual("VARLOG", found.volumes[2].label)
        self.assertEqual(
            "/|/var|/var/log|none", found.environment["DIB_MOUNTPOINTS"]
        )
