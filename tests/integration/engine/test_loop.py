"""Loop devices, as root: they end with their holder, however it ends."""

from concurrent import futures
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import unittest

from dib_service.engine import errors, loop
from tests.integration.engine import images

MiB = 1024 * 1024

HOLDER = """
import sys, time
from pathlib import Path
from dib_service.engine import loop
with loop.loop_device(Path(sys.argv[1])) as device:
    print(device.path, flush=True)
    time.sleep(600)
"""

HOLDER_OF_A_MOUNT = """
import sys, time
from pathlib import Path
from dib_service.engine import loop, mounts
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

    def killed(self, *words):
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
