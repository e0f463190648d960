"""What is read from a tree for the manifest."""

from pathlib import Path
import unittest

from dib_service.engine import blockdevice, manifest, output, spec
from tests.unit.engine.test_elements import OnDisk


class OsRelease(OnDisk):
    def test_quotes_are_taken_off(self):
        self.write("usr/lib/os-release", "ID=x\nNAME=\"A 'b'\"\n# no\n\nE=\n")
        self.assertEqual(
            {"ID": "x", "NAME": "A 'b'", "E": ""},
            manifest.os_release(self.place),
        )

    def test_a_symlink_out_of_the_tree_is_not_followed(self):
        (self.place / "etc").mkdir()
        (self.place / "etc/os-release").symlink_to("/etc/os-release")
        self.assertEqual({}, manifest.os_release(self.place))


class Sizes(unittest.TestCase):
    def made(self, name, role, size):
        return output.Artefact(
            format=Path(name).suffix[1:],
            role=role,
            name=name,
            path=Path(name),
            size=1,
            virtual_size=size,
            digests={},
        )

    def test_the_disk_is_the_image_not_one_beside_it(self):
        found = manifest.of(
            spec.BuildSpec(elements=("a",)),
            [],
            blockdevice.parse(blockdevice.BUILT_IN, {}),
            {},
            [
                self.made("image.qcow2", "image", 100),
                self.made("image.tar", "image", 150),
                self.made("image-data.raw", "disk", 200),
            ],
        )
        self.assertEqual(100, found["virtual_size"])
