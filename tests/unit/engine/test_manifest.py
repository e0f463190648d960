"""What is read from a tree for the manifest."""

from dib_service.engine import manifest
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
