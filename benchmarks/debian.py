"""What a small Debian costs: packages, a kernel, an initramfs, a qcow2.

As root, in a checkout: ``python3 -m benchmarks.debian``. Each builds with
its own element of the name debian-minimal, from the mirror that this host's
apt has, unless DIB_DISTRIBUTION_MIRROR is set. A first round fills the caches
of both; it counts as the others do.
"""

import os
import subprocess
import sys

from benchmarks import side_by_side

RELEASE = "bookworm"


def main() -> int:
    """Measure; JSON on stdout."""
    build = side_by_side.Build(
        name="debian",
        words=("-n", "-t", "qcow2", "debian-minimal"),
        environment={
            "DIB_RELEASE": RELEASE,
            **mirrors(),
            **{k: v for k, v in os.environ.items() if k.startswith("DIB_")},
        },
    )
    return side_by_side.main(build, rounds=3)


def mirrors() -> dict[str, str]:
    """Where this host's apt gets the release from."""
    targets = subprocess.run(
        [
            *("apt-get", "indextargets", "Created-By: Packages"),
            *("--format", "$(CODENAME) $(REPO_URI)"),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    # Some archives have no codename.
    rows = (line.split() for line in targets.splitlines())
    found = {row[0]: row[1] for row in rows if len(row) == 2}
    return {
        variable: found[name]
        for name, variable in (
            (RELEASE, "DIB_DISTRIBUTION_MIRROR"),
            (f"{RELEASE}-security", "DIB_DEBIAN_SECURITY_MIRROR"),
        )
        if name in found
    }


if __name__ == "__main__":
    sys.exit(main())
