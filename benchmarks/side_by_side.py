"""Runs the same build with diskimage-builder and with this engine, in turn."""

import argparse
from collections.abc import Mapping, Sequence
import dataclasses
import datetime
import json
import os
from pathlib import Path
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]

THEIRS, OURS = "diskimage-builder", "dib-service"

# Made as the tests make theirs.
MAKE_PEER = """
set -eu
TOP=$PWD
. tools/host.sh
peer_venv "$1"
printf %s "$PEER_VENV"
"""


@dataclasses.dataclass(frozen=True)
class Build:
    """What is built: the words after the command, and its environment."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]


def main(build: Build, rounds: int) -> int:
    """Measure as the command line says; JSON on stdout."""
    parser = argparse.ArgumentParser(description=build.name)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--peer-venv",
        type=Path,
        default=os.environ.get("DIB_PEER_VENV"),
        help="where diskimage-builder is installed (it is, where it is not)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default="/var/tmp",
        help="where images and trees go (%(default)s)",
    )
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root")
    with tempfile.TemporaryDirectory(dir=options.directory) as place:
        peer = options.peer_venv or _made_peer(Path(place))
        found = measure(build, options.rounds, Path(peer), Path(place))
    json.dump(found, sys.stdout, indent=1)
    print()
    return 0


def measure(
    build: Build, rounds: int, peer: Path, place: Path
) -> dict[str, Any]:
    """The seconds of each, in each round and in the middle."""
    commands = {
        THEIRS: [str(peer / "bin/disk-image-create")],
        OURS: [
            sys.executable,
            "-m",
            "dib_service.engine.commands.image_create",
        ],
    }
    done = []
    for number in range(rounds):
        # Whoever comes second may find more in the host's caches.
        order = sorted(commands, reverse=bool(number % 2))
        done.append(
            {
                who: timed(
                    [*commands[who], *build.words], build, peer, place / who
                )
                for who in order
            }
        )
    middle = {
        who: {
            fact: statistics.median(each[who][fact] for each in done)
            for fact in ("seconds", "cpu_seconds")
        }
        for who in commands
    }
    return {
        "benchmark": build.name,
        "at": datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
        "command": [*build.words],
        "machine": _machine(place),
        "versions": _versions(peer),
        "rounds": done,
        "median": middle,
        "ratio": round(middle[OURS]["seconds"] / middle[THEIRS]["seconds"], 3),
    }


def timed(
    words: Sequence[str], build: Build, peer: Path, place: Path
) -> dict[str, Any]:
    """How long one build took, and how large its files are.

    :raises SystemExit: it failed; its log is on stderr.
    """
    with tempfile.TemporaryDirectory(dir=place.parent) as work:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        log = Path(work, "log")
        with log.open("w") as file:
            code = subprocess.run(
                words,
                cwd=work,
                env=_environment(build, peer, work),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if code:
            sys.stderr.write(log.read_text(errors="replace"))
            raise SystemExit(f"{words[0]} exited {code}")
        return {
            "seconds": round(seconds, 3),
            "cpu_seconds": round(
                after.ru_utime
                + after.ru_stime
                - before.ru_utime
                - before.ru_stime,
                3,
            ),
            "bytes": {
                path.name: path.stat().st_size
                for path in sorted(Path(work).glob("image.*"))
                if path.is_file()
            },
        }


def _environment(build: Build, peer: Path, work: str) -> dict[str, str]:
    return {
        "HOME": os.environ["HOME"],
        "PATH": f"{peer / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "TMPDIR": work,
        **build.environment,
    }


def _made_peer(place: Path) -> str:
    return subprocess.run(
        ["bash", "-c", MAKE_PEER, "make-peer", place / "peer.log"],
        cwd=CHECKOUT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.splitlines()[-1]


def _machine(place: Path) -> dict[str, Any]:
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "processors": os.cpu_count(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "filesystem": _said("stat", "--file-system", "--format=%T", place),
        "load": os.getloadavg(),
    }


def _versions(peer: Path) -> dict[str, str]:
    return {
        THEIRS: _said(
            peer / "bin/python",
            "-c",
            "import importlib.metadata as m;"
            "print(m.version('diskimage-builder'))",
        ),
        OURS: _said("git", "-C", CHECKOUT, "describe", "--always", "--dirty"),
        "qemu-img": _said("qemu-img", "--version").splitlines()[0],
        "python": platform.python_version(),
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _said(*words: str | os.PathLike[str]) -> str:
    return subprocess.run(
        words, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
