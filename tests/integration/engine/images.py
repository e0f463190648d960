"""What the tests of disks share: layouts, small trees, what is left over."""

from pathlib import Path
import subprocess
import time

from dib_service.engine import kernel, mounts
from dib_service.engine.disk import blockdevice, making

ELEMENTS = Path(__file__).parents[3] / "elements"


def layout(kind=None, **environment):
    """The built-in layout, or that of ``block-device-KIND``."""
    directories = [ELEMENTS / f"block-device-{kind}"] if kind else []
    return blockdevice.load(directories, "amd64", environment)


def keep_mounts_private():
    """Let no other build on this machine take a copy of our mounts along.

    What is mounted in a namespace that was copied from ours stays mounted
    there when we have unmounted it, until that build has put it away.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)


def loops_over(path):
    """The loop devices that stand for a file, as the kernel has them."""
    held = []
    for device in Path("/sys/block").glob("loop*"):
        try:
            backing = (device / "loop/backing_file").read_text()
        except OSError:
            # It has no file, or lost it just now.
            continue
        if backing.removesuffix("\n").startswith(str(path)):
            held.append(device.name)
    return sorted(held)


def loops_left(path):
    """Those that are still there when others had time to let them go."""
    give_up = time.monotonic() + 10
    while loops_over(path) and time.monotonic() < give_up:
        time.sleep(0.05)
    return loops_over(path)


def mounts_below(path):
    """The mount points of this process at or below a path."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines]
    return [point for point in points if point.startswith(str(path))]


def run(*words, **options):
    """What a program wrote; its complaints, if it failed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        **options,
    )
    if done.returncode:
        raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def bootable_tree(tree):
    """A tree that boots as far as grub's menu; its /usr is the host's."""
    for name in ("boot", "dev", "etc", "proc", "sys", "usr", "var/tmp"):
        (tree / name).mkdir(parents=True)
    (tree / "tmp").mkdir(mode=0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        (tree / name).symlink_to(f"usr/{name}")
    run("cp", "-a", "/etc/alternatives", "/etc/grub.d", tree / "etc")
    (tree / "boot/vmlinuz-6.1").write_bytes(b"kernel")
    (tree / "boot/initrd.img-6.1").write_bytes(b"initramfs")
    (tree / "etc/machine-id").write_text("uninitialized\n")
    (tree / "etc/ssh").mkdir()
    (tree / "etc/ssh/sshd_config").touch()
    (tree / "var/lib/dbus").mkdir(parents=True)
    (tree / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")


def boot_loader_installed(target, kind, **environment):
    """Run the bootloader element's hook where the engine runs it."""
    hook = ELEMENTS / "bootloader/finalise.d/50-bootloader"
    inside = target.root / "tmp/hook"
    inside.write_bytes(hook.read_bytes())
    inside.chmod(0o755)
    with (
        mounts.mounted("/usr", target.root / "usr", "--bind", "-o", "ro"),
        mounts.prepared(target.root),
    ):
        said = run(
            *("chroot", target.root, "/tmp/hook"),
            env={
                "PATH": "/usr/sbin:/usr/bin",
                "ARCH": "amd64",
                # The element's name, but for the size of its sectors.
                "DIB_BLOCK_DEVICE": kind.removesuffix("-4k"),
                **layout(kind or None).environment,
                **target.environment,
                **environment,
            },
        )
    inside.unlink()
    return said


def bootable(kind, path):
    """A raw image with a boot loader, made in the directory ``path``."""
    tree = path / "built"
    bootable_tree(tree)
    with making.laid_out(
        layout(kind),
        tree=tree,
        directory=path,
        mount_point=path / "mnt",
        size=None,
    ) as target:
        if kind:
            boot_loader_installed(target, kind)
    return target.image
