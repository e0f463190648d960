"""The default user, who may use sudo, and whose keys are the metadata's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import grp
import os
from pathlib import Path
import pwd
import re
import stat
import subprocess
from typing import Any

from metadata_reader import files
from metadata_reader.data import shown

from metadata_init.settings import Settings

SUDOERS = Path("/etc/sudoers.d/90-metadata-init")

# Somebody's keys are few, and each is one line.
MOST_KEYS = 256
LONGEST_KEY = 16 * 1024
TYPE = re.compile(
    r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9-]+(?:@openssh\.com)?"
)
BODY = re.compile(r"[A-Za-z0-9+/]{16,}={0,3}")


class Malformed(Exception):
    """The keys are not told in a way that can be understood."""


def ensure(settings: Settings) -> pwd.struct_passwd:
    """The default user, made as cloud-init makes it if it is not there."""
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam(settings.user)
        _allow(settings.user)
        return found
    known = {group.gr_name for group in grp.getgrall()}
    for name in settings.groups:
        if name not in known:
            _run("groupadd", "--system", name)
    words = ["useradd", "--create-home", "--shell", "/bin/bash"]
    # A group of its name may be there without it.
    if settings.user in known:
        words += ["--gid", settings.user]
    if settings.groups:
        words += ["--groups", ",".join(settings.groups)]
    if settings.comment:
        words += ["--comment", settings.comment]
    # Without a password there is no login by one.
    _run(*words, "--", settings.user)
    _allow(settings.user)
    return pwd.getpwnam(settings.user)


def keys(meta_data: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The public keys that the metadata names, and what is wrong with some.

    :raises Malformed: nobody can say what it names.
    """
    named = meta_data.get("public_keys")
    if named is None:
        named = {}
    if isinstance(named, dict):
        named = list(named.values())
    if not isinstance(named, list) or len(named) > MOST_KEYS:
        raise Malformed("public_keys is not an object of keys by their names")
    found, problems = [], []
    for each in named:
        if not isinstance(each, str):
            problems.append("a public key is no text: left out")
            continue
        for line in each.split("\n"):
            line = line.strip()
            if not line:
                continue
            if not is_key(line):
                problems.append(
                    f"{shown(repr(line), 60)} is no public key: left out"
                )
            elif line not in found:
                found.append(line)
    return found[:MOST_KEYS], problems


def is_key(line: str) -> bool:
    """Whether sshd would take it for a key with what stands before it."""
    if not line.isprintable() or len(line) > LONGEST_KEY:
        return False
    words = line.split()
    return any(
        TYPE.fullmatch(kind) and BODY.fullmatch(body)
        for kind, body in zip(words, words[1:])  # noqa: B905, RUF007
    )


def authorize(
    user: pwd.struct_passwd, wanted: list[str], given: list[str]
) -> list[str]:
    """Let these keys in, and those not any more that were given before.

    What somebody else put there stays. Returns those that are there because
    of us.
    """
    with _acting_as(user):
        folder = Path(user.pw_dir, ".ssh")
        path = folder / "authorized_keys"
        there = _lines(path)
        others = [line for line in there if line not in given]
        ours = [line for line in wanted if line not in others]
        lines = [*others, *ours]
        if lines == there:
            return ours
        folder.mkdir(mode=0o700, exist_ok=True)
        text = "".join(f"{line}\n" for line in lines)
        files.write(
            path,
            # As they were read: a person's comment may be in any encoding.
            text.encode(errors="surrogateescape"),
            mode=0o600,
            owner=(user.pw_uid, user.pw_gid),
        )
        return ours


def _lines(path: Path) -> list[str]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    with os.fdopen(handle, errors="surrogateescape") as file:
        # No boot waits for the other end of a pipe.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is no plain file")
        return file.read().splitlines()


@contextlib.contextmanager
def _acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """With the user's rights alone, for as long as the block runs.

    The directory is the user's, who may have put a symlink there.
    """
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    umask = os.umask(0o077)
    os.setgroups([])
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
        os.umask(umask)


def _allow(name: str) -> None:
    if SUDOERS.parent.is_dir():
        files.write(SUDOERS, f"{name} ALL=(ALL) NOPASSWD:ALL\n", mode=0o440)


def _run(*words: str) -> None:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")
