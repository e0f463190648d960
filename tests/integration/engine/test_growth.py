"""How far a root filesystem grows, as root."""

import os

from dib_service.engine.disk import making
from dib_service.engine.sizes import GiB, TiB
from tests.integration.engine import images, nasty
from tests.integration.engine.disks import Disks


class Growth(Disks):
    """How far a root can grow, in sparse files.

    That a mounted ext4 grows is seen in the boot tests: the kernel lets only
    CAP_SYS_RESOURCE do that, which a root in a container need not have.
    """

    def test_a_filesystem_grows_a_hundredfold(self):
        header = self.grown_a_hundredfold()
        # In place: so it is for every group, from the first one on.
        self.assertIn("meta_bg", header)
        self.assertNotIn("resize_inode", header)
        self.assertNotIn("First meta block group", header)

    def test_one_of_the_older_layout_grows_a_hundredfold(self):
        header = self.grown_a_hundredfold(FS_TYPE="ext3")
        # In place: the descriptors that were kept free sufficed.
        self.assertNotIn("meta_bg", header)
        self.assertIn("resize_inode", header)

    def test_the_default_reaches_64_tib(self):
        image = self.made_for_large_files(images.layout())
        self.grown(image, 64 * TiB)
        self.assert_kept(image, 62 * TiB)

    def test_beyond_if_it_was_said_that_it_must(self):
        petabyte = str(1024**5 // 4096)
        image = self.made_for_large_files(
            images.layout(MAX_ONLINE_RESIZE=petabyte)
        )
        self.grown(image, 100 * TiB)
        self.assert_kept(image, 99 * TiB)

    def test_a_mounted_xfs_grows(self):
        image = self.made_for_large_files(images.layout(FS_TYPE="xfs"))
        os.truncate(image, 4 * TiB)
        with self.mounted_again(image) as place:
            images.run("xfs_growfs", place)
        self.assert_kept(image, 3 * TiB)

    def made_for_large_files(self, layout):
        """An image where a file may be larger than ext4 has them."""
        host = self.path / "host"
        with host.open("wb") as file:
            file.truncate(16 * GiB)
        images.run("mkfs.xfs", "-q", host)
        place = self.path / "large"
        place.mkdir()
        images.run("mount", "-o", "loop", host, place)
        self.addCleanup(self.unmounted, place, host)
        (self.tree / "file").write_text("kept")
        with making.laid_out(
            layout,
            tree=self.tree,
            directory=place,
            mount_point=self.path / "mnt",
            size=None,
        ) as target:
            pass
        return target.image

    def unmounted(self, place, host):
        images.run("umount", place)
        images.loops_left(host)

    def grown(self, image, size):
        os.truncate(image, size)
        images.run("e2fsck", "-fp", image)
        images.run("resize2fs", image)

    def assert_kept(self, image, size):
        with self.mounted_again(image) as place:
            status = os.statvfs(place)
            self.assertGreater(status.f_blocks * status.f_frsize, size)
            self.assertEqual("kept", (place / "file").read_text())

    def grown_a_hundredfold(self, **environment):
        nasty.tree(self.tree)
        with self.laid_out(images.layout(**environment)) as target:
            pass
        size = target.image.stat().st_size * 100
        self.grown(target.image, size)
        with self.mounted_again(target.image) as place:
            status = os.statvfs(place)
            self.assertGreater(status.f_blocks * 4096, size * 0.95)
            self.assertEqual(nasty.seen(self.tree), nasty.seen(place))
        return images.run("dumpe2fs", "-h", target.image)
