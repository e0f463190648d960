"""A place for one disk, which has to be left as it was found."""

import contextlib
from pathlib import Path
import tempfile
import unittest

from dib_service.engine.disk import loop, making
from tests.integration.engine import images


class Disks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        images.keep_mounts_private()

    def setUp(self):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()
        self.tree = self.path / "built"
        self.tree.mkdir()
        self.addCleanup(self.assert_nothing_left)

    def assert_nothing_left(self):
        self.assertEqual([], images.mounts_below(self.path))
        self.assertEqual([], images.loops_left(self.path))

    def laid_out(self, layout, size=None):
        return making.laid_out(
            layout,
            tree=self.tree,
            directory=self.path,
            mount_point=self.path / "mnt",
            size=size,
        )

    @contextlib.contextmanager
    def mounted_again(self, image, offset=0):
        place = self.path / "again"
        place.mkdir(exist_ok=True)
        with loop.loop_device(image, offset=offset) as device:
            images.run("mount", device.path, place)
            try:
                yield place
            finally:
                images.run("umount", place)
