"""Starts the machines of a plan, side by side, and says what it saw.

It runs where cell.py has put it: without rights, in a network of its own, in
which it and the machines are alone. What it writes to stdout, one JSON object
on a line, is believed as little as the machines are: it is what a machine
that broke out of QEMU could write.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
import contextlib
import json
import os
from pathlib import Path
import threading
import traceback
from typing import Any, Never
import uuid

from dib_service.engine import errors
from dib_service.engine.gate import (
    disk,
    drive,
    guest,
    ironic,
    judge,
    machine,
    ramdisk,
)
from dib_service.engine.gate.faults import Found
from dib_service.engine.gate.plan import Accelerator, Firmware, Plan, Result

# Where the cell shows what there is to start, and where we may write.
FILES, SCRATCH = Path("/files"), Path("/scratch")

FIRST_PORT = 2200

Tell = Callable[[str], None]

_mouth = threading.Lock()


def run(plan: Plan, accelerator: Accelerator | None) -> int:
    """Test it; the exit code. ``accelerator`` is what is known already."""
    try:
        if accelerator is None:
            accelerator = _probed(plan)
        _say(accelerator=accelerator)
        results = _started(plan, accelerator)
        judge.check_apart(results)
    except Found as exc:
        # Where two are alike, neither is to blame.
        _say(found={"firmware": "", **exc.to_dict()})
        return 1
    except (errors.EngineError, OSError) as exc:
        found = Found("boot-test-host", str(exc))
        _say(found={"firmware": "", **found.to_dict()})
        return 1
    for result in results:
        _say(result=result.to_dict())
    _say(min_ram_mib=judge.min_ram_mib(results))
    return 0


def _probed(plan: Plan) -> Accelerator:
    if not plan.settings.kvm:
        return "tcg"
    return machine.accelerator(plan.architecture, SCRATCH)


def _started(plan: Plan, accelerator: Accelerator) -> list[Result]:
    """One result of each machine, in order.

    :raises Found: the first that failed; the others do not go on.
    """
    beside = machine.side_by_side(plan.memory_mib)
    with ThreadPoolExecutor(beside) as pool:
        jobs = [
            pool.submit(_boot, plan, number, accelerator)
            for number in range(len(plan.firmwares))
        ]
        for job in as_completed(jobs):
            problem = job.exception()
            if problem:
                _give_up(problem)
        return [job.result() for job in jobs]


def _give_up(problem: BaseException) -> Never:
    """Say what the first of the machines came to, and end.

    Those that still run end with the cell: nobody waits for them.
    """
    if isinstance(problem, _Blamed):
        _say(found={"firmware": problem.firmware, **problem.cause.to_dict()})
    else:
        traceback.print_exception(problem)
    os._exit(1)


class _Blamed(Exception):
    """What was found, and in which machine."""

    def __init__(self, firmware: Firmware, cause: Found) -> None:
        super().__init__(cause.problem)
        self.firmware = firmware
        self.cause = cause


def _boot(plan: Plan, number: int, accelerator: Accelerator) -> Result:
    firmware = plan.firmwares[number]
    name: str = firmware
    if plan.firmwares.count(firmware) > 1:
        name += f"-{plan.firmwares[: number + 1].count(firmware)}"
    folder = SCRATCH / name
    folder.mkdir(mode=0o700)

    def tell(text: str) -> None:
        _say(text=f"{name}: {text}")

    def console(text: str) -> None:
        _say(text=f"{name} | {text}")

    boot = _Boot(plan, number, accelerator, folder, tell, console)
    try:
        result = boot.run()
    except Found as exc:
        raise _Blamed(firmware, exc) from exc
    except (errors.EngineError, OSError) as exc:
        cause = Found("boot-test-host", str(exc))
        raise _Blamed(firmware, cause) from exc
    tell(f"passed after {result.seconds:.1f} s")
    return result


class _Boot:
    """One machine, from its making to what was seen of it."""

    def __init__(
        self,
        plan: Plan,
        number: int,
        accelerator: Accelerator,
        folder: Path,
        tell: Tell,
        console: Tell,
    ) -> None:
        self._plan = plan
        self._firmware = plan.firmwares[number]
        self._number = number
        self._accelerator = accelerator
        self._folder = folder
        self._tell = tell
        self._console = console
        self._uuid = str(uuid.uuid4())
        self._mac = f"52:54:00:00:00:{number + 1:02x}"

    def run(self) -> Result:
        """What was seen.

        :raises Found: it is not what it should be.
        """
        if self._plan.proof == "login":
            return self._let_in()
        if self._plan.proof == "agent":
            return self._answers()
        return self._speaks()

    def _let_in(self) -> Result:
        key = self._folder / "key"
        about = drive.Machine(
            uuid=self._uuid,
            name=f"boot-test-{self._uuid[:8]}",
            mac=self._mac,
            public_key=drive.new_key(key),
        )
        iso = drive.write(about, self._folder)
        made = disk.make(
            self._plan, FILES / self._plan.image, iso, self._folder
        )
        line = f"root=LABEL={self._plan.label} ro"
        with self._running(made, line=line) as running:
            found = guest.Guest(running, key=key, user=self._plan.user)
            self._tell("waiting for the config drive's key to let us in")
            found.wait_for_login()
            self._tell(
                f"let in as {self._plan.user} after {running.age:.1f} s; "
                "waiting for the end of the boot"
            )
            said = found.ask(self._tell)
            # A server that is slow to answer shows a part of its keys.
            keys = {**said.host_keys, **found.host_keys()}
            seconds = running.age
        try:
            judge.check(said, firmware=self._firmware, room=made.room)
        except Found as exc:
            # Of units there is a log; of anything else, what was last seen.
            last = exc.last_lines or running.console.tail(errors.LAST_LINES)
            raise Found(exc.code, exc.problem, last) from exc
        for warning in judge.warnings(said, about.name):
            self._tell(f"warning: {warning}")
        given = self._plan.memory_mib
        return self._result(
            seconds,
            config_drive=True,
            memory_mib=max(0, given - said.number("least") // 1024),
            identity={"machine-id": said.text("machine-id"), **keys},
        )

    def _answers(self) -> Result:
        with contextlib.ExitStack() as stack:
            cloud = stack.enter_context(ironic.Ironic())
            running = stack.enter_context(
                self._running(
                    disk.empty(self._folder),
                    line=f"ipa-api-url={cloud.url} ipa-debug=1",
                    guest_port=ramdisk.AGENT_PORT,
                    open_to_us=True,
                )
            )
            self._tell(f"waiting for the agent on port {ramdisk.AGENT_PORT}")
            ramdisk.wait_for_agent(running, self._tell)
            return self._result(running.age)

    def _speaks(self) -> Result:
        with self._running(disk.empty(self._folder)) as running:
            self._tell("waiting for its /init to speak")
            ramdisk.wait_for_init(running, self._tell)
            return self._result(running.age)

    def _running(
        self,
        made: disk.Disk,
        *,
        line: str = "",
        guest_port: int = 22,
        open_to_us: bool = False,
    ) -> machine.Machine:
        plan = self._plan
        hardware = machine.Hardware(
            architecture=plan.architecture,
            accelerator=self._accelerator,
            firmware=self._firmware,
            disk=made,
            memory_mib=plan.memory_mib,
            uuid=self._uuid,
            mac=self._mac,
            port=FIRST_PORT + self._number,
            guest_port=guest_port,
            sector=plan.sector,
            kernel=FILES / plan.kernel if plan.kernel else None,
            ramdisk=FILES / plan.ramdisk if plan.ramdisk else None,
            line=line,
            open=open_to_us,
        )
        self._tell(
            f"starting with {self._accelerator} and {plan.memory_mib} MiB"
        )
        return machine.Machine(
            hardware,
            self._folder,
            seconds=plan.seconds(self._accelerator),
            say=self._console,
        )

    def _result(
        self, seconds: float, config_drive: bool = False, **facts: Any
    ) -> Result:
        return Result(
            firmware=self._firmware,
            accelerator=self._accelerator,
            seconds=round(seconds, 1),
            config_drive=config_drive,
            **facts,
        )


def _say(**facts: Any) -> None:
    line = json.dumps(facts).encode() + b"\n"
    with _mouth:
        while line:
            line = line[os.write(1, line) :]
