"""Builds that are for what their hooks write, and for no disk image."""

import hashlib
from pathlib import Path

from tests.integration.engine import tiny

MAKES_RAMDISK = """
echo kernel > $IMAGE_NAME.kernel
echo ramdisk > $IMAGE_NAME.initramfs
mkdir $IMAGE_NAME.d; echo list > $IMAGE_NAME.d/list
"""


class NoImage(tiny.TinyBuild):
    def setUp(self):
        super().setUp()
        self.element("no-final-image", {})
        self.element("deploy", {"cleanup.d/99-make": MAKES_RAMDISK})

    def assert_ramdisk(self, built: tiny.Running) -> None:
        self.assertEqual(0, built.code, built.events[-5:])
        made = {each["role"]: each for each in built.of_kind("artefact")}
        self.assertEqual({"kernel", "ramdisk"}, set(made))
        for role, name in (
            ("kernel", "tiny.kernel"),
            ("ramdisk", "tiny.initramfs"),
        ):
            path = Path(made[role]["path"])
            self.assertEqual(self.output / name, path)
            self.assertEqual(f"{role}\n", path.read_text())
            self.assertEqual(
                hashlib.sha512(path.read_bytes()).hexdigest(),
                made[role]["sha512"],
            )
        self.assertTrue((self.output / "tiny.d/list").is_file())
        self.assertEqual([], list(self.output.glob("*.qcow2*")))
        [event] = built.of_kind("manifest")
        self.assertIsNone(event["manifest"]["layout"])
        self.assertEqual(
            ["tiny.d/list", "tiny.initramfs", "tiny.kernel"],
            sorted(each["path"] for each in event["manifest"]["artefacts"]),
        )
        self.assert_nothing_is_left()

    def test_an_element_that_says_so(self):
        self.element("deploy", {"element-deps": "no-final-image\n"})
        self.assert_ramdisk(self.build("deploy", name="tiny"))

    def test_a_ramdisk_that_was_asked_for(self):
        built = self.build("deploy", name="tiny", ramdisk=True)
        self.assert_ramdisk(built)

    def test_hooks_find_the_disk_that_they_would_have(self):
        self.element("deploy", {"finalise.d/20-env": "env"})
        built = self.build("deploy", "no-final-image")
        seen = built.variables("20-env")
        self.assertIn("/dev/loop", seen["IMAGE_BLOCK_DEVICE"])
        self.assertEqual("qcow2", seen["IMAGE_TYPE"])

    def test_a_build_that_leaves_nothing_has_failed(self):
        built = self.build("no-final-image")
        self.assertEqual(1, built.code)
        self.assertEqual("nothing-made", built.fault["code"])
        self.assertEqual("element", built.fault["turn"])
