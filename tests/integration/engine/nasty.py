"""A tree with all that a copy of it may lose, and what can be seen of one."""

import hashlib
import os
from pathlib import Path
import stat

from tests.integration.engine import images

MiB = 1024 * 1024

# In nanoseconds: what a filesystem keeps of a time, and what archives do.
EXACT, SECOND = 1, 10**9

# A name that is no UTF-8, as filesystems of the last century have them.
LATIN = "caf\udce9"


def tree(path: Path) -> None:
    """Make it in path."""
    for name in ("dev", "etc", "proc", "root", "sys", "tmp", "usr/bin"):
        (path / name).mkdir(parents=True)
    (path / "tmp").chmod(0o1777)
    (path / "root").chmod(0o700)
    (path / "etc/fstab").touch()
    (path / ".autorelabel").touch()
    (path / ".hidden").mkdir()
    (path / ".hidden/..file").write_text("dots\n")
    _names(path / "etc")
    _owners(path / "usr/bin")
    _attributes(path / "etc")
    sparse = path / "root/sparse"
    with sparse.open("wb") as file:
        file.seek(8 * MiB)
        file.write(b"in the middle")
        file.truncate(24 * MiB)
    os.mknod(path / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(path / "dev/disk", stat.S_IFBLK | 0o640, os.makedev(7, 200))
    os.chown(path / "dev/disk", 0, 6)
    os.mkfifo(path / "dev/initctl", 0o600)
    for name in ("etc/old", "usr"):
        os.utime(path / name, ns=(SECOND, 10**18 + 123))
    path.chmod(0o711)
    os.chown(path, 7, 8)
    os.utime(path, ns=(SECOND, 10**18 + 5))


def _names(place: Path) -> None:
    (place / LATIN).write_text("latin\n")
    (place / "new\nline").touch()
    (place / " spaces and 'quotes' \\").touch()
    (place / "-f").touch()
    (place / "old").touch()
    (place / "sys").mkdir()
    (place / "sys/proc").write_text("only the one at the top is the kernel's")
    long = place / ("d" * 255) / ("e" * 255)
    long.mkdir(parents=True)
    (long / ("f" * 255)).write_text("far down\n")
    (place / "long-link").symlink_to("../" + "x/" * 150 + "end")
    (place / "dangling").symlink_to("./rootfs/./nowhere")
    (place / "one").write_text("two names\n")
    os.link(place / "one", place / "two")
    os.link(place / "dangling", place / "dangling-2", follow_symlinks=False)


def _owners(place: Path) -> None:
    for name, mode in (("su", 0o4755), ("wall", 0o2755), ("none", 0o000)):
        (place / name).write_text(name)
        (place / name).chmod(mode)
    (place / "large-owner").touch()
    os.chown(place / "large-owner", 3_000_000_000, 65_536)
    (place / "owned-link").symlink_to("su")
    os.chown(place / "owned-link", 1234, 4321, follow_symlinks=False)


def _attributes(place: Path) -> None:
    ping = place / "ping"
    ping.write_text("ping")
    ping.chmod(0o755)
    images.run("setcap", "cap_net_raw+ep", ping)
    os.setxattr(ping, "user.note", b"\0binary\xff\n=")
    os.setxattr(place, "trusted.overlay.opaque", b"y")
    shared = place / "shared"
    shared.mkdir()
    images.run("setfacl", "-m", "u:1234:rw,g:77:r", ping)
    images.run("setfacl", "-d", "-m", "u:1234:rwx", shared)


def seen(root: Path, tick: int = EXACT) -> dict[str, dict]:
    """What is at each path of a tree, its root included.

    A filesystem's own lost+found does not count, nor what is less than a
    tick of a time.
    """
    found, groups = {}, {}
    for path in (root, *root.rglob("*")):
        relative = str(path.relative_to(root))
        if relative == "lost+found":
            continue
        found[relative] = _of(path, tick)
        status = path.lstat()
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            groups.setdefault(status.st_ino, []).append(relative)
    for names in groups.values():
        for name in names:
            found[name]["names"] = sorted(names)
    return found


def _of(path: Path, tick: int) -> dict:
    status = path.lstat()
    facts = {
        "mode": oct(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
        "mtime": status.st_mtime_ns // tick,
        "attributes": {
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
            # XFS shows an ACL by its own name, too.
            if not name.startswith("trusted.SGI_ACL")
        },
    }
    if stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
        facts["content"] = (len(content), hashlib.sha256(content).hexdigest())
    elif stat.S_ISLNK(status.st_mode):
        facts["target"] = str(path.readlink())
    elif stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        facts["device"] = status.st_rdev
    return facts
