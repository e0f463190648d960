"""What a build can leave behind, and how it is cleared away.

Everything here works below one directory that is the builder's own, and
touches nothing else on the host.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import time

from oslo_log import log

LOG = log.getLogger(__name__)

# <linux/loop.h>
LOOP_CLR_FD = 0x4C01

ENDING_SECONDS = 5.0
POLL_SECONDS = 0.02


def clear(directory: pathlib.Path) -> bool:
    """End, unmount, detach and delete all below directory; True if so.

    What is still mounted is not deleted.
    """
    directory = directory.resolve()
    if not directory.exists():
        return True
    end_processes(directory)
    unmount(directory)
    detach_loops(directory)
    if left := list(mounts(directory)):
        LOG.error("%s stays: still mounted: %s", directory, left)
        return False
    return _delete(directory)


def _delete(directory: pathlib.Path) -> bool:
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            shutil.rmtree(directory)
            return True
        except FileNotFoundError:
            # The engine's own cleaner may be at it too.
            if not directory.exists():
                return True
        except OSError:
            LOG.exception("%s could not be deleted", directory)
            return False
        if time.monotonic() > deadline:
            LOG.error("%s is still being written to", directory)
            return False


def end_processes(directory: pathlib.Path) -> None:
    """Kill what has its root or working directory below directory."""
    deadline = time.monotonic() + ENDING_SECONDS
    while found := list(processes(directory)):
        for pid in found:
            LOG.warning("ending process %d left below %s", pid, directory)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            LOG.error("processes %s do not end", found)
            return
        time.sleep(POLL_SECONDS)


def processes(directory: pathlib.Path) -> Iterator[int]:
    """The processes whose root or working directory is below directory."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # Gone meanwhile, or a zombie, which has neither.
        with contextlib.suppress(OSError):
            places = (entry / "root").readlink(), (entry / "cwd").readlink()
            if any(place.is_relative_to(directory) for place in places):
                yield int(entry.name)


def unmount(directory: pathlib.Path) -> None:
    """Unmount what is mounted below directory, last mounted first."""
    libc = ctypes.CDLL(None, use_errno=True)
    for target in reversed(list(mounts(directory))):
        LOG.warning("unmounting %s", target)
        if libc.umount2(os.fsencode(target), 0) != 0:
            LOG.error(
                "%s is not unmounted: %s",
                target,
                os.strerror(ctypes.get_errno()),
            )


def mounts(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where something is mounted below directory, in order of mounting."""
    table = pathlib.Path("/proc/self/mountinfo").read_bytes()
    for line in table.splitlines():
        # Blanks and the like are written as \040.
        target = line.split()[4].decode("unicode_escape").encode("latin-1")
        path = pathlib.Path(os.fsdecode(target))
        if path.is_relative_to(directory):
            yield path


def detach_loops(directory: pathlib.Path) -> None:
    """Detach the loop devices whose file is, or was, below directory."""
    for device in loops(directory):
        LOG.warning("detaching %s", device)
        try:
            descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            LOG.error("%s stays: %s", device, exc)
            continue
        try:
            fcntl.ioctl(descriptor, LOOP_CLR_FD)
        except OSError as exc:
            LOG.error("%s stays: %s", device, exc)
        finally:
            os.close(descriptor)


def loops(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """The loop devices whose file is, or was, below directory."""
    for entry in pathlib.Path("/sys/block").glob("loop*"):
        with contextlib.suppress(OSError):
            backing = (entry / "loop/backing_file").read_text()
            path = backing.rstrip("\n").removesuffix(" (deleted)")
            if pathlib.Path(path).is_relative_to(directory):
                yield pathlib.Path("/dev") / entry.name
