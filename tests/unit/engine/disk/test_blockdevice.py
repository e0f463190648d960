"""Block device configurations: what is understood, and what is refused."""

from pathlib import Path
import tempfile
import unittest

from dib_service.engine import errors
from dib_service.engine.disk import blockdevice
from dib_service.engine.sizes import GiB, MiB, Size

ELEMENTS = Path(__file__).parents[4] / "elements"

GRAPH = """
- local_loop:
    name: image0
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: BSP, type: 'EF02', size: 8MiB}
      - {name: root, type: '8300', size: 75%}
      - {name: state, size: 25%}
- mkfs: {base: root, type: ext4, name: rootfs}
- mkfs: {base: state, type: ext4, name: state_fs, label: state}
- mount: {base: rootfs, name: mount_root, mount_point: /}
- mount: {base: state_fs, name: mount_state, mount_point: /var/lib}
- fstab: {base: mount_root, name: fstab_root, fsck-passno: 1}
- fstab: {base: mount_state, name: fstab_state, options: 'noatime,nofail'}
"""

MBR = """
- local_loop: {name: image0, size: 4GiB}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: root
        flags: [boot, primary]
        size: 100%
        type: 0x83
        mkfs: {mount: {mount_point: /, fstab: {options: defaults}}}
"""

LOGICAL = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {name: root, flags: [primary], size: 1GiB, mkfs: {
          mount: {mount_point: /}}}
      - {name: data, size: 50%}
      - {name: more, type: '0x82', size: 1MiB}
"""


class Understood(unittest.TestCase):
    def test_without_a_configuration_it_is_one_filesystem(self):
        layout = blockdevice.load([], "amd64", {})
        self.assertEqual("partition", layout.kind)
        self.assertEqual("cloudimg-rootfs", layout.root.label)
        self.assertEqual("ext4", layout.root.type)
        self.assertEqual("image0", layout.root.base)
        self.assertEqual(1, layout.root.fstab.passno)

    def test_the_graph_form(self):
        layout = blockdevice.parse(GRAPH, {})
        self.assertEqual("whole-disk", layout.kind)
        self.assertEqual("gpt", layout.table.label)
        self.assertEqual(
            [("BSP", Size(bytes=8 * MiB), "EF02"),
             ("root", Size(percent=75), "8300"),
             ("state", Size(percent=25), "8300")],
            [(p.name, p.size, p.type) for p in layout.table.partitions],
        )  # fmt: skip
        self.assertEqual(
            [("/", "root"), ("/var/lib", "state")],
            [(v.mount_point, v.base) for v in layout.mounts],
        )
        state = layout.mounts[1]
        self.assertEqual(("noatime,nofail", 2), (
            state.fstab.options, state.fstab.passno
        ))  # fmt: skip

    def test_a_root_of_any_name_has_the_label_machines_look_for(self):
        layout = blockdevice.parse(GRAPH, {})
        self.assertEqual("rootfs", layout.root.name)
        self.assertEqual("cloudimg-rootfs", layout.root.label)

    def test_the_tree_form(self):
        layout = blockdevice.parse(MBR, {})
        self.assertEqual(4 * GiB, layout.size)
        [partition] = layout.table.partitions
        self.assertTrue(partition.bootable)
        self.assertEqual("83", partition.type)
        self.assertEqual("mkfs_root", layout.root.name)

    def test_primary_and_logical(self):
        layout = blockdevice.parse(LOGICAL, {})
        self.assertEqual(
            [("root", False), ("data", True), ("more", True)],
            [(p.name, p.logical) for p in layout.table.partitions],
        )

    def test_several_disks(self):
        layout = blockdevice.parse(
            "- local_loop: {name: data, size: 1GiB, directory: /srv,"
            " mkfs: {type: xfs, mount: {mount_point: /srv}}}\n" + MBR,
            {},
        )
        self.assertEqual(["image0", "data"], [d.name for d in layout.disks])
        self.assertEqual("whole-disk", layout.kind)
        self.assertEqual(4 * GiB, layout.size)
        self.assertEqual(
            [["mkfs_root"], ["mkfs_data"]],
            [[v.name for v in layout.on(d)] for d in layout.disks],
        )

    def test_labels_of_each_kind(self):
        for kind, label in (
            ("ext4", "cloudimg-rootfs"),
            ("btrfs", "cloudimg-rootfs"),
            ("xfs", "img-rootfs"),
        ):
            layout = blockdevice.parse(MBR, {"FS_TYPE": kind})
            self.assertEqual(kind, layout.root.type)
            self.assertEqual(label, layout.root.label)
        layout = blockdevice.parse(
            GRAPH.replace("type: ext4, name: state_fs", "type: fat, name: s")
            .replace("base: state_fs", "base: s"),
            {},
        )  # fmt: skip
        self.assertEqual("vfat", layout.volumes[1].type)
        self.assertEqual("STATE", layout.volumes[1].label)

    def test_options_of_its_own_before_those_of_the_request(self):
        asked = {"MKFS_OPTS": "-i 16384"}
        layout = blockdevice.parse(MBR, asked)
        self.assertEqual(("-i", "16384"), layout.root.options)
        layout = blockdevice.parse(
            MBR.replace("mkfs: {", "mkfs: {opts: '-m 2', "), asked
        )
        self.assertEqual(("-m", "2"), layout.root.options)

    def test_swap_is_mounted_nowhere(self):
        layout = blockdevice.parse(
            GRAPH.replace("type: ext4, name: state_fs", "type: swap, name: s")
            .replace("base: state_fs", "base: s"),
            {},
        )  # fmt: skip
        swap = layout.volumes[1]
        self.assertFalse(swap.mounted)
        self.assertEqual("none", swap.mount_point)
        self.assertEqual(("sw", 0, 0), (
            swap.fstab.options, swap.fstab.dump, swap.fstab.passno
        ))  # fmt: skip
        self.assertEqual("/|none", layout.environment["DIB_MOUNTPOINTS"])

    def test_types_of_partitions(self):
        guid = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
        layout = blockdevice.parse(
            GRAPH.replace("type: '8300'", f"type: {guid}"), {}
        )
        self.assertEqual(guid.upper(), layout.table.partitions[1].type)
        layout = blockdevice.parse(GRAPH.replace("'EF02'", "'0x4100'"), {})
        self.assertEqual("4100", layout.table.partitions[0].type)

    def test_a_type_is_hexadecimal_however_it_is_written(self):
        for written, kind in (("0x83", "83"), ("83", "83"), ("0x0c", "0C")):
            layout = blockdevice.parse(MBR.replace("0x83", written), {})
            self.assertEqual(kind, layout.table.partitions[0].type)
        for written in ("0700", "'0700'", "0x0700"):
            layout = blockdevice.parse(GRAPH.replace("'8300'", written), {})
            self.assertEqual("0700", layout.table.partitions[1].type)

    def test_a_place_has_one_form(self):
        layout = blockdevice.parse(
            GRAPH.replace("mount_point: /var/lib", "mount_point: //boot/./"),
            {},
        )
        self.assertEqual("/boot", layout.mounts[1].mount_point)
        self.assertEqual("state", layout.environment["DIB_BOOT_LABEL"])

    def test_what_hooks_are_told(self):
        told = dict(blockdevice.parse(GRAPH, {}).environment)
        self.assertEqual(
            {
                "DIB_ROOT_LABEL": "cloudimg-rootfs",
                "DIB_ROOT_FSTYPE": "ext4",
                "DIB_BOOT_LABEL": "",
                "DIB_MOUNTPOINTS": "/|/var/lib",
            },
            told,
        )

    def test_what_the_environment_decides(self):
        layout = blockdevice.parse(
            MBR,
            {
                "ROOT_LABEL": "mine",
                "FS_TYPE": "ext3",
                "MKFS_OPTS": "-m 1",
                "DIB_BLOCK_SIZE": "4096",
                "DIB_JOURNAL_SIZE": "32",
                "DIB_IMAGE_EXTRA_SIZE": "100",
                "MAX_ONLINE_RESIZE": "1000",
            },
        )
        self.assertEqual("mine", layout.root.label)
        self.assertEqual("ext3", layout.root.type)
        self.assertEqual(("-m", "1"), layout.root.options)
        self.assertEqual(4096, layout.block_size)
        self.assertEqual(32 * MiB, layout.journal)
        self.assertEqual(100 * MiB, layout.extra)
        self.assertEqual(1000 * 4096, layout.limit)

    def test_what_the_environment_asks_too_much_of(self):
        for name in (
            "DIB_IMAGE_EXTRA_SIZE",
            "DIB_JOURNAL_SIZE",
            "MAX_ONLINE_RESIZE",
        ):
            with self.subTest(name), self.assertRaises(errors.LayoutError):
                blockdevice.parse(MBR, {name: "9" * 17})

    def test_a_journal_that_is_too_small(self):
        with self.assertRaisesRegex(errors.LayoutError, "4 or more"):
            blockdevice.parse(MBR, {"DIB_JOURNAL_SIZE": "3"})

    def test_our_own_elements(self):
        for name, label in (
            ("gpt", "gpt"), ("mbr", "mbr"), ("efi", "gpt"), ("efi-4k", "gpt"),
        ):  # fmt: skip
            layout = blockdevice.load(
                [ELEMENTS / f"block-device-{name}"], "amd64", {}
            )
            self.assertEqual(label, layout.table.label)
            self.assertEqual("cloudimg-rootfs", layout.root.label)
            # Last, so that it can grow.
            self.assertEqual("root", layout.table.partitions[-1].name)


class Chosen(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name)

    def element(self, name, **files):
        directory = self.path / name
        directory.mkdir()
        for suffix, size in files.items():
            (directory / f"block-device-{suffix}.yaml").write_text(
                MBR.replace("4GiB", size)
            )
        return directory

    def size(self, *directories, architecture="amd64", **environment):
        return blockdevice.load(directories, architecture, environment).size

    def test_the_first_element_that_has_one(self):
        found = self.size(
            self.element("none"),
            self.element("first", default="1GiB"),
            self.element("second", default="2GiB", amd64="3GiB"),
        )
        self.assertEqual(1 * GiB, found)

    def test_its_architecture_before_its_default(self):
        both = self.element("both", default="1GiB", arm64="2GiB")
        self.assertEqual(1 * GiB, self.size(both))
        self.assertEqual(2 * GiB, self.size(both, architecture="arm64"))
        power = self.element("power", default="1GiB", ppc64el="3GiB")
        self.assertEqual(3 * GiB, self.size(power, architecture="ppc64le"))

    def test_the_environment_before_elements(self):
        other = self.element("other", default="1GiB")
        self.assertEqual(
            4 * GiB, self.size(other, DIB_BLOCK_DEVICE_CONFIG=MBR)
        )
        given = self.path / "given.yaml"
        given.write_text(MBR.replace("4GiB", "5GiB"))
        self.assertEqual(
            5 * GiB,
            self.size(other, DIB_BLOCK_DEVICE_CONFIG=f"file://{given}"),
        )

    def test_a_file_that_is_not_there(self):
        with self.assertRaisesRegex(errors.LayoutError, "No such file"):
            self.size(DIB_BLOCK_DEVICE_CONFIG=f"file://{self.path}/no.yaml")

    def test_a_file_that_is_something_else_is_not_quoted(self):
        secret = self.path / "secret"
        secret.write_text("root: x: hunter2\n")
        with self.assertRaises(errors.LayoutError) as caught:
            self.size(DIB_BLOCK_DEVICE_CONFIG=f"file://{secret}")
        self.assertNotIn("hunter2", str(caught.exception))


class Refused(unittest.TestCase):
    def refused(self, text, where, environment=None):
        with self.assertRaises(errors.LayoutError) as caught:
            blockdevice.parse(text, environment or {})
        self.assertEqual(where, caught.exception.facts["where"])
        self.assertEqual("caller", caught.exception.turn)
        return str(caught.exception)

    def replaced(self, old, new, where, text=MBR):
        self.assertIn(old, text)
        return self.refused(text.replace(old, new), where)

    def test_what_we_do_not_have(self):
        told = self.refused(
            "- local_loop: {name: image0}\n- lvm: {name: lvm, pvs: []}\n",
            "lvm",
        )
        self.assertIn("device-mapper", told)
        told = self.refused(
            "- local_loop: {name: image0, raid: {level: 1}}\n",
            "local_loop.raid",
        )
        self.assertIn("no such key", told)

    def test_unknown_keys(self):
        self.replaced("label: mbr", "label: mbr\n    colour: red",
                      "partitioning.colour")  # fmt: skip
        self.replaced("size: 100%", "size: 100%\n        sizes: 1",
                      "partitioning.partitions[0].sizes")  # fmt: skip
        partition = "partitioning.partitions[0]"
        self.replaced("mount_point: /", "mount_pint: /",
                      f"{partition}.mkfs.mount.mount_pint")  # fmt: skip

    def test_values_that_mean_nothing(self):
        partition = "partitioning.partitions[0]"
        self.replaced("label: mbr", "label: bsd", "partitioning.label")
        self.replaced("size: 100%", "size: 0%", f"{partition}.size")
        self.replaced("size: 100%", "size: 12XB", f"{partition}.size")
        self.replaced("size: 100%", "size: 1e9", f"{partition}.size")
        self.replaced("size: 100%", "size: -1", f"{partition}.size")
        self.replaced("0x83", "0x1830", f"{partition}.type")
        self.replaced("[boot, primary]", "[active]", f"{partition}.flags")
        self.replaced("mkfs: {", "mkfs: {type: zfs, ",
                      f"{partition}.mkfs.type")  # fmt: skip
        self.replaced("mkfs: {", "mkfs: {label: seventeen-letters, ",
                      f"{partition}.mkfs.label")  # fmt: skip
        self.replaced("mount_point: /,", "mount_point: /a b,",
                      f"{partition}.mkfs.mount.mount_point")  # fmt: skip
        self.replaced("options: defaults", "options: 'a b'",
                      f"{partition}.mkfs.mount.fstab.options")  # fmt: skip
        self.replaced("mount_point: /,", "mount_point: /a/../b,",
                      f"{partition}.mkfs.mount.mount_point")  # fmt: skip

    def test_no_root(self):
        self.replaced("mount_point: /,", "mount_point: /srv,", "mount")

    def test_two_roots(self):
        for point in ("/", "//", "/./"):
            self.replaced("mount_point: /var/lib", f"mount_point: {point}",
                          "mount.mount_point", GRAPH)  # fmt: skip

    def test_a_root_that_cannot_be_one(self):
        where = "partitioning.partitions[0].mkfs"
        for kind in ("vfat", "swap"):
            self.refused(MBR, f"{where}.type", {"FS_TYPE": kind})
        self.refused(
            MBR, f"{where}.label",
            {"FS_TYPE": "xfs", "ROOT_LABEL": "cloudimg-rootfs"},
        )  # fmt: skip

    def test_a_root_elsewhere(self):
        other = "- local_loop: {name: other, mkfs: {type: ext4, label: r}}\n"
        self.assertIn("not on 'image0'", self.refused(
            other.replace("label: r", "label: r, mount: {mount_point: /}")
            + "- local_loop: {name: image0}\n",
            "mount",
        ))  # fmt: skip

    def test_what_fat_does_not_take_for_a_label(self):
        self.replaced("ext4, name: state_fs, label: state",
                      "vfat, name: state_fs, label: a.b",
                      "mkfs.label", GRAPH)  # fmt: skip
        self.replaced("ext4, name: state_fs, label: state",
                      "vfat, name: state_fs, label: twelve-chars",
                      "mkfs.label", GRAPH)  # fmt: skip

    def test_what_no_filesystem_can_grow_to(self):
        pebibyte = 1024**5 // 4096
        self.refused(
            MBR, "MAX_ONLINE_RESIZE", {"MAX_ONLINE_RESIZE": str(pebibyte + 1)}
        )
        layout = blockdevice.parse(
            MBR,
            {"FS_TYPE": "xfs", "MAX_ONLINE_RESIZE": str(pebibyte + 1)},
        )
        self.assertEqual(1024**5 + 4096, layout.limit)

    def test_no_disk_and_disks_of_other_names(self):
        self.refused("- mkfs: {base: image0, type: ext4}\n", "local_loop")
        self.replaced("name: image0", "name: disk", "local_loop")
        self.refused("- local_loop: {size: 1GiB}\n", "local_loop.name")
        self.refused(MBR + "- local_loop: {name: a b}\n", "local_loop.name")
        self.refused(MBR + "- local_loop: {name: ../a}\n", "local_loop.name")
        self.replaced("base: image0", "base: image1", "partitioning.base")
        self.replaced("size: 4GiB", "size: 4%", "local_loop.size")
        self.replaced("size: 4GiB", "size: 3TiB", "local_loop.size")
        self.refused(MBR + "- local_loop: {name: b}\n", "local_loop.size")
        blockdevice.parse(MBR + "- local_loop: {name: b, size: 1M}\n", {})
        self.replaced("size: 4GiB", "block_size: 1024",
                      "local_loop.block_size")  # fmt: skip

    def test_a_base_that_is_not_there(self):
        self.replaced("{base: root,", "{base: rot,", "mkfs.base", GRAPH)
        self.replaced("{base: rootfs,", "{base: rotfs,", "mount.base", GRAPH)
        self.replaced("{base: mount_root,", "{base: mount_rot,",
                      "fstab.base", GRAPH)  # fmt: skip

    def test_names_and_labels_that_are_there_twice(self):
        self.replaced("name: state,", "name: root,",
                      "partitioning.partitions[2].name", GRAPH)  # fmt: skip
        self.replaced("label: state", "label: cloudimg-rootfs",
                      "mkfs.label", GRAPH)  # fmt: skip
        self.replaced("name: mount_root,", "name: rootfs,",
                      "mount.name", GRAPH)  # fmt: skip
        self.replaced("{base: state, type", "{base: root, type",
                      "mkfs.base", GRAPH)  # fmt: skip

    def test_what_builds_on_itself(self):
        # There is no kind of thing that another of its kind can stand on.
        self.replaced("{base: state, type", "{base: state_fs, type",
                      "mkfs.base", GRAPH)  # fmt: skip
        self.replaced("{base: rootfs, name: mount_root",
                      "{base: mount_root, name: mount_root",
                      "mount.base", GRAPH)  # fmt: skip
        self.replaced("base: image0", "base: root",
                      "partitioning.base", GRAPH)  # fmt: skip

    def test_more_partitions_than_an_mbr_has_room_for(self):
        one = "      - {{name: p{}, size: 1MiB, flags: [{}]}}\n"
        primary = "".join(one.format(n, "primary") for n in range(4))
        logical = one.format("l", "")
        first = "      - name: root"
        self.replaced(first, f"{primary}{first}", "partitioning.partitions")
        self.assertIn(
            "three and any number",
            self.refused(
                MBR.replace(first, primary + first).replace(
                    "flags: [boot, primary]", "flags: []"
                ),
                "partitioning.partitions",
            ),
        )
        told = self.replaced(
            first, f"{logical}{first}", "partitioning.partitions"
        )
        self.assertIn("have to come first", told)

    def test_more_than_a_gpt_has_room_for(self):
        many = "".join(
            f"      - {{name: p{n}, size: 1MiB}}\n" for n in range(128)
        )
        first = "      - {name: BSP"
        self.replaced(first, f"{many}{first}",
                      "partitioning.partitions", GRAPH)  # fmt: skip
        self.replaced("name: state,", f"name: {'x' * 37},",
                      "partitioning.partitions[2].name", GRAPH)  # fmt: skip

    def test_a_share_of_nothing(self):
        told = self.replaced("size: 75%", "size: 100%",
                             "partitioning.partitions[2].size",
                             GRAPH)  # fmt: skip
        self.assertIn("100% of what is left", told)

    def test_a_key_that_is_there_twice(self):
        told = self.replaced("label: mbr", "label: mbr\n    label: gpt",
                             "line 6")  # fmt: skip
        self.assertIn("'label' is there twice", told)

    def test_aliases(self):
        bomb = "a: &a [x, x]\nb: &b [*a, *a]\n"
        self.assertIn("aliases", self.refused(bomb, "line 2"))

    def test_depth(self):
        self.refused("[" * 100 + "]" * 100, "top level")

    def test_length(self):
        self.refused("#" * 100_000, "top level")

    def test_objects(self):
        self.refused("- !!python/object/apply:os.system [id]\n", "line 1")

    def test_other_shapes(self):
        for text in (
            "", "x", "{}", "- x", "- {a: 1, b: 2}", "- 1: 2",
            "- local_loop: x", "- [[]]", "? [a]\n: b", "\t",
        ):  # fmt: skip
            with self.subTest(text), self.assertRaises(errors.LayoutError):
                blockdevice.parse(text, {})
