"""A control group for one build, where the host lets us have one.

The PID namespace already ends whatever a build started; the group lets an
operator see and limit it, and ends it a second time.
"""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import time

PREFIX = "dib-engine-"


class Group:
    """A group that may not exist; then nothing happens."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def join(self) -> None:
        """Put this process into it."""
        if self.path:
            with contextlib.suppress(OSError):
                (self.path / "cgroup.procs").write_text("0")

    def end(self) -> None:
        """Kill whoever is in it, and remove it."""
        if not self.path:
            return
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")
        for _ in range(100):
            if _removed(self.path):
                return
            time.sleep(0.01)


@contextlib.contextmanager
def group() -> Iterator[Group]:
    """A group below our own; those that dead engines left go first."""
    made = Group(_make())
    try:
        yield made
    finally:
        made.end()


def _make() -> Path | None:
    own = _own()
    if own is None:
        return None
    for left in own.glob(f"{PREFIX}*"):
        # Refused as long as somebody is in it.
        _removed(left)
    path = own / f"{PREFIX}{os.getpid()}"
    try:
        path.mkdir()
    except OSError:
        return None
    return path


def _own() -> Path | None:
    """Our group in the unified hierarchy, if there is one."""
    root = None
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            root = Path(before.split()[4])
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if root and line.startswith("0::/"):
            return root / line.removeprefix("0::/")
    return None


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
