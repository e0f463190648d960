"""What the tests of disks share: layouts, small trees, what is left over."""

from pathlib import Path
import subprocess

from dib_service.engine import blockdevice

ELEMENTS = Path(__file__).parents[3] / "elements"


def layout(kind=None, **environment):
    """The built-in layout, or that of ``block-device-KIND``."""
    directories = [ELEMENTS / f"block-device-{kind}"] if kind else []
    return blockdevice.load(directories, "amd64", environment)


def loops_over(path):
    """The loop devices that stand for a file, as the kernel has them."""
    held = []
    for device in Path("/sys/block").glob("loop*"):
        try:
            backing = (device / "loop/backing_file").read_text()
        except FileNotFoundError:
            continue
        if backing.removesuffix("\n").startswith(str(path)):
            held.append(device.name)
    return sorted(held)


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
