"""Two trees, compared: every path, and all that a filesystem knows of it."""

from collections.abc import Iterator, Mapping
import dataclasses
import hashlib
import os
from pathlib import Path
import stat

KINDS = {
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "fifo",
    stat.S_IFLNK: "symlink",
    stat.S_IFREG: "file",
    stat.S_IFSOCK: "socket",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one path of a tree is; times are not compared.

    ``content`` is a digest, a symlink's target or a device's number.
    ``linked`` are the other names of a file.
    """

    kind: str
    mode: str
    owner: tuple[int, int]
    linked: tuple[str, ...]
    attributes: Mapping[str, bytes]
    content: str


def read(root: Path) -> dict[str, Entry]:
    """Every entry of a tree, by its absolute path in it."""
    paths = sorted(_walk(root))
    status = {path: path.lstat() for path in paths}
    names: dict[int, list[str]] = {}
    for path, found in status.items():
        if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
            names.setdefault(found.st_ino, []).append(_inside(root, path))
    return {
        _inside(root, path): Entry(
            kind=KINDS[stat.S_IFMT(found.st_mode)],
            mode=oct(stat.S_IMODE(found.st_mode)),
            owner=(found.st_uid, found.st_gid),
            linked=tuple(names.get(found.st_ino, ())),
            attributes={
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
            },
            content=_content(path, found),
        )
        for path, found in status.items()
    }


def compare(theirs: Path, ours: Path) -> dict[str, str]:
    """How each path differs that does: "only theirs", "mode 0o644 …"."""
    left, right = read(theirs), read(ours)
    found = {}
    for path in sorted({*left, *right}):
        if path not in right:
            found[path] = "only theirs"
        elif path not in left:
            found[path] = "only ours"
        elif left[path] != right[path]:
            found[path] = _difference(left[path], right[path])
    return found


def _difference(left: Entry, right: Entry) -> str:
    parts = []
    for field in dataclasses.fields(Entry):
        before, after = (getattr(each, field.name) for each in (left, right))
        if before != after and field.name == "content":
            # Digests say nothing to a reader.
            short = left.kind == "symlink"
            parts.append(f"content {before}, {after}" if short else "content")
        elif before != after:
            parts.append(f"{field.name} {before}, {after}")
    return "; ".join(parts)


def _walk(root: Path) -> Iterator[Path]:
    yield root
    for place, directories, files in os.walk(root):
        for name in (*directories, *files):
            yield Path(place, name)


def _inside(root: Path, path: Path) -> str:
    return f"/{path.relative_to(root)}" if path != root else "/"


def _content(path: Path, found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        # A Path would tidy what it says.
        return os.readlink(path)  # noqa: PTH115
    if stat.S_ISREG(found.st_mode):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return ""
