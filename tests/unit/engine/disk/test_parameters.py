"""The files that tell hooks about the disk."""

import json
from pathlib import Path

import yaml

from dib_service.engine.disk import blockdevice, parameters
from tests.unit.engine.test_elements import OnDisk

PLACES = {
    "TMP_IMAGE_DIR": "/w/image",
    "TMP_MOUNT_PATH": "/w/build/mnt",
    "TMP_BUILD_DIR": "/w/build",
}


class Parameters(OnDisk):
    def written(self, **more):
        layout = blockdevice.parse(blockdevice.BUILT_IN, {})
        environment = {**PLACES, **layout.environment}
        self.directory = self.place / "block-device"
        environment |= more.pop("environment", {})
        given = parameters.write(
            self.directory, layout, environment=environment, **more
        )
        [(name, path)] = given.items()
        self.assertEqual("DIB_BLOCK_DEVICE_PARAMS_YAML", name)
        return yaml.safe_load(Path(path).read_text())

    def values(self):
        return json.loads((self.directory / "values.json").read_text())

    def test_before_there_is_a_disk(self):
        written = self.written()
        self.assertEqual(
            {
                "config": str(self.directory / "config.yaml"),
                "image-dir": "/w/image",
                "root-fs-type": "ext4",
                "root-label": "cloudimg-rootfs",
                "mount-base": "/w/build/mnt",
                "build-dir": "/w/build",
            },
            written,
        )
        config = Path(written["config"]).read_text()
        self.assertEqual(blockdevice.BUILT_IN, config)
        self.assertEqual(
            {
                "root-label": "cloudimg-rootfs",
                "root-fstype": "ext4",
                "boot-label": "",
                "mount-points": "/",
            },
            self.values(),
        )

    def test_when_there_is(self):
        self.written()
        written = self.written(
            environment={"IMAGE_BLOCK_DEVICE": "/dev/loop7"},
            size=64 * 1024,
            image=Path("/w/image/image0.raw"),
        )
        self.assertEqual("64KiB", written["image-size"])
        self.assertEqual("/dev/loop7", self.values()["image-block-device"])
        self.assertEqual("/w/image/image0.raw", self.values()["image-path"])
