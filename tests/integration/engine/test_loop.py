"""Loop devices, as root: they end with their holder, however it ends."""

from concurrent import futures
import contextlib
import errno
import os
from pathlib import Path
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from dib_service.engine import errors
from dib_service.engine.disk import loop
from dib_service.engine.sizes import Span
from tests.integration.engine import images

MiB = 1024 * 1024

HOLDER = """
import sys, time
from pathlib import Path
from dib_service.engine.disk import loop
with loop.loop_device(Path(sys.argv[1])) as device:
    print(device.path, flush=True)
    time.sleep(600)
"""

HOLDER_OF_A_PARTITION = """
import subprocess, sys, time
from pathlib import Path
from dib_service.engine import mounts
from dib_service.engine.disk import loop
from dib_service.engine.sizes import MiB, Span
file = Path(sys.argv[1])
with loop.loop_device(file) as disk:
    with loop.partitions(disk, file, {"p": Span(MiB, 4 * MiB)}) as parts:
        subprocess.run(["mke2fs", "-q", "-F", parts["p"].path], check=True)
        with mounts.mounted(parts["p"].path, Path(sys.argv[2])):
            print(disk.path, flush=True)
            time.sleep(600)
"""

HOLDER_OF_A_MOUNT = """
import sys, time
from pathlib import Path
from dib_service.engine import mounts
from dib_service.engine.disk import loop
with loop.loop_device(Path(sys.argv[1])) as device:
    with mounts.mounted(device.path, Path(sys.argv[2])):
        print(device.path, flush=True)
        time.sleep(600)
"""


class Loops(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()
        self.file = self.path / "disk"
        with self.file.open("wb") as file:
            file.truncate(8 * MiB)

    def test_it_is_a_part_of_the_file(self):
        with loop.loop_device(self.file, offset=MiB, size=2 * MiB) as device:
            self.assertEqual(2 * MiB, os.lseek(device.fd, 0, os.SEEK_END))
            os.pwrite(device.fd, b"here", 4096)
            device.flush()
            written = self.file.read_bytes()
        self.assertEqual(b"here", written[MiB + 4096 :][:4])
        self.assertEqual(8 * MiB, len(written))
        self.assertEqual([], images.loops_over(self.path))

    def test_larger_sectors(self):
        with loop.loop_device(self.file, block_size=4096) as device:
            name = device.path.name
            queue = Path(f"/sys/block/{name}/queue/logical_block_size")
            self.assertEqual("4096", queue.read_text().strip())

    def test_it_ends_when_the_block_raises(self):
        with self.assertRaises(KeyError), loop.loop_device(self.file):
            self.assertEqual(1, len(images.loops_over(self.path)))
            raise KeyError
        self.assertEqual([], images.loops_over(self.path))

    def test_more_than_there_are_nodes_for(self):
        before = len(list(Path("/dev").glob("loop[0-9]*")))
        with contextlib.ExitStack() as stack:
            held = {
                stack.enter_context(loop.loop_device(self.file)).path
                for _ in range(before + 2)
            }
            self.assertEqual(before + 2, len(held))
        self.assertEqual([], images.loops_over(self.path))

    def test_many_at_once(self):
        def hold(_):
            with loop.loop_device(self.file) as device:
                return device.path

        with futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(64, len(list(pool.map(hold, range(64)))))
        self.assertEqual([], images.loops_over(self.path))

    def test_what_cannot_be_looped(self):
        empty = self.path / "fifo"
        os.mkfifo(empty)
        writer = os.open(empty, os.O_RDWR)
        self.addCleanup(os.close, writer)
        with (
            self.assertRaisesRegex(errors.LoopError, "fifo"),
            loop.loop_device(empty),
        ):
            pass

    def test_partitions_of_the_disk(self):
        spans = {"a": Span(MiB, MiB), "b": Span(3 * MiB, 2 * MiB, 5)}
        with (
            loop.loop_device(self.file) as disk,
            loop.partitions(disk, self.file, spans) as parts,
        ):
            name = disk.path.name
            self.assertEqual(Path(f"/dev/{name}p1"), parts["a"].path)
            self.assertEqual(Path(f"/dev/{name}p5"), parts["b"].path)
            start = Path(f"/sys/block/{name}/{name}p5/start").read_text()
            self.assertEqual(3 * MiB // 512, int(start))
            os.pwrite(parts["b"].fd, b"here", 4096)
            parts["b"].flush()
            self.assertEqual(2, len(list(Path("/dev").glob(f"{name}p*"))))
        self.assertEqual([], list(Path("/dev").glob(f"{name}p*")))
        self.assertEqual([], images.loops_over(self.path))
        self.assertEqual(b"here", self.file.read_bytes()[3 * MiB + 4096 :][:4])

    def test_partitions_that_the_kernel_found_already(self):
        images.run(
            "sfdisk", self.file, input="label: dos\n2048, 1MiB\n4096, 1MiB\n"
        )
        spans = {"a": Span(MiB, MiB), "b": Span(2 * MiB, MiB, 2)}
        with loop.loop_device(self.file) as disk:
            # As after a table was read: they are there before us.
            for span in spans.values():
                loop._tell(disk, loop.BLKPG_ADD_PARTITION, span)
            # Somebody looks at one, which can then not be replaced.
            with (
                Path(f"{disk.path}p2").open("rb"),
                loop.partitions(disk, self.file, spans) as parts,
            ):
                self.assertEqual(f"{disk.path.name}p2", parts["b"].path.name)
            # Those of another table are no longer there.
            other = Span(4 * MiB, MiB)
            loop._tell(disk, loop.BLKPG_ADD_PARTITION, other)
            with loop.partitions(disk, self.file, spans) as parts:
                name = f"{disk.path.name}p1"
                start = Path(f"/sys/block/{disk.path.name}/{name}/start")
                self.assertEqual(name, parts["a"].path.name)
                self.assertEqual(MiB // 512, int(start.read_text()))

    def test_a_node_of_another_device_is_replaced(self):
        with loop.loop_device(self.file) as disk:
            stale = Path(f"/dev/{disk.path.name}p7")
            os.mknod(stale, 0o600 | stat.S_IFBLK, os.makedev(7, 0))
            self.addCleanup(stale.unlink, missing_ok=True)
            spans = {"a": Span(MiB, MiB, 7)}
            with loop.partitions(disk, self.file, spans) as parts:
                self.assertEqual(MiB, os.lseek(parts["a"].fd, 0, os.SEEK_END))

    def test_a_kernel_that_makes_no_partition(self):
        refused = OSError(errno.EINVAL, "no such thing")
        spans = {"a": Span(MiB, MiB), "b": Span(3 * MiB, 2 * MiB, 2)}
        with (
            loop.loop_device(self.file) as disk,
            mock.patch.object(loop, "_tell", side_effect=refused),
            loop.partitions(disk, self.file, spans) as parts,
        ):
            self.assertEqual(3, len(images.loops_over(self.path)))
            self.assertEqual(2 * MiB, os.lseek(parts["b"].fd, 0, os.SEEK_END))
            os.pwrite(parts["b"].fd, b"here", 4096)
            parts["b"].flush()
        self.assertEqual([], images.loops_over(self.path))
        self.assertEqual(b"here", self.file.read_bytes()[3 * MiB + 4096 :][:4])

    def test_killed_with_a_partition_mounted_it_leaves_none(self):
        device = self.killed(
            *("unshare", "--mount", "--propagation", "private", "--"),
            *(sys.executable, "-c", HOLDER_OF_A_PARTITION),
        )
        self.assertEqual([], images.loops_over(self.path))
        # Others on this machine have partitions of their own devices.
        self.assertEqual([], list(Path("/sys/block", device).glob("loop*p*")))

    def killed(self, *words):
        """The name of the device that a killed program had."""
        child = subprocess.Popen(
            [*words, self.file, self.path / "mnt"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        device = Path(child.stdout.readline().strip())
        self.assertEqual([device.name], images.loops_over(self.path))
        child.send_signal(signal.SIGKILL)
        child.wait()
        return device.name

    def test_killed_it_leaves_none(self):
        self.killed(sys.executable, "-c", HOLDER)
        self.assertEqual([], images.loops_over(self.path))

    def test_killed_with_a_mount_in_its_namespace_it_leaves_none(self):
        images.run("mke2fs", "-q", "-F", self.file)
        self.killed(
            *("unshare", "--mount", "--propagation", "private", "--"),
            *(sys.executable, "-c", HOLDER_OF_A_MOUNT),
        )
        self.assertEqual([], images.loops_over(self.path))
        images.run("e2fsck", "-fp", self.file)
