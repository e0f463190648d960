"""The operator's element for deploy ramdisks: where the agent comes from.

The unmodified elements of ironic-python-agent-builder clone repositories.
This machine may reach no git host, so the agent is its source distribution
and the rest of its Python comes from the index that this host uses itself.
A request could not say so: it would bring code that no element names.
"""

import os
from pathlib import Path
import shlex
import subprocess
import sys
import tarfile

from tests.conformance import peer

AGENT = "ironic-python-agent"

# The agent has sgdisk look at a disk and then asks lsblk what is on it. udev
# reads a disk again that was open for writing, and for as long as that takes a
# partition has no UUID; in an emulated machine that is long enough for the
# agent not to find the EFI system partition that it has made. What was written
# to a partition udev has to see: of one that is made anew the agent would take
# the UUID that was there before, and no machine finds it then.
RULE = """\
ACTION!="remove", SUBSYSTEM=="block", KERNEL=="vd*[!0-9]", OPTIONS:="nowatch"
"""

# The element of an operator, and all that a deploy ramdisk is made of here.
SOURCES = "agent-sources"
ELEMENTS = ("ironic-python-agent-ramdisk", "debian", "pypi", SOURCES)


def builders_elements() -> Path:
    """The elements of ironic-python-agent-builder, as they are."""
    return peer.venv() / "share/ironic-python-agent-builder/dib"


def add_element(directory: Path) -> str:
    """Make the operator's element in the directory; the agent's version."""
    element = directory / SOURCES
    hook = element / f"environment.d/10-{SOURCES}.bash"
    hook.parent.mkdir(parents=True)
    rule = element / "static/etc/udev/rules.d/99-nowatch.rules"
    rule.parent.mkdir(parents=True)
    rule.write_text(RULE)
    (element / "element-deps").write_text("install-static\n")
    version = fetch(element)
    hook.write_text(
        "".join(
            f"export {name}={shlex.quote(value)}\n"
            for name, value in environment(element).items()
        )
    )
    return version


def fetch(target: Path) -> str:
    """Put the sources that the elements ask for there; the agent's version."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet"),
            *("--no-deps", "--no-binary", AGENT, "--dest", target, AGENT),
        ],
        check=True,
    )
    [source] = target.glob("*.tar.gz")
    source.rename(target / "agent.tar.gz")
    # Nothing is held back: the newest of everything is what there is.
    constraints = target / "upper-constraints.txt"
    constraints.touch()
    with tarfile.open(target / "requirements.tar.gz", "w:gz") as tar:
        tar.add(constraints, "requirements/upper-constraints.txt")
    return source.name.removesuffix(".tar.gz").rpartition("-")[2]


def environment(sources: Path) -> dict[str, str]:
    """What the elements are told: where sources and packages come from."""
    found = dict(host_pip())
    for name, archive in (
        ("ironic_python_agent", "agent.tar.gz"),
        ("requirements", "requirements.tar.gz"),
    ):
        found[f"DIB_REPOTYPE_{name}"] = "tar"
        found[f"DIB_REPOREF_{name}"] = "*"
        found[f"DIB_REPOLOCATION_{name}"] = (sources / archive).as_uri()
    return found


def host_pip() -> dict[str, str]:
    """The variables of ``pypi`` that tell pip what this host's is told."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    settings: dict[str, str] = {}
    # The environment's come first, and count more.
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        settings.setdefault(name.rpartition(".")[2], shlex.split(value)[0])
    found = {
        name: os.environ[name]
        for name in ("http_proxy", "https_proxy", "no_proxy")
        if name in os.environ
    }
    if "cert" in settings:
        found["DIB_PIP_CERT"] = settings["cert"]
    indexes = settings.get("index-url", "").split()
    if indexes:
        found["DIB_NO_PYPI_PIP"] = "1"
    indexes += settings.get("extra-index-url", "").split()
    # A directory of this host is none of the image's.
    remote = [each for each in indexes if not each.startswith("file:")]
    for number, each in enumerate(remote):
        found[f"DIB_PYPI_MIRROR_URL_{number}"] = each
    return found
