"""Salt's minion: its master, and the master's public key."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import Any

from last_mile.client import (
    Machine,
    check_trust,
    host,
    port,
    public_key,
    word,
)

CONFIGURATION = Path("/etc/salt/minion.d/90-last-mile.conf")
MASTER_KEY = Path("/etc/salt/pki/minion/minion_master.pub")

# As "salt-key -F" shows it: SHA-256, in pairs.
FINGERPRINT = re.compile(r"(?:[0-9a-f]{2}:){31}[0-9a-f]{2}")


def configure(section: dict[str, Any], machine: Machine) -> None:
    """Have the minion speak with this master, which has this key.

    :raises Refused: something of it is wrong or missing.
    """
    key = public_key(section, "master_pub")
    fingerprint = word(section, "master_finger", FINGERPRINT)
    blind = check_trust(
        section, key, fingerprint, what="master_pub or master_finger"
    )
    master = host(section, "master")
    settings: dict[str, object] = {
        "master": master,
        "master_port": port(section, "port", 4506),
    }
    identity = word(section, "id")
    if identity:
        settings["id"] = identity
    if fingerprint:
        settings["master_finger"] = fingerprint
    if key:
        machine.write(MASTER_KEY, key)
    elif not blind or json.dumps(master) not in _before():
        # A key that was believed for another master is not for this one.
        machine.remove(MASTER_KEY)
    # JSON is YAML, and nothing in it can be taken for anything else.
    lines = [
        f"{name}: {json.dumps(value)}\n" for name, value in settings.items()
    ]
    text = "# Written by last-mile at every boot.\n" + "".join(lines)
    machine.write(CONFIGURATION, text)


def forget(machine: Machine) -> None:
    """Have no master, and none whose key is known."""
    if configured(machine):
        machine.remove(CONFIGURATION, MASTER_KEY)


def configured(machine: Machine) -> bool:
    """Whether an earlier boot left it with a master."""
    return CONFIGURATION.exists()


def _before() -> str:
    """What the last boot wrote."""
    return CONFIGURATION.read_text() if CONFIGURATION.exists() else ""
