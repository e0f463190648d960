"""What an image says of itself: read from its tree, and never guessed.

Only what the tree's own files say stands here; of what they do not say, or
not in a way that can be trusted, there is nothing. The files were written by
strangers' hooks.
"""

from collections.abc import Iterator, Mapping, Sequence
import json
from pathlib import Path
import re
import shlex
from typing import Any

import yaml

from dib_service.engine.tree import inside

# What libosinfo and Glance call a distribution, where os-release's ID says
# it otherwise. Glance lists synonyms that must not be used ("redhat",
# "archlinux", "suse" …): see its useful image properties.
DISTRIBUTIONS: Mapping[str, str] = {
    "alpine": "alpinelinux",
    "archarm": "arch",
    "archlinux": "arch",
    "opensuse-leap": "opensuse",
    "opensuse-slowroll": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "redhat": "rhel",
    "sle_hpc": "sles",
    "sles_sap": "sles",
    "sled_sap": "sled",
}
# Of these nobody could say which distribution is meant.
AMBIGUOUS = frozenset({"linux", "suse"})

# All of them go into the manifest; a distribution has some twenty.
LONGEST_ASSIGNMENT = 1024
MOST_ASSIGNMENTS = 100

# Without a dot: "org.centos" and the like are among the synonyms, too.
DISTRIBUTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# As the distributor writes it: 12, 24.04, 9.4, 20260314.
OS_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.IGNORECASE)
DATASOURCE = re.compile(r"[A-Za-z0-9]{1,64}")

CLOUD_CONFIG = "/etc/cloud/cloud.cfg"
# Of all its files; Debian's are 10 KiB. A parser takes seconds for the worst
# of them, however short.
LONGEST_CONFIG = 512 * 1024
MOST_FILES = 64
MOST_SOURCES = 64
MERGE = "tag:yaml.org,2002:merge"

# glean is there in place of cloud-init; it knows config drives only, and
# gives the keys to root.
GLEAN = ("/usr/local/bin/glean", "/usr/bin/glean")
# Its package leaves its configuration where it is taken away.
CLOUD_INIT = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")

# The light agent, whose user is said in one file.
METADATA_INIT = "/etc/metadata-init.json"

GUEST_AGENT = ("/usr/sbin/qemu-ga", "/usr/bin/qemu-ga")


def os_release(root: Path) -> dict[str, str]:
    """What the tree says it is; empty when it does not."""
    # The order of os-release(5).
    for place in ("/etc/os-release", "/usr/lib/os-release"):
        text = inside.text(root, place)
        if text is not None:
            return _assignments(text)
    return {}


def of_tree(root: Path) -> dict[str, Any]:
    """The facts of the tree, by the names that they have in manifests."""
    release = os_release(root)
    found = {
        "os_distro": distribution(release.get("ID", "")),
        "os_version": _matching(OS_VERSION, release.get("VERSION_ID")),
        "guest_agent": _has(root, GUEST_AGENT),
        **_first_boot(root),
    }
    return {name: value for name, value in found.items() if value}


def distribution(identity: str) -> str | None:
    """What Glance calls the distribution with this ID in os-release."""
    plain = identity.lower()
    if plain in AMBIGUOUS:
        return None
    return DISTRIBUTIONS.get(plain) or _matching(DISTRIBUTION, plain)


def _first_boot(root: Path) -> dict[str, Any]:
    """Where the keys come from at boot, and who gets them."""
    light = inside.text(root, METADATA_INIT)
    if light is not None:
        return _metadata_init(light)
    if _has(root, GLEAN) and not _has(root, CLOUD_INIT):
        return {"os_admin_user": "root", "datasources": ["ConfigDrive"]}
    main = inside.text(root, CLOUD_CONFIG)
    return {} if main is None else _cloud_init(root, main)


def _has(root: Path, places: Sequence[str]) -> bool:
    """Whether there is a program in one of these places."""
    return any(inside.is_program(root, place) for place in places)


def _metadata_init(settings: str) -> dict[str, Any]:
    """What the element metadata-init wrote when the image was built."""
    try:
        data = json.loads(settings)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {
        "os_admin_user": _matching(USER, data.get("user")),
        "datasources": ["ConfigDrive", "OpenStack"],
    }


def _cloud_init(root: Path, main: str) -> dict[str, Any]:
    """What cloud-init would make of its files: the last one that says so."""
    try:
        files = [_yaml(text) for text in _configuration(root, main)][::-1]
    except _Unreadable:
        return {}
    sources = _last_word(files, "datasource_list")
    return {
        "os_admin_user": _admin_user(files),
        "datasources": _datasources(sources),
    }


def _configuration(root: Path, main: str) -> Iterator[str]:
    """The texts of its files, in their order.

    :raises _Unreadable: there is more than anybody wants to read.
    """
    yield main
    left = LONGEST_CONFIG - len(main)
    folder = f"{CLOUD_CONFIG}.d"
    names = inside.names(root, folder)
    found = [name for name in names if name.endswith(".cfg")]
    if len(found) > MOST_FILES:
        raise _Unreadable(folder)
    for name in found:
        path = f"{folder}/{name}"
        text = inside.text(root, path) or ""
        left -= len(text)
        if left < 0 or inside.is_longer(root, path):
            raise _Unreadable(path)
        yield text


def _admin_user(files: Sequence[Mapping[str, Any]]) -> str | None:
    """Who gets the keys, where cloud-init makes a user of its own choice."""
    if "default" not in _names(_last_word(files, "users")):
        return None
    # The older word for it counts more.
    named = _last_word(files, "user")
    if isinstance(named, dict):
        named = named.get("name")
    return _matching(
        USER,
        named or _last_word(files, "system_info", "default_user", "name"),
    )


def _names(users: object) -> list[object]:
    """Who is among the users, in each form that cloud-init takes."""
    if isinstance(users, str):
        return [name.strip() for name in users.split(",")]
    if isinstance(users, dict):
        return [name for name, wanted in users.items() if wanted]
    return users if isinstance(users, list) else []


def _datasources(said: object) -> list[str]:
    if not isinstance(said, list) or len(said) > MOST_SOURCES:
        return []
    words = [_matching(DATASOURCE, word) for word in said]
    # The one without data is no place that keys could come from.
    return [word for word in words if word and word != "None"]


def _last_word(files: Sequence[Mapping[str, Any]], *path: str) -> object:
    """A value as cloud-init merges it: of the first file that has it."""
    for data in files:
        value: object = data
        for step in path:
            if not isinstance(value, dict):
                # It replaces what the others say of it.
                return None
            if step not in value:
                break
            value = value[step]
        else:
            return value
    return None


class _Unreadable(Exception):
    """cloud-init may find something there, and we do not."""


class _Loader(yaml.SafeLoader):
    """Reads what a stranger wrote.

    Of what it reads, only "<<" becomes more than stands there.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Take no mapping into another: a few lines make billions of it.

        :raises _Unreadable: one should be.
        """
        if any(key.tag == MERGE for key, _ in node.value):
            raise _Unreadable("<<")
        super().flatten_mapping(node)


def _yaml(text: str) -> Mapping[str, Any]:
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 (it is a SafeLoader)
    # Whatever a stranger's file makes a parser do, it is a file that says
    # nothing: cloud-init takes it for that, too.
    except (
        yaml.YAMLError,
        # Of tags with a value that is not theirs: "!!int ''", "!!bool x".
        *(ArithmeticError, AttributeError, LookupError),
        *(TypeError, ValueError, RecursionError),
    ):
        return {}
    return data if isinstance(data, dict) else {}


def _assignments(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name.isidentifier():
            continue
        if len(line) <= LONGEST_ASSIGNMENT and len(found) < MOST_ASSIGNMENTS:
            found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value


def _matching(rule: re.Pattern[str], value: object) -> str | None:
    if isinstance(value, str) and rule.fullmatch(value):
        return value
    return None
