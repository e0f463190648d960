"""A tiny operating system made of the host's own shell, and builds of it."""

import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
import unittest

CHECKOUT = Path(__file__).resolve().parents[3]

# What the tree gets of the host: enough for hooks to run in it.
PROGRAMS = "bash cat chmod dd env kill ls mkdir readlink setsid sleep stat"

ROOT = rf"""#!/bin/bash
set -eu
mkdir -p "$TARGET_ROOT"/{{etc,root,tmp,usr/bin,usr/lib,usr/lib64,var/log}}
for name in bin lib lib64; do ln -s "usr/$name" "$TARGET_ROOT/$name"; done
for name in {PROGRAMS}; do
    program=$(type -P "$name")
    cp "$program" "$TARGET_ROOT/usr/bin/"
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$TARGET_ROOT${{library%/*}}"
        cp -n "$library" "$TARGET_ROOT$library"
    done
done
ln -s bash "$TARGET_ROOT/usr/bin/sh"
echo 'ID=tiny' > "$TARGET_ROOT/usr/lib/os-release"
echo 'NAME="Tiny OS"' >> "$TARGET_ROOT/usr/lib/os-release"
"""


class TinyBuild(unittest.TestCase):
    """Builds of elements that a test writes down, as root."""

    def setUp(self):
        if os.geteuid() != 0:
            self.fail("these tests mount and chroot: run them as root")
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name).resolve()
        self.elements = self.place / "elements"
        self.output = self.place / "output"
        self.workspace = self.place / "workspace"
        self.pids = []
        self.element("base", {})
        self.element(
            "tiny",
            {"element-provides": "operating-system", "root.d/10-tiny": ROOT},
        )

    def element(self, name: str, files: dict[str, str]) -> Path:
        """Write an element; what lies in a phase is executable."""
        directory = self.elements / name
        directory.mkdir(parents=True, exist_ok=True)
        for relative, text in files.items():
            path = directory / relative
            path.parent.mkdir(exist_ok=True, parents=True)
            phase = relative.partition("/")[0]
            if phase.endswith(".d") and not text.startswith("#!"):
                text = f"#!/bin/bash\nset -eu\n{text}\n"
            path.write_text(text)
            path.chmod(0o755 if "/" in relative else 0o644)
        return directory

    def start(self, *names: str, options=(), **spec) -> "Running":
        described = self.place / "spec.json"
        spec = {"version": 1, "elements": ["tiny", *names], **spec}
        described.write_text(json.dumps(spec))
        running = Running(
            [
                *(sys.executable, "-m", "dib_service.engine", "build"),
                described,
                *("--output-dir", self.output),
                *("--workspace", self.workspace),
                *("--element-path", self.elements),
                *options,
            ]
        )
        self.pids.append(running.process.pid)
        return running

    def build(self, *names: str, **spec) -> "Running":
        """A build that has ended."""
        running = self.start(*names, **spec)
        self.addCleanup(running.process.stdout.close)
        running.finish()
        return running

    def assert_nothing_is_left(self):
        """No mount, loop device, file or process of any build of ours."""
        self.assertEqual([], self.left_over())

    def left_over(self) -> list[str]:
        loops = subprocess.run(
            ["losetup", "--list", "--noheadings", "--output", "BACK-FILE"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        mounts = Path("/proc/mounts").read_text().splitlines()
        mine = str(self.workspace)
        return [
            *(line for line in loops + mounts if mine in line),
            *(str(path) for path in self.workspace.glob("*")),
            *processes_with(mine),
            *groups(self.pids),
        ]

    def wait_until_nothing_is_left(self):
        give_up = time.monotonic() + 60
        while self.left_over() and time.monotonic() < give_up:
            time.sleep(0.05)
        self.assert_nothing_is_left()


class Running:
    """A dib-engine at work."""

    def __init__(self, words):
        self.events = []
        self.process = subprocess.Popen(
            words,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "OS_TOKEN": "a token of the builder"},
        )

    def next_event(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"it ended: {self.events[-3:]}")
        self.events.append(json.loads(line))
        return self.events[-1]

    def wait_for(self, text: str) -> None:
        """Until a hook says text."""
        while self.next_event().get("text") != text:
            pass

    def finish(self) -> int:
        while line := self.process.stdout.readline():
            self.events.append(json.loads(line))
        return self.process.wait(60)

    @property
    def code(self) -> int:
        return self.process.returncode

    def of_kind(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["kind"] == kind]

    def lines(self, hook: str | None = None) -> list[str]:
        """What the hooks said, or one of them."""
        return [
            event["text"]
            for event in self.of_kind("line")
            if hook in (None, event.get("hook"))
        ]

    def variables(self, hook: str) -> dict[str, str]:
        """What a hook that ran env had in its environment."""
        return dict(
            line.split("=", 1) for line in self.lines(hook) if "=" in line
        )

    @property
    def fault(self) -> dict:
        [fault] = self.of_kind("fault")
        return fault


def processes_with(marker: str) -> list[str]:
    """The command lines of processes that have marker in theirs, or in
    their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in command + environment:
            found.append(f"{entry.name}: {command!r}")
    return found


def groups(pids: list[int]) -> list[str]:
    """The control groups of these engines, wherever the host has them."""
    return [
        str(path)
        for pid in pids
        for path in Path("/sys/fs/cgroup").glob(f"**/dib-engine-{pid}")
    ]
