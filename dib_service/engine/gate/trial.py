"""The boot gate: a finished product is started before anybody may have it.

Whoever asks is process 1 of a build, and root. The machines are not: cell.py
is a process of its own, and what it says is taken as a stranger's words.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import json
import os
from pathlib import Path
import shutil
import sys
import tempfile
from typing import Any, get_args

from dib_service.engine import errors, events, process
from dib_service.engine.gate import cell, console, faults
from dib_service.engine.gate.plan import Accelerator, Firmware, Plan

# What is left of a test's time for making its disks and putting them away.
BESIDE_SECONDS = 300.0

# Where the answer to "does KVM work here?" is kept, below the cache.
KNOWN = Path("boot-test/accelerator.json")

MOST_LINES = 20000
# No machine takes so many seconds or MiB.
LARGEST = 10**7

# What is told of each machine.
WANTED: Mapping[str, tuple[type, ...]] = {
    "firmware": (str,),
    "accelerator": (str,),
    "seconds": (float, int),
    "config_drive": (bool,),
    "memory_mib": (int,),
}
FIRMWARES = get_args(Firmware)

Files = Mapping[str, Path]


@dataclasses.dataclass
class Verdict:
    """What machines were seen to do, as it stands in the manifest."""

    boot_tests: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    min_ram_mib: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The manifest's keys; no list of anything where nobody tested."""
        found: dict[str, Any] = {"boot_tests": self.boot_tests}
        if self.boot_tests and self.min_ram_mib:
            found["min_ram_mib"] = self.min_ram_mib
        return found


def run(
    plan: Plan, files: Files, *, scratch: Path, cache: Path, say: events.Say
) -> Verdict:
    """Start the product of which ``files`` are the parts, by their names.

    ``scratch`` is a directory with room for a second, sparse copy.

    :raises errors.BootFailed: it is not fit to be deployed.
    """
    with _place(plan, files, scratch) as place:
        known = _known(cache, plan)
        ears = _Ears(say)
        words: list[str | Path] = [
            *(sys.executable, "-I", "-c", _start(), place),
            known or "unknown",
        ]
        try:
            process.stream(words, ears.hear, deadline=_deadline(plan))
        except errors.DeadlineExceeded:
            raise faults.failed(
                "boot-timeout",
                "the test did not come to an end",
                firmware="",
                last_lines=ears.last,
            ) from None
        except errors.CommandError as exc:
            raise ears.fault or faults.failed(
                "boot-test-host",
                f"the test ended without a result: {console.clean(str(exc))}",
                firmware="",
                last_lines=ears.last,
            ) from exc
    if len(ears.verdict.boot_tests) != len(plan.firmwares):
        raise ears.fault or faults.failed(
            "boot-test-host",
            "the test ended without a result",
            firmware="",
            last_lines=ears.last,
        )
    if known is None and ears.accelerator:
        _remember(cache, plan, ears.accelerator)
    return ears.verdict


class _Ears:
    """Takes what the warden says, and believes what has the right form."""

    def __init__(self, say: events.Say) -> None:
        self.verdict = Verdict()
        self.accelerator: Accelerator | None = None
        self.fault: errors.BootFailed | None = None
        self.last: list[str] = []
        self._say = say
        self._lines = 0

    def hear(self, line: str) -> None:
        self._lines += 1
        if self._lines > MOST_LINES:
            return
        facts = _object(line)
        if facts is None:
            # Python's last words, or the dynamic loader's.
            self._tell(line)
        elif isinstance(facts.get("text"), str):
            self._tell(facts["text"])
        elif facts.get("accelerator") in ("kvm", "tcg"):
            self.accelerator = facts["accelerator"]
        elif isinstance(facts.get("found"), dict):
            self.fault = self.fault or _fault(facts["found"])
        elif isinstance(facts.get("result"), dict):
            result = _result(facts["result"])
            if result:
                self.verdict.boot_tests.append(result)
        elif _is_number(facts.get("min_ram_mib")):
            self.verdict.min_ram_mib = facts["min_ram_mib"]

    def _tell(self, text: str) -> None:
        shown = console.clean(text)
        self.last = [*self.last, shown][-errors.LAST_LINES :]
        self._say("line", text=shown)


def _object(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _fault(facts: Mapping[str, Any]) -> errors.BootFailed:
    code = str(facts.get("code"))
    lines = facts.get("last_lines")
    return faults.failed(
        code if code in faults.REMEDIES else "boot-test-host",
        console.clean(str(facts.get("problem"))),
        firmware=console.clean(str(facts.get("firmware") or "")),
        last_lines=[
            console.clean(str(each))
            for each in (lines if isinstance(lines, list) else [])
        ],
    )


def _result(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """A result as it stands in a manifest; nothing if it is none."""
    found = {name: facts.get(name) for name in WANTED}
    sound = all(
        type(found[name]) in kinds
        and (isinstance(found[name], str | bool) or _is_number(found[name]))
        for name, kinds in WANTED.items()
    )
    return found if sound and found["firmware"] in FIRMWARES else None


def _is_number(value: object) -> bool:
    """Whether it can be seconds or MiB; JSON has NaN and true in Python."""
    return type(value) in (int, float) and 0 <= value < LARGEST  # type: ignore[operator]


@contextlib.contextmanager
def _place(plan: Plan, files: Files, scratch: Path) -> Iterator[Path]:
    """A directory as cell.py expects it, gone afterwards."""
    # Machines that were just killed may still write; what they leave goes
    # with the workspace.
    with tempfile.TemporaryDirectory(
        dir=scratch, prefix="boot-", ignore_cleanup_errors=True
    ) as folder:
        place = Path(folder)
        place.chmod(0o711)
        for name in ("root", "files", "scratch"):
            (place / name).mkdir()
        for name, path in files.items():
            (place / "files" / name).touch()
            _readable(path, place / name)
        os.chown(place / "scratch", plan.settings.uid, plan.settings.uid)
        (place / "scratch").chmod(0o700)
        (place / "plan.json").write_text(plan.to_json())
        yield place


def _readable(path: Path, name: Path) -> None:
    """Show a file there to whom it may not belong."""
    if path.stat().st_mode & 0o004:
        name.symlink_to(path.absolute())
    else:
        # Some distributions keep their kernels to root.
        shutil.copyfile(path, name)
        name.chmod(0o644)


def _start() -> str:
    package = Path(__file__).resolve().parents[3]
    return f"import sys; sys.path.insert(0, {str(package)!r}); {cell.START}"


def _deadline(plan: Plan) -> float:
    """The seconds for all machines, one after the other if need be."""
    return plan.seconds("tcg") * len(plan.firmwares) + BESIDE_SECONDS


def _known(cache: Path, plan: Plan) -> Accelerator | None:
    """What was found out on this host since it was started."""
    if not plan.settings.kvm:
        return "tcg"
    with contextlib.suppress(OSError, ValueError):
        # Hooks can write there as well.
        data = _object((cache / KNOWN).read_text())
        if data and data.get("of") == _host(plan):
            return cell.KNOWN.get(str(data.get("is")))
    return None


def _remember(cache: Path, plan: Plan, answer: Accelerator) -> None:
    path = cache / KNOWN
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({"of": _host(plan), "is": answer}))
        new.rename(path)


def _host(plan: Plan) -> list[object]:
    """What the answer depends on."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return [boot, plan.architecture, plan.settings.uid]
