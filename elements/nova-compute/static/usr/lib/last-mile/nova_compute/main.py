"""Each service's file is what the cloud says of it now, at every boot.

What is no longer said is gone. A service of which the cloud says nothing has
no file, and so is not started: the journal says what is missing, and the
machine goes on. Where no data source answers at all, the last file stays.
"""

from __future__ import annotations

from collections.abc import Iterator
import grp
import os
from pathlib import Path
from typing import Any

from metadata_reader import data, drive, files, service
from metadata_reader.log import Log
import yaml

from nova_compute import document
from nova_compute.document import SERVICES, Refused, Service

# How long the metadata service may take where there is no config drive.
SECONDS = 60.0
MODE = 0o640
HEAD = "# Written at each boot: what the cloud says of this node.\n"


def main(root: Path = Path("/")) -> int:
    """Write the files below ``root``; 1 if what is said cannot be written."""
    say = Log()
    present = [each for each in SERVICES if (root / each.folder).is_dir()]
    try:
        found = heard(say)
    except data.Unreadable as exc:
        say.error(f"{exc}; what was said last stays")
        return 1
    if found is None:
        for each in present:
            nothing_heard(each, root, say)
        return 0
    told = named(found, say)
    for each in present:
        configure(each, told.get(each.name, {}), root, say)
    return 1 if say.errors else 0


def heard(say: Log) -> data.Metadata | None:
    """What the cloud says of this machine; nothing if nobody answers.

    :raises data.Unreadable: a source is there and no use.
    """
    return data.kept() or drive.read() or service.read(SECONDS, say.note)


def nothing_heard(each: Service, root: Path, say: Log) -> None:
    """Say what becomes of a service without a data source."""
    last = (root / each.file).exists()
    what = "goes on with what was said last" if last else "is not started"
    say.warn(f"no config drive and no metadata service: {each.name} {what}")


def configure(each: Service, said: Any, root: Path, say: Log) -> None:
    """Write the service's file; without what it needs there is none."""
    file = root / each.file
    try:
        sections = document.sections(each, said)
    except Refused as exc:
        files.remove(file)
        say.error(f"{each.name} is not started: {exc}")
        return
    missing = each.missing(sections)
    if missing:
        files.remove(file)
        say.warn(
            f"{each.name} is not started: nobody says {', '.join(missing)}; "
            f"the object {each.name} of vendor data or user data would"
        )
        return
    group = grp.getgrnam(each.group).gr_gid
    files.write(
        file,
        HEAD + document.rendered(sections),
        mode=MODE,
        owner=(os.geteuid(), group),
    )
    say.note(f"{each.name}: configured by the cloud")


def named(found: data.Metadata, say: Log) -> dict[str, Any]:
    """What stands under each service's name.

    The last layer that has a name is the one that counts for it.
    """
    told: dict[str, Any] = {}
    for layer in layers(found, say):
        for each in SERVICES:
            if each.name in layer:
                told[each.name] = layer[each.name]
    return told


def layers(found: data.Metadata, say: Log) -> Iterator[dict[str, Any]]:
    """From what holds for all of a cloud to what its user says of this one."""
    for name, why in found.broken.items():
        say.error(f"{name} {why}")
    yield found.document("vendor_data.json")
    dynamic = found.document("vendor_data2.json")
    # Each of Nova's targets has an object of its own there.
    yield from (each for each in dynamic.values() if isinstance(each, dict))
    yield dynamic
    try:
        # As cloud-init's are; JSON is YAML, too.
        user = yaml.safe_load(found.user_data)
    except yaml.YAMLError:
        # A script, or mail with several parts.
        return
    if isinstance(user, dict):
        yield user
