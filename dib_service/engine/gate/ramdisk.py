"""What a kernel and a ramdisk have to show: an agent, or that /init runs."""

from collections.abc import Callable
import contextlib
from http.client import HTTPException
import json
import time
from typing import Any
import urllib.request

from dib_service.engine.gate import console
from dib_service.engine.gate.machine import Machine
from dib_service.engine.gate.plan import EMULATED

# Where ironic-python-agent listens.
AGENT_PORT = 9999
ANSWER_SECONDS = 20.0
LONGEST_ANSWER = 64 * 1024

# How long an /init that has spoken goes on without the kernel's panic.
ALIVE_SECONDS = 5.0


def wait_for_agent(machine: Machine, tell: Callable[[str], None]) -> None:
    """Return when the agent says its version.

    :raises Found: it does not.
    """
    url = f"http://127.0.0.1:{machine.hardware.port}/v1/status"
    while True:
        status = _answer(url)
        if status and isinstance(status.get("version"), str):
            version = console.clean(status["version"])[:40]
            tell(f"the agent answers: version {version}")
            return
        if not machine.left:
            raise machine.found(
                "boot-agent",
                f"after {machine.age:.0f} s no agent answers on port "
                f"{AGENT_PORT}",
            )
        machine.go_on("")


def wait_for_init(machine: Machine, tell: Callable[[str], None]) -> None:
    """Return when /init has said something and goes on.

    :raises Found: it did not get there.
    """
    emulated = machine.hardware.accelerator == "tcg"
    patience = ALIVE_SECONDS * (EMULATED if emulated else 1)
    spoke = 0.0
    while not spoke or time.monotonic() - spoke < patience:
        if not spoke and machine.console.init_speaks:
            tell("its /init runs")
            spoke = time.monotonic()
        if not machine.left:
            raise machine.found(
                "boot-ramdisk",
                f"after {machine.age:.0f} s its /init has not spoken",
            )
        machine.go_on("")


def _answer(url: str) -> dict[str, Any]:
    """What stands there, if anything does."""
    # What a stranger's server can do wrong is without number.
    with (
        contextlib.suppress(
            OSError, ValueError, RecursionError, HTTPException
        ),
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as said,  # noqa: S310
    ):
        data = json.loads(said.read(LONGEST_ANSWER))
        return data if isinstance(data, dict) else {}
    return {}
