"""Makes of a tree a file that holds it: tar, squashfs and their kin.

An archive holds what the image holds, without what belongs to the host or
to a filesystem: no content of /proc and /sys, no lost+found.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
import shutil

from dib_service.engine import kernel, process
from dib_service.engine.output.options import Options

# Full of the kernel's files on a running machine, whatever lies below.
KERNELS = ("proc", "sys")

# mksquashfs says so of each file; the kernel's squashfs knows no ACLs.
NO_ACL = "Unrecognised xattr prefix system.posix_acl"

# gzip's own default: the last percent would take as long again.
LEVEL = "-6"


def write(
    wanted: str,
    root: Path,
    path: Path,
    options: Options,
    warn: Callable[[str], None],
) -> None:
    """Make path of the tree in root, with all that is mounted in it.

    :raises errors.CommandError: a program failed.
    """
    if wanted == "squashfs":
        _squashfs(root, path, options, warn)
    elif wanted == "aci":
        _aci(root, path, options, warn)
    elif wanted == "tgz":
        _tar(root, path, "-I", f"{_gzip(options)} -n {LEVEL}")
    else:
        _tar(root, path)


def import_to_docker(path: Path, options: Options) -> None:
    """Let the docker that this host speaks to have a tar.

    :raises errors.CommandError: it did not take it.
    """
    process.run(["docker", "import", path, options.docker_target])


def _tar(root: Path, path: Path, *options: str) -> None:
    """The whole tree, every entry's name beginning with "./"."""
    process.run(
        [
            *("tar", "--create", "--file", path, "--directory", root),
            # By number: names are this host's, numbers the tree's. In one
            # order, and without the times and process ids of this reading:
            # equal bytes of equal trees.
            *("--numeric-owner", "--sort=name", "--format=posix"),
            "--pax-option=exthdr.name=%d/PaxHeaders/%f,"
            "delete=atime,delete=ctime",
            *("--xattrs", "--xattrs-include=*", "--acls"),
            *("--anchored", "--wildcards-match-slash"),
            *(f"--exclude=./{name}/*" for name in KERNELS),
            *(f"--exclude=./{name}" for name in _lost_and_found(root)),
            *options,
            ".",
        ]
    )


def _lost_and_found(root: Path) -> Iterator[str]:
    """Where the filesystems at and below root keep what fsck finds."""
    for _, point in kernel.mount_points():
        if point.is_relative_to(root):
            yield str(point.relative_to(root) / "lost+found")


def _gzip(options: Options) -> str:
    found = shutil.which("pigz", path=process.BASE_ENV["PATH"])
    return options.gzip or ("pigz" if found else "gzip")


def _aci(
    root: Path, path: Path, options: Options, warn: Callable[[str], None]
) -> None:
    # S: the targets of symbolic links stay as they are.
    _tar(root, path, "--transform=s,^[.],rootfs,S")
    if options.aci_manifest is None:
        warn("an aci without a manifest runs nowhere: set ACI_MANIFEST")
        return
    process.run(
        [
            *("tar", "--append", "--file", path, "--format=posix"),
            *("--owner=0", "--group=0", "--numeric-owner", "--mode=0644"),
            "--transform=s,.*,manifest,",
            *("--directory", options.aci_manifest.absolute().parent),
            options.aci_manifest.name,
        ]
    )


def _squashfs(
    root: Path, path: Path, options: Options, warn: Callable[[str], None]
) -> None:
    made_at = options.epoch
    if made_at is None:
        made_at = int(root.stat().st_mtime)
    said: list[str] = []
    process.run(
        [
            *("mksquashfs", root, path, "-comp", "xz", "-noappend"),
            *("-no-recovery", "-no-progress", "-quiet"),
            *("-mkfs-time", str(made_at)),
            # The last option: all that follows is left out.
            *("-wildcards", "-e"),
            *(f"{name}/*" for name in KERNELS),
            *_lost_and_found(root),
        ],
        on_stderr=said.append,
    )
    without = sum(line.startswith(NO_ACL) for line in said)
    if without:
        warn(
            f"squashfs holds no access control lists: {without} are not in "
            f"{path.name}, and their files' group bits are the lists' masks"
        )
