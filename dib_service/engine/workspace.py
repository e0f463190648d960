"""A directory that is gone afterwards, whoever is killed meanwhile."""

from collections.abc import Callable, Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import select
import shutil
import signal
import tempfile

from dib_service.engine import errors, kernel

PREFIX = "dib-engine-"


def build_place(workspace: Path) -> Path:
    """The contract's TMP_BUILD_DIR in a workspace.

    Elements (source-repositories) take what follows its last dot for a word
    that no other build has.
    """
    return workspace / f"dib_build.{workspace.name}"


class Workspace:
    """A directory of our own, and the process that outlives us to clean it.

    Being locked is what keeps another engine from reclaiming it.
    """

    def __init__(
        self, path: Path, lock: int, also: Callable[[], None]
    ) -> None:
        self.path = path
        self._lock = lock
        self._pipe, self._janitor = _start_janitor(path, lock, also)

    def depends_on(self, pid: int) -> None:
        """Let the janitor wait for pid, should it have to clean."""
        os.write(self._pipe, b"%d\n" % pid)

    def end(self) -> None:
        """Remove the directory.

        :raises errors.MountError: something is mounted in it.
        """
        remove(self.path)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, b"done\n")
        os.close(self._pipe)
        os.close(self._lock)
        os.waitpid(self._janitor, 0)


@contextlib.contextmanager
def workspace(
    parent: Path, *, also: Callable[[], None]
) -> Iterator[Workspace]:
    """A new directory in parent; what dead engines left there goes first.

    ``also`` is done, besides removing it, if we are killed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    parent = parent.resolve()
    with _locked(parent):
        stale = _abandoned(parent)
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = _lock(path)
    for other, descriptor in stale:
        with contextlib.suppress(errors.MountError):
            remove(other)
        os.close(descriptor)
    made = Workspace(path, lock, also)
    try:
        yield made
    finally:
        made.end()


def remove(path: Path) -> None:
    """Delete a tree, unless something is still mounted in it.

    :raises errors.MountError: something is.
    """
    for _, point in kernel.mount_points():
        if point.is_relative_to(path):
            raise errors.MountError(
                f"{point} is still mounted", path=str(point)
            )
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        # A hook may have made files that not even root may delete.
        for place, _, names in os.walk(path):
            for each in (Path(place), *(Path(place, name) for name in names)):
                if not each.is_symlink() and kernel.is_immutable(each):
                    kernel.make_mutable(each)
        shutil.rmtree(path)


def _abandoned(parent: Path) -> list[tuple[Path, int]]:
    """The workspaces whose engines are dead, and now our locks on them."""
    found = []
    for path in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found.append((path, _lock(path, fcntl.LOCK_NB)))
    return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, flags: int = 0) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _start_janitor(
    path: Path, lock: int, also: Callable[[], None]
) -> tuple[int, int]:
    """A process that cleans up if we cannot; the pipe that it listens to."""
    ears, mouth = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ears)
        return mouth, pid
    try:
        _keep_only(ears, lock)
        _clean_up_after(path, ears, also)
    finally:
        os._exit(0)


def _keep_only(ears: int, lock: int) -> None:
    """Be nobody's child: what ends our parent must not end us."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Somebody waits for the end of our parent's output.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    kept = sorted((ears, lock))
    os.closerange(3, kept[0])
    os.closerange(kept[0] + 1, kept[1])
    os.closerange(kept[1] + 1, os.sysconf("SC_OPEN_MAX"))


def _clean_up_after(path: Path, ears: int, also: Callable[[], None]) -> None:
    with os.fdopen(ears) as lines:
        told = lines.read().split()
    if "done" in told:
        return
    for pid in told:
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(int(pid))
            select.select([descriptor], [], [])
    also()
    remove(path)
