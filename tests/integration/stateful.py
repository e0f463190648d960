"""Images of a machine with a database and host keys that outlive them.

One Debian tree is built once, and each image is made of it: DIB_TEST_STATEFUL
may name an archive of a tree that is there already.
"""

import atexit
from collections.abc import Callable, Sequence
import functools
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile

CHECKOUT = Path(__file__).resolve().parents[2]
# No build sees what is below the host's own temporary directories.
CACHE = Path("~/.cache/dib-service").expanduser()
TREE = ("debian", "vm", "grub2", "stateful")
HOST_KEY = "cat /etc/ssh/ssh_host_ed25519_key.pub"
VERSION = "cat /etc/image-version"
DATABASE = "/var/lib/postgresql"

# A quarter of the size, and as good as the other here.
KERNEL = {"DIB_DEBIAN_KERNEL": "linux-image-cloud-amd64"}


@functools.cache
def tree() -> Path:
    """An archive of the tree that the images are made of."""
    given = os.environ.get("DIB_TEST_STATEFUL")
    if given:
        return Path(given)
    return _place() / build("tree", "tar", TREE, **KERNEL)


@functools.cache
def image(
    version: str, elements: tuple[str, ...], *, form: str, **knobs: str
) -> Path:
    """An image that says that it is of this version."""
    name = f"stateful-{version}"
    words = ("debian-tree", *elements, "stateful")
    knobs = {
        **knobs,
        "DIB_TEST_TREE": str(tree()),
        "DIB_TEST_VERSION": version,
    }
    return _place() / build(name, form, words, skip_base=True, **knobs)


def build(
    name: str,
    form: str,
    elements: Sequence[str],
    *,
    skip_base: bool = False,
    **knobs: str,
) -> str:
    """The name of the file that the engine makes of the elements.

    :raises AssertionError: it fails.
    """
    place = _place()
    spec = place / f"{name}.json"
    spec.write_text(
        json.dumps(
            {
                "version": 1,
                "name": name,
                "elements": list(elements),
                "formats": [form],
                "skip_base": skip_base,
                "environment": knobs,
            }
        )
    )
    shelf = (CHECKOUT / "elements", CHECKOUT / "tests/elements")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dib_service.engine", "build", spec),
            *("--output-dir", place, "--workspace", place / f"{name}.work"),
            *("--element-path", ":".join(map(str, shelf))),
            *(
                "--cache-dir",
                Path("~/.cache/image-create").expanduser(),
            ),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise AssertionError(done.stdout[-4000:])
    return f"{name}.{form}"


def write_state(run: Callable[[str], str]) -> str:
    """Have a machine keep something; its host key."""
    made = "create table kept as select 7 as number"
    run(f"sudo -u postgres psql -qc '{made}'")
    run("sudo sync")
    return run(HOST_KEY)


def kept(run: Callable[[str], str]) -> str:
    """What a machine has of that."""
    asked = "select number from kept"
    return run(f"sudo -u postgres psql -qAtc '{asked}'").strip()


@functools.cache
def _place() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    holder = tempfile.TemporaryDirectory(prefix="stateful-", dir=CACHE)
    # More than one module of tests asks for what is in there.
    atexit.register(holder.cleanup)
    return Path(holder.name)
