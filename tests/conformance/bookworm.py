"""A minimal Debian tree, made once from the archive that the host uses."""

import fcntl
import hashlib
from pathlib import Path
import subprocess

from tests.conformance import sides

# What debian-minimal and base put into a tree before any other element, and
# what elements of diskimage-builder take for granted after that.
PACKAGES = (
    "apt-transport-https",
    "busybox",
    "gnupg2",
    "python3",
    "systemd-sysv",
    "sudo",
)


def tree() -> Path:
    """The archive of the tree; made if it is not there or is outdated.

    Like any installed system it knows the packages of its archive, so that
    no build needs to fetch the lists again.
    """
    lines = _sources()
    wanted = hashlib.sha256(
        "\n".join((*lines, *PACKAGES)).encode()
    ).hexdigest()
    place = sides.copy_of_cache(f"bookworm-{wanted[:12]}.tar")
    with (sides.CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _make(place, lines)
    return place


def mirror(suite: str) -> str:
    """The archive that the host's own apt uses for a suite."""
    return next(
        line.split()[1] for line in _sources() if line.split()[2] == suite
    )


def sources() -> str:
    """A sources.list of the host's archives."""
    return "".join(f"{line}\n" for line in _sources())


def _sources() -> list[str]:
    """Lines for sources.list, of what the host's apt knows as bookworm."""
    targets = subprocess.run(
        [
            *("apt-get", "indextargets"),
            *("--format", "$(SITE) $(RELEASE) $(COMPONENT) $(REPO_URI)"),
            "Created-By: Packages",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    found = {}
    for line in targets:
        _, release, component, uri = line.split()
        if release.startswith("bookworm") and component == "main":
            found[release] = f"deb {uri} {release} {component}"
    if "bookworm" not in found:
        raise AssertionError("the host's apt knows no bookworm to build from")
    return [found[release] for release in sorted(found)]


def _make(place: Path, lines: list[str]) -> None:
    unfinished = place.with_suffix(".new")
    subprocess.run(
        [
            *("mmdebstrap", "--variant=minbase", "--quiet"),
            *("--include", ",".join(PACKAGES)),
            # Keep what apt-get update would fetch.
            "--skip=cleanup/apt/lists",
            *("--format=tar", "bookworm", unfinished, "-"),
        ],
        input="\n".join(lines) + "\n",
        check=True,
        text=True,
    )
    unfinished.rename(place)
