"""Puppet's agent: its server, and the certificate of the authority there."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

from last_mile.client import (
    Machine,
    certificates,
    check_trust,
    host,
    port,
    word,
)

# A distribution's packages, or Puppet's own.
OWN = Path("/opt/puppetlabs")
CONFIGURATION = Path("/etc/puppet"), Path("/etc/puppetlabs/puppet")
SSL = Path("/var/lib/puppet/ssl"), Path("/etc/puppetlabs/puppet/ssl")

CERTNAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,252}")
ENVIRONMENT = re.compile(r"[a-z0-9_]{1,64}")
# The agent is no other user than root; its files may be.
USER = "puppet"


def configure(section: dict[str, Any], machine: Machine) -> None:
    """Have the agent speak with this server and believe this authority.

    :raises Refused: something of it is wrong or missing.
    """
    server = host(section, "server")
    number = port(section, "port", 8140)
    authority = certificates(section, "ca_certificate")
    check_trust(section, authority, what="ca_certificate")
    lines = [
        "# Written by last-mile at every boot.",
        "[main]",
        f"ssldir = {_ssl()}",
        "",
        "[agent]",
        f"server = {server}",
        f"serverport = {number}",
    ]
    for key, rule in (("certname", CERTNAME), ("environment", ENVIRONMENT)):
        found = word(section, key, rule)
        if found:
            lines.append(f"{key} = {found}")
    if authority:
        _believe(authority, machine)
    text = "".join(f"{line}\n" for line in lines)
    machine.write(_configuration(), text)


def forget(machine: Machine) -> None:
    """Have no server, and believe no authority that came from one."""
    machine.remove(_configuration(), _authority())


def configured(machine: Machine) -> bool:
    """Whether an earlier boot left it with a server."""
    return _configuration().exists()


def _believe(authority: str, machine: Machine) -> None:
    """Have this certificate in place before the agent asks for any.

    What another authority signed is no use with this one; the machine's own
    key stays, and a new certificate is asked for.
    """
    path = _authority()
    before = path.read_text() if path.exists() else ""
    if before != authority:
        # It may have been forgotten in a boot between the two.
        machine.say.note("puppet: the authority is a new one")
        others = [each for each in path.parent.glob("*.pem") if each != path]
        machine.remove(_ssl() / "crl.pem", *others)
    machine.write(path, authority, user=USER)


def _configuration() -> Path:
    return CONFIGURATION[OWN.exists()] / "puppet.conf"


def _ssl() -> Path:
    return SSL[OWN.exists()]


def _authority() -> Path:
    return _ssl() / "certs/ca.pem"
