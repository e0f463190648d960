"""What has to be true of a machine that came up, and of two of them."""

from collections.abc import Iterable, Mapping, Sequence
import itertools
from typing import Any

from dib_service.engine.gate.faults import Found
from dib_service.engine.gate.guest import Said
from dib_service.engine.gate.plan import Firmware, Result

# A filesystem keeps a part for itself: ext4 1/64, and its journal.
GROWN = 0.85

# What cloud-init calls a reason to look at, besides its errors.
SEVERE = ("ERROR", "CRITICAL")

# The least that Nova and Ironic are told, and its steps.
LEAST_RAM_MIB = 512
STEP_RAM_MIB = 256

SOUND = ("running", "degraded", "none")


def check(said: Said, *, firmware: Firmware, room: int) -> None:
    """Return when the machine has become what it should.

    ``room`` is what the root has to have grown to, about; 0 for nothing.

    :raises Found: the first thing that is wrong.
    """
    if "done" not in said.words:
        raise Found("boot-no-login", "its shell answered half of what we ask")
    # First, since it is the cause of units that failed.
    _check_cloud_init(said)
    _check_metadata_init(said)
    _check_units(said)
    _check_firmware(said, firmware)
    if not said.text("machine-id") and said.text("state") != "none":
        raise Found("boot-machine-id", "/etc/machine-id is empty after boot")
    # What the machine has made for its state is none of the root's.
    room -= min(room, said.number("persistent-state"))
    if room and said.root_bytes < room * GROWN:
        raise Found(
            "boot-root-not-grown",
            f"the root filesystem has {said.root_bytes} bytes on a disk that "
            f"has {room} for it",
        )


def warnings(said: Said, name: str) -> Iterable[str]:
    """What is worth saying and stops nobody."""
    found = said.text("host-name")
    if found.partition(".")[0] != name.partition(".")[0]:
        yield f"its host name is {found!r}, and the config drive's is {name!r}"
    for level, reasons in _recoverable(said).items():
        if level not in SEVERE:
            for reason in reasons:
                yield f"cloud-init: {level}: {reason}"


def check_apart(results: Sequence[Result]) -> None:
    """Return when no two machines have the same identity.

    :raises Found: they have; then the image has it.
    """
    for one, other in itertools.combinations(results, 2):
        for name, value in one.identity.items():
            if not value or other.identity.get(name) != value:
                continue
            if name == "machine-id":
                raise Found(
                    "boot-machine-id",
                    f"two machines of this image have the machine id {value}",
                )
            raise Found(
                "boot-host-key",
                f"two machines of this image have the same {name} host key",
            )


def min_ram_mib(results: Iterable[Result]) -> int:
    """What a machine should have: a quarter more than any was seen to need.

    The moments between two looks, and a machine with more devices, are what
    the quarter is for.
    """
    needed = max((result.memory_mib for result in results), default=0) * 1.25
    steps = -(-int(needed) // STEP_RAM_MIB)
    return max(LEAST_RAM_MIB, steps * STEP_RAM_MIB)


def _check_cloud_init(said: Said) -> None:
    if "cloud-init" not in said.words:
        return
    if "disabled" in said.words["cloud-init"]:
        return
    result = _v1(said.json("cloud-init-result"))
    status = _v1(said.json("cloud-init-status"))
    problems = [str(each) for each in _listed(result.get("errors"))]
    for stage, facts in status.items():
        if isinstance(facts, dict):
            for each in _listed(facts.get("errors")):
                problems.append(f"{stage}: {each}")
    for level in SEVERE:
        problems += _recoverable(said).get(level, [])
    if problems:
        raise Found("boot-cloud-init", f"cloud-init: {_shown(problems)}")
    if "error" in said.words["cloud-init"] or not result:
        raise Found(
            "boot-cloud-init",
            f"cloud-init did not end well: {said.text('cloud-init')}",
        )


def _check_metadata_init(said: Said) -> None:
    """The light agent's units ended well, and it took the drive."""
    if "metadata-init" not in said.words:
        return
    result = said.json("metadata-init-result")
    problems = [str(each) for each in _listed(result.get("errors"))]
    ended = said.text("metadata-init").split()
    if set(ended) != {"success"} or not result:
        problems.append(f"its units ended {' and '.join(ended) or 'never'}")
    if result and result.get("source") != "config-drive":
        problems.append("it did not find the config drive")
    if problems:
        raise Found(
            "boot-metadata-init",
            f"metadata-init: {_shown(problems)}",
            said.log,
        )


def _check_units(said: Said) -> None:
    failed = said.text("failed").split()
    if failed:
        raise Found(
            "boot-units-failed",
            f"units failed: {', '.join(failed)}",
            said.log,
        )
    if said.text("state") not in SOUND:
        raise Found(
            "boot-units-failed",
            f"systemd ended its boot {said.text('state')!r}",
        )


def _check_firmware(said: Said, firmware: Firmware) -> None:
    """It was started as we meant it to be, and not by another way."""
    efi = said.text("efi") == "yes"
    if efi != (firmware in ("uefi", "secure-boot")) and firmware != "kernel":
        raise Found(
            "boot-no-loader",
            f"it was started {'by UEFI' if efi else 'by BIOS'}",
        )
    if firmware == "secure-boot" and said.text("secure-boot").strip() != "1":
        raise Found("boot-no-loader", "it was started without Secure Boot")


def _recoverable(said: Said) -> dict[str, list[str]]:
    """What cloud-init names as reasons for "degraded", by level."""
    found: dict[str, list[str]] = {}
    for facts in (
        _v1(said.json("cloud-init-status")),
        *_v1(said.json("cloud-init-status")).values(),
    ):
        if not isinstance(facts, dict):
            continue
        levels = facts.get("recoverable_errors")
        if isinstance(levels, dict):
            for level, reasons in levels.items():
                found.setdefault(str(level), []).extend(
                    str(each)[:400] for each in _listed(reasons)
                )
    return found


def _v1(data: Mapping[str, Any]) -> Mapping[str, Any]:
    inside = data.get("v1")
    return inside if isinstance(inside, dict) else {}


def _listed(value: object) -> list[Any]:
    return value[:20] if isinstance(value, list) else []


def _shown(problems: Sequence[str]) -> str:
    return "; ".join(each[:400] for each in problems[:5])
