"""ansible-pull: the repository, and the keys that prove it is that one."""

from __future__ import annotations

import json
from pathlib import Path
import re
import shutil
import subprocess
from typing import Any

from last_mile.client import (
    Machine,
    Refused,
    certificates,
    check_trust,
    flag,
    word,
)
from metadata_reader.data import shown

PLACE = Path("/etc/ansible-pull")
SETTINGS = PLACE / "settings.json"
KNOWN_HOSTS = PLACE / "known_hosts"
AUTHORITY = PLACE / "ca.pem"
DEPLOY_KEY = PLACE / "deploy_key"
# Whose signatures count; it is made anew at every boot.
KEYRING = PLACE / "gnupg"

# No other transport: git would run a program for "ext::".
URL = re.compile(
    r"(?P<scheme>https?|ssh|git)://[A-Za-z0-9@._~:\[\]-]+/[A-Za-z0-9._~/+%-]*"
    r"|(?P<user>[A-Za-z0-9._-]+@)[A-Za-z0-9.-]+:[A-Za-z0-9._~/+-]+"
)
REVISION = re.compile(r"(?!-)[A-Za-z0-9._/+-]{1,200}")
PLAYBOOK = re.compile(r"(?![-/])(?!.*\.\.)[A-Za-z0-9._/-]{1,200}\.ya?ml")
HOST_LINE = re.compile(
    r"[^\s#][^\s]* (?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: .*)?"
)
ARMOUR = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\s[\x20-\x7e\s]+"
    r"-----END PGP PUBLIC KEY BLOCK-----\s*"
)
PRIVATE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s[\x20-\x7e\s]+"
    r"-----END [A-Z ]*PRIVATE KEY-----\s*"
)


def configure(section: dict[str, Any], machine: Machine) -> None:
    """Have it pull from this repository, if it can be told from another.

    :raises Refused: something of it is wrong or missing.
    """
    url = word(section, "url", URL)
    if not url:
        raise Refused("it has no url")
    over_ssh = url.startswith("ssh://") or "://" not in url
    hosts = _known_hosts(section)
    authority = certificates(section, "ca_certificate")
    signer = word(section, "signing_key", ARMOUR)
    deploy_key = word(section, "deploy_key", PRIVATE)
    if not flag(section, "trust_on_first_use") or not over_ssh:
        check_trust(
            {},
            signer,
            hosts and over_ssh,
            # The system's authorities vouch for the name.
            url.startswith("https://"),
            what="signing_key, or known_hosts with ssh, or https",
        )
    forget(machine)
    for path, text in (
        (KNOWN_HOSTS, hosts),
        (AUTHORITY, authority),
        (DEPLOY_KEY, deploy_key and deploy_key.strip() + "\n"),
    ):
        if text:
            machine.write(path, text, mode=0o600)
    if signer:
        _believe(signer)
    settings = {
        "url": url,
        "checkout": word(section, "checkout", REVISION),
        "playbook": word(section, "playbook", PLAYBOOK, "local.yml"),
    }
    machine.write(SETTINGS, json.dumps(settings), mode=0o600)


def forget(machine: Machine) -> None:
    """Have no repository and believe no key."""
    machine.remove(SETTINGS, KNOWN_HOSTS, AUTHORITY, DEPLOY_KEY, KEYRING)


def configured(machine: Machine) -> bool:
    """Whether an earlier boot left it with a repository."""
    return SETTINGS.exists()


def command() -> tuple[list[str], dict[str, str]]:
    """What pulls and runs the playbook: its words and its environment."""
    settings = json.loads(SETTINGS.read_text())
    words = [
        *("ansible-pull", "--url", settings["url"]),
        *("--directory", "/var/lib/ansible-pull/checkout"),
        *("--inventory", "localhost,", "--connection", "local"),
    ]
    if settings["checkout"]:
        words += ["--checkout", settings["checkout"]]
    environment = {
        "HOME": "/root",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
        "GIT_SSH_COMMAND": _ssh(),
    }
    if AUTHORITY.exists():
        environment["GIT_SSL_CAINFO"] = str(AUTHORITY)
    if KEYRING.exists():
        words.append("--verify-commit")
        environment["GNUPGHOME"] = str(KEYRING)
    return [*words, settings["playbook"]], environment


def _ssh() -> str:
    words = ["ssh", "-oBatchMode=yes", "-oIdentitiesOnly=yes"]
    if KNOWN_HOSTS.exists():
        words += [
            f"-oUserKnownHostsFile={KNOWN_HOSTS}",
            "-oGlobalKnownHostsFile=/dev/null",
            "-oStrictHostKeyChecking=yes",
        ]
    else:
        # Only with trust_on_first_use, or where commits are signed.
        words += [
            "-oUserKnownHostsFile=/var/lib/ansible-pull/known_hosts",
            "-oStrictHostKeyChecking=accept-new",
        ]
    if DEPLOY_KEY.exists():
        words.append(f"-i{DEPLOY_KEY}")
    return " ".join(words)


def _known_hosts(section: dict[str, Any]) -> str | None:
    value = section.get("known_hosts")
    if value is None:
        return None
    lines = value.splitlines() if isinstance(value, str) else []
    lines = [line for line in lines if line.strip()]
    if not lines or not all(HOST_LINE.fullmatch(line) for line in lines):
        raise Refused("known_hosts is not what ssh-keyscan prints")
    return "".join(f"{line}\n" for line in lines)


def _believe(signer: str) -> None:
    """A keyring with this key alone, which is trusted."""
    shutil.rmtree(KEYRING, ignore_errors=True)
    KEYRING.mkdir(mode=0o700, parents=True)
    done = subprocess.run(
        ["gpg", "--homedir", KEYRING, "--batch", "--quiet", "--import"],
        input=signer,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        shutil.rmtree(KEYRING)
        raise Refused(f"signing_key: {shown(done.stderr)}")
