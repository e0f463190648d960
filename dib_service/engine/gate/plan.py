"""What is to start, where and for how long: values, JSON both ways."""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any, Literal, Self

from dib_service.engine.sizes import GiB

Firmware = Literal["bios", "uefi", "secure-boot", "kernel"]
Accelerator = Literal["kvm", "tcg"]

# What a product is seen by: it lets a key in; its agent answers; its /init
# speaks.
Proof = Literal["login", "agent", "init"]

# A machine's disk is larger than its image, by so much.
LARGER = 4 * GiB

# An agent's ramdisk is unpacked in memory, and then works in it.
AGENT_MEMORY_MIB = 3072

# An emulated machine is slower than a real one by about so much.
EMULATED = 5


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a host gives to a test; ``seconds`` are those of a real machine.

    ``kvm`` says whether it may be tried. ``uid`` is whose rights the
    machines have; that user owns nothing else and need not have a name.
    """

    seconds: float = 300.0
    memory_mib: int = 1024
    kvm: bool = True
    uid: int = 61000

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The settings in their JSON form."""
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """The form that ``from_dict`` reads."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Plan:
    """One test of one product, by machines that differ in ``firmwares``.

    ``image``, ``kernel`` and ``ramdisk`` are names in the directory that
    the machines can read; empty where there is none. ``format`` is the
    image's for qemu-img, ``sector`` what its disk reads at once, in bytes.
    ``bare`` is an image without a partition table, which is put into one;
    ``root`` is the number, from 0, of the partition that has to grow; -1
    where none has to. ``label`` is that of the root filesystem.
    """

    proof: Proof
    architecture: str
    firmwares: tuple[Firmware, ...]
    settings: Settings
    image: str = ""
    format: str = "raw"
    kernel: str = ""
    ramdisk: str = ""
    bare: bool = False
    sector: int = 512
    root: int = -1
    label: str = ""
    user: str = "root"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan in its JSON form."""
        data = json.loads(text)
        return cls(
            **{
                **data,
                "firmwares": tuple(data["firmwares"]),
                "settings": Settings.from_dict(data["settings"]),
            }
        )

    def to_json(self) -> str:
        """The form that ``from_json`` reads."""
        return json.dumps(dataclasses.asdict(self))

    @property
    def memory_mib(self) -> int:
        """The memory of each machine."""
        if self.proof == "agent":
            return max(self.settings.memory_mib, AGENT_MEMORY_MIB)
        return self.settings.memory_mib

    def seconds(self, accelerator: Accelerator) -> float:
        """How long a machine may take from power to proof."""
        factor = 1 if accelerator == "kvm" else EMULATED
        return self.settings.seconds * factor


@dataclasses.dataclass(frozen=True)
class Result:
    """What one machine was seen to do.

    ``memory_mib`` is what it needed. ``identity`` is what no two machines
    may have in common: host keys and machine id.
    """

    firmware: Firmware
    accelerator: Accelerator
    seconds: float
    config_drive: bool
    memory_mib: int = 0
    identity: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a manifest: the identity is nobody's business."""
        facts = dataclasses.asdict(self)
        del facts["identity"]
        return facts
