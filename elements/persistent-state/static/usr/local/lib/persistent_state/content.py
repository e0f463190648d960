"""Move what is registered to the state, and files back from it."""

import contextlib
import filecmp
import os
import pathlib
import shutil
import stat

from persistent_state import owners
from persistent_state.faults import Fault, run

# What stands in the state's filesystem, beside whatever else its owner has.
TOP = "persistent-state"
DIRECTORIES, FILES = "directories", "files"
NEW = ".new"


class Content:
    """What is kept, below ``state``, of the system below ``root``."""

    def __init__(self, state: pathlib.Path, root: pathlib.Path) -> None:
        self.top = state / TOP
        self.root = root

    def prepare(self) -> None:
        """Make the places for what is kept.

        :raises OSError: the filesystem is full, or does not work.
        """
        for folder in (self.top, self.top / DIRECTORIES, self.top / FILES):
            folder.mkdir(mode=0o700, exist_ok=True)

    def bind(self, path: str) -> None:
        """Have a directory in the state, as the image has it at first.

        :raises OSError: there is no room for it.
        :raises Fault: it cannot be mounted.
        """
        here = self._here(path)
        here.mkdir(parents=True, exist_ok=True)
        if not here.is_dir():
            raise Fault("registered", f"{path} is no directory")
        kept = self._kept(DIRECTORIES, path)
        if not kept.exists():
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whole or not at all.
            new = kept.with_name(kept.name + NEW)
            shutil.rmtree(new, ignore_errors=True)
            try:
                copy_tree(here, new)
                # Its new name may be on the disk before what is in it.
                run("sync", "--file-system", str(new))
            except (OSError, Fault):
                shutil.rmtree(new, ignore_errors=True)
                raise
            new.rename(kept)
        run("mount", "--bind", str(kept), str(here))

    def restore(self, pattern: str) -> list[str]:
        """Put files back; their names."""
        below = self.top / FILES
        names = [
            f"/{file.relative_to(below)}"
            for file in sorted(below.glob(pattern.lstrip("/")))
            # Half of one, if power was lost.
            if not file.name.endswith(NEW)
        ]
        for name in names:
            here = self._here(name)
            here.parent.mkdir(parents=True, exist_ok=True)
            copy_file(self._kept(FILES, name), here)
        return names

    def save(self, pattern: str) -> list[str]:
        """Keep the files that there are; the names of those that changed.

        None is ever taken away: what is gone here may come back.
        """
        changed = []
        for source in sorted(self.root.glob(pattern.lstrip("/"))):
            name = f"/{source.relative_to(self.root)}"
            kept = self._kept(FILES, name)
            if source.is_symlink() or not source.is_file():
                continue
            if name.endswith(NEW) or same(source, kept):
                continue
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_file(source, kept)
            changed.append(name)
        return changed

    def own_again(self) -> None:
        """Give what is kept to the numbers that its owners have now.

        Another image may number its users in another order.

        :raises OSError: something cannot be given; it is tried again at the
            next boot.
        """
        owners.own_again(self.top, self.root)

    def _here(self, path: str) -> pathlib.Path:
        # A symlink to a directory is followed: its target is moved.
        return pathlib.Path(os.path.realpath(self.root / path.lstrip("/")))

    def _kept(self, kind: str, path: str) -> pathlib.Path:
        return self.top / kind / path.lstrip("/")


def copy_tree(source: pathlib.Path, target: pathlib.Path) -> None:
    """A copy with owners, modes, times, hard links and all attributes."""
    run("cp", "--archive", "--one-file-system", str(source), str(target))
    # cp leaves out what it thinks that security modules will set by
    # themselves, and they do not on a filesystem that they have not seen.
    for path in owners.walk(source):
        attributes(path, target / path.relative_to(source))


def copy_file(source: pathlib.Path, target: pathlib.Path) -> None:
    """A copy with owner, mode and all attributes, whole or not at all."""
    new = target.with_name(target.name + NEW)
    try:
        # Nobody else may read it before it has its own mode.
        with os.fdopen(
            os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb"
        ) as file:
            file.write(source.read_bytes())
            told = source.stat()
            os.fchown(file.fileno(), told.st_uid, told.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(told.st_mode))
            attributes(source, new)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def attributes(source: pathlib.Path, target: pathlib.Path) -> None:
    """Have the extended attributes of source, SELinux's label among them."""
    for name in os.listxattr(source, follow_symlinks=False):
        value = os.getxattr(source, name, follow_symlinks=False)
        with contextlib.suppress(OSError):
            os.setxattr(target, name, value, follow_symlinks=False)


def same(one: pathlib.Path, other: pathlib.Path) -> bool:
    """They are alike in content, owner and mode."""
    try:
        left, right = one.stat(), other.stat()
    except FileNotFoundError:
        return False
    return (left.st_mode, left.st_uid, left.st_gid) == (
        right.st_mode,
        right.st_uid,
        right.st_gid,
    ) and filecmp.cmp(one, other, shallow=False)
