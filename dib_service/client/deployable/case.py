"""What is judged, and what a judgement says."""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any, Literal

GIB = 1024**3
MIB = 1024**2

Verdict = Literal["ok", "warning", "problem"]

Body = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``reason`` is for the asker."""

    check: str
    verdict: Verdict
    reason: str


def ok(check: str, reason: str) -> Finding:
    """Nothing stands in the way."""
    return Finding(check, "ok", reason)


def warning(check: str, reason: str) -> Finding:
    """It depends on something that the asker cannot be shown."""
    return Finding(check, "warning", reason)


def problem(check: str, reason: str) -> Finding:
    """The deploy would fail."""
    return Finding(check, "problem", reason)


@dataclasses.dataclass(frozen=True)
class Case:
    """An image, and where it is to go.

    ``image`` is Glance's own JSON of the image, ``linked`` that of the images
    which it names in kernel_id and ramdisk_id (None: the asker finds none),
    ``deploy`` that of the images of Glance which the node's driver_info names
    to deploy with; ``members`` has, for each shared image by its id, its
    member projects with their status (an image is missing whose list the
    asker may not read).
    ``node`` and ``flavor`` are Ironic's and Nova's JSON. ``project_id`` is
    the project of Ironic's own user; ``admin`` says that the asker is one.
    """

    image: Body
    linked: Mapping[str, Body | None] = dataclasses.field(default_factory=dict)
    deploy: Mapping[str, Body | None] = dataclasses.field(default_factory=dict)
    members: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=dict
    )
    node: Body | None = None
    flavor: Body | None = None
    project_id: str | None = None
    admin: bool = False

    @property
    def whole_disk(self) -> bool:
        """Ironic would write it as it is.

        Source: ironic.common.images.is_whole_disk_image: img_type decides,
        and where there is none, whether kernel or ramdisk is named.
        """
        kind = self.image.get("img_type")
        if kind:
            return bool(kind != "partition")
        return not (
            self.image.get("kernel_id") or self.image.get("ramdisk_id")
        )

    @property
    def interface(self) -> str:
        """The node's deploy interface; Ironic's default where it is open."""
        return str((self.node or {}).get("deploy_interface") or "direct")

    @property
    def node_properties(self) -> Body:
        """What the operator or inspection said of the node."""
        properties: Body = (self.node or {}).get("properties") or {}
        return properties

    @property
    def node_capabilities(self) -> Mapping[str, str]:
        """What the node can.

        Source: ironic.drivers.utils.get_node_capability: a string of
        ``name:value`` with commas between; what is malformed is passed over.
        """
        found: dict[str, str] = {}
        words = self.node_properties.get("capabilities") or ""
        for word in str(words).split(","):
            name, _, value = word.partition(":")
            if name.strip() and value and ":" not in value:
                found.setdefault(name.strip(), value.strip())
        return found

    @property
    def extra_specs(self) -> Mapping[str, str]:
        """What the flavor asks for."""
        specs: Mapping[str, str] = (self.flavor or {}).get("extra_specs") or {}
        return specs

    @property
    def asked_capabilities(self) -> Mapping[str, str]:
        """What the instance asks of the node.

        Sources: nova.virt.ironic.patcher: ``capabilities:NAME`` of the flavor
        becomes instance_info/capabilities, which is what who deploys without
        Nova sets himself (ironic.common.utils, as JSON or as its text).
        """
        if self.flavor is not None:
            prefix = "capabilities:"
            return {
                key.removeprefix(prefix): value
                for key, value in self.extra_specs.items()
                if key.startswith(prefix)
            }
        own = ((self.node or {}).get("instance_info") or {}).get(
            "capabilities"
        )
        if isinstance(own, str):
            try:
                own = json.loads(own)
            except ValueError:
                return {}
        return own if isinstance(own, dict) else {}


def number(value: Any) -> int | None:
    """A whole number that a service may write as text; None where none is."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def gib(size: int) -> str:
    """A size for a reader."""
    return f"{size / GIB:.1f} GiB"
