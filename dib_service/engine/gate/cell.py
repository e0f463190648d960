"""Where a test happens: a stranger's machine gets no more than it needs.

A process of its own, started as root, that leaves the host's networks,
processes and files behind and then gives up being root. From there it sees
the system's programs, the files of one product and one directory to write in.
"""

from collections.abc import Mapping

# What is not imported before the root is left cannot be imported any more:
# http.client and socket ask for this one when they are used.
import encodings.idna  # noqa: F401
import os
from pathlib import Path
import resource
import shutil
import signal
import stat
import sys
import traceback
from typing import Never

from dib_service.engine import kernel, sandbox
from dib_service.engine.gate import warden
from dib_service.engine.gate.plan import LARGER, Accelerator, Plan

PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Where alternatives of programs lead, and where libraries are.
SETTINGS = ("alternatives", "ld.so.cache")
NODES = ("null", "zero", "full", "random", "urandom")
KVM = (10, 232)

# The largest file: a disk that has been filled, and what describes it.
LARGEST_FILE = 64 * LARGER

# What argv may say of the accelerator; anything else is to be found out.
KNOWN: Mapping[str, Accelerator] = {"kvm": "kvm", "tcg": "tcg"}

START = "from dib_service.engine.gate import cell; cell.main()"


def main() -> Never:
    """Test the plan in the directory that argv names, and exit."""
    place, known = Path(sys.argv[1]), sys.argv[2]
    plan = Plan.from_json((place / "plan.json").read_text())
    kernel.end_with_parent(signal.SIGKILL)
    kernel.unshare(
        kernel.CLONE_NEWNS
        | kernel.CLONE_NEWUTS
        | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWNET
        | kernel.CLONE_NEWPID
    )
    kernel.loopback_up()
    first = os.fork()
    if first:
        _, status = os.waitpid(first, 0)
        sys.exit(min(abs(os.waitstatus_to_exitcode(status)), 1))
    _be_first(place, plan, KNOWN.get(known))


def _be_first(
    place: Path, plan: Plan, accelerator: Accelerator | None
) -> Never:
    """Be process 1: with it ends whatever was started here."""
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.set_host_name(b"boot-test")
    _furnish(place / "root", place, plan)
    kernel.replace_root(place / "root")
    _give_up(plan.settings.uid)
    child = os.fork()
    if child == 0:
        os._exit(_tested(plan, accelerator))
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(min(abs(os.waitstatus_to_exitcode(status)), 1))


def _tested(plan: Plan, accelerator: Accelerator | None) -> int:
    try:
        return warden.run(plan, accelerator)
    except BaseException:
        traceback.print_exc()
        return 1


def _furnish(root: Path, place: Path, plan: Plan) -> None:
    """Make a root of what a test needs; it can be written to in /scratch."""
    kernel.mount("tmpfs", root, kind="tmpfs", data="size=16m,mode=755")
    for name in PROGRAMS:
        _show_programs(Path("/") / name, root / name)
    _write_settings(root / "etc", plan.settings.uid)
    for name in ("files", "scratch", "proc", "dev"):
        (root / name).mkdir()
    kernel.mount("proc", root / "proc", kind="proc", flags=kernel.MS_NOSUID)
    _make_nodes(root / "dev", plan)
    kernel.bind(place / "files", root / "files", read_only=True)
    for name in (plan.image, plan.kernel, plan.ramdisk):
        if name:
            kernel.bind(
                (place / name).resolve(), root / "files" / name, read_only=True
            )
    kernel.bind(place / "scratch", root / "scratch")
    kernel.mount(
        "tmpfs",
        root,
        flags=kernel.MS_REMOUNT | kernel.MS_RDONLY | kernel.MS_NOSUID,
        data="size=16m,mode=755",
    )


def _show_programs(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        target.mkdir()
        kernel.bind(source, target, read_only=True)


def _write_settings(place: Path, uid: int) -> None:
    place.mkdir()
    # Without a name ssh does not start.
    (place / "passwd").write_text(
        f"boot-test:x:{uid}:{uid}::/scratch:/bin/sh\n"
    )
    (place / "group").write_text(f"boot-test:x:{uid}:\n")
    (place / "nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    for name in SETTINGS:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, place / name, symlinks=True)
        elif source.is_file():
            shutil.copyfile(source, place / name)


def _make_nodes(place: Path, plan: Plan) -> None:
    for name in NODES:
        major, minor, mode = sandbox.NODES[name]
        os.mknod(place / name, stat.S_IFCHR, os.makedev(major, minor))
        (place / name).chmod(mode)
    for name, target in sandbox.LINKS.items():
        if name != "ptmx":
            (place / name).symlink_to(target)
    if plan.settings.kvm:
        node = place / "kvm"
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(*KVM))
        os.chown(node, plan.settings.uid, plan.settings.uid)


def _give_up(uid: int) -> None:
    """Be a user without rights, from now on and for good."""
    os.umask(0o077)
    for limit, size in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
    ):
        resource.setrlimit(limit, (size, size))
    kernel.forgo(range(kernel.last_capability() + 1))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.gain_nothing()
    # The kernel forgot it when we became another.
    kernel.end_with_parent(signal.SIGKILL)
    os.chdir("/scratch")
