"""Move what is registered to the state, and files back from it."""

from __future__ import annotations

from collections.abc import Collection
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
# Those of the directories that are no mere way to one of them.
WHOLE = "directories.list"
# As many as the kernel follows.
MOST_LINKS = 40
# What lies in a service's folder may be a link by now.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


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
        top = pathlib.Path(os.path.realpath(self.top))
        if os.path.realpath(kept) != str(top / kept.relative_to(self.top)):
            raise Fault("registered", f"a link in the state leads to {path}")
        whole = self._whole()
        if path not in whole:
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whole or not at all.
            new = kept.with_name(kept.name + NEW)
            shutil.rmtree(new, ignore_errors=True)
            try:
                self._copied(path, here, new)
                if kept.exists():
                    # A directory in it was registered, in a former image.
                    inner = {self._kept(DIRECTORIES, each) for each in whole}
                    fill(kept, new, but=inner)
                else:
                    new.rename(kept)
            finally:
                shutil.rmtree(new, ignore_errors=True)
            with (self.top / WHOLE).open("a") as file:
                file.write(f"{path}\n")
                file.flush()
                os.fsync(file.fileno())
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

    def _copied(
        self, path: str, here: pathlib.Path, new: pathlib.Path
    ) -> None:
        """The image's directory, and what of its files has been kept."""
        copy_tree(here, new)
        below = self._kept(FILES, path)
        for file in owners.walk(below) if below.is_dir() else ():
            if file.is_file() and not file.name.endswith(NEW):
                target = new / file.relative_to(below)
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_file(file, target)
        # Its new name may be on the disk before what is in it.
        run("sync", "--file-system", str(new))

    def _whole(self) -> set[str]:
        """The directories that have been copied, each to its end."""
        try:
            return set((self.top / WHOLE).read_text().splitlines())
        except FileNotFoundError:
            return set()

    def _here(self, path: str) -> pathlib.Path:
        # A symlink to a directory is followed: its target is moved.
        return followed(self.root / path.lstrip("/"))

    def _kept(self, kind: str, path: str) -> pathlib.Path:
        return self.top / kind / path.lstrip("/")


def followed(path: pathlib.Path) -> pathlib.Path:
    """Where a path leads, by links that root has made.

    Who owns a folder could have a link there lead to any other: to what root
    alone may write, as we do.

    :raises Fault: there is somebody else's link on the way.
    """
    for _ in range(MOST_LINKS):
        on_the_way = (*reversed(path.parents), path)
        link = next((each for each in on_the_way if each.is_symlink()), None)
        if link is None:
            return pathlib.Path(os.path.normpath(path))
        if os.lstat(link).st_uid not in (0, os.geteuid()):
            raise Fault("registered", f"{link} is a link, and not root's")
        path = link.parent / link.readlink() / path.relative_to(link)
    raise Fault("registered", f"{path} leads to no end of links")


def copy_tree(source: pathlib.Path, target: pathlib.Path) -> None:
    """A copy with owners, modes, times, hard links and all attributes."""
    run("cp", "--archive", "--one-file-system", str(source), str(target))
    # cp leaves out what it thinks that security modules will set by
    # themselves, and they do not on a filesystem that they have not seen.
    for path in owners.walk(source):
        attributes(path, target / path.relative_to(source))


def fill(
    kept: pathlib.Path, new: pathlib.Path, *, but: Collection[pathlib.Path]
) -> None:
    """Have all of new in kept that is not there; what is there stays.

    The directories in ``but`` stay as they are in any case.
    """
    if kept in but:
        return
    for entry in sorted(new.iterdir()):
        target = kept / entry.name
        if not os.path.lexists(target):
            entry.rename(target)
        elif _is_folder(entry) and _is_folder(target):
            fill(target, entry, but=but)
    told = new.stat()
    os.chown(kept, told.st_uid, told.st_gid)
    kept.chmod(stat.S_IMODE(told.st_mode))
    attributes(new, kept)


def _is_folder(path: pathlib.Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def copy_file(source: pathlib.Path, target: pathlib.Path) -> None:
    """A copy with owner, mode and all attributes, whole or not at all."""
    new = target.with_name(target.name + NEW)
    # Half of one, or a link of who owns the folder.
    new.unlink(missing_ok=True)
    try:
        # Nobody else may read it before it has its own mode.
        with (
            os.fdopen(os.open(source, READ), "rb") as kept,
            os.fdopen(os.open(new, CREATE, 0o600), "wb") as file,
        ):
            told = os.fstat(kept.fileno())
            shutil.copyfileobj(kept, file)
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
