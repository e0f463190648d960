"""What a test's processes have left of the host: next to nothing."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from dib_service.engine.gate import cell
from dib_service.engine.gate.plan import Plan, Settings

CHECKOUT = pathlib.Path(__file__).parents[3]
UID = 61000

# Stands for the warden; FACTS is what it says.
PROBE = """
import sys
sys.path.insert(0, {checkout!r})
import json, os, pathlib, socket, subprocess, time
from dib_service.engine.gate import cell, warden

def tried(what, *words):
    try:
        what(*words)
    except OSError as exc:
        return exc.strerror
    return "done"

def run(plan, accelerator):
    {body}
    return 0

warden.run = run
cell.main()
"""

LOOK = """
    status = pathlib.Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    print(json.dumps({
        "ids": os.getresuid() + os.getresgid(),
        "groups": os.getgroups(),
        "status": {name: each.strip() for name, each in lines.items()},
        "root": sorted(os.listdir("/")),
        "files": sorted(os.listdir("/files")),
        "image": pathlib.Path("/files/image").read_text(),
        "etc": sorted(os.listdir("/etc")),
        "processes": [n for n in os.listdir("/proc") if n.isdigit()],
        "links": [name for _, name in socket.if_nameindex()],
        "devices": sorted(os.listdir("/dev")),
        "host": tried(socket.create_connection, ("127.0.0.1", PORT), 5),
        "world": tried(socket.create_connection, ("192.0.2.1", 80), 5),
        "write": tried(pathlib.Path("/x").write_text, "x"),
        "image_write": tried(pathlib.Path("/files/image").write_text, "x"),
        "usr_write": tried(pathlib.Path("/usr/x").write_text, "x"),
        "scratch_write": tried(pathlib.Path("/scratch/x").write_text, "x"),
        "become": tried(os.setuid, 0),
        "node": tried(os.mknod, "/scratch/n", 0o60600, os.makedev(7, 0)),
        "qemu": subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True
        ).returncode,
        "ssh": subprocess.run(["ssh", "-V"], capture_output=True).returncode,
    }), flush=True)
"""

LINGER = """
    subprocess.Popen(["sleep", "7919"], start_new_session=True)
    print("lingering", flush=True)
    time.sleep(600)
"""


class Cell(unittest.TestCase):
    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("root puts others into a cell: run it as root")
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)
        for name in ("root", "files", "scratch"):
            (self.place / name).mkdir()
        (self.place / "files/image").touch()
        image = self.place / "secret/image"
        image.parent.mkdir(mode=0o700)
        image.write_text("the image")
        (self.place / "image").symlink_to(image)
        os.chown(self.place / "scratch", UID, UID)
        plan = Plan(
            *("login", "x86_64", ("bios",), Settings(uid=UID, kvm=False)),
            image="image",
        )
        (self.place / "plan.json").write_text(plan.to_json())

    def start(self, body: str) -> subprocess.Popen[str]:
        code = PROBE.format(checkout=str(CHECKOUT), body=body.strip())
        started = subprocess.Popen(
            [sys.executable, "-I", "-c", code, self.place, "unknown"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env={"PATH": cell_path()},
            text=True,
        )
        self.addCleanup(started.communicate)
        self.addCleanup(started.kill)
        return started

    def test_what_is_left(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            started = self.start(LOOK.replace("PORT", str(port)))
            said, complaints = started.communicate(timeout=60)
        self.assertEqual("", complaints)
        found = json.loads(said)
        self.assertEqual([UID] * 6, found["ids"])
        self.assertEqual([], found["groups"])
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(0, int(found["status"][name], 16), name)
        self.assertEqual("1", found["status"]["NoNewPrivs"])
        # A product, programs, and a directory to write in.
        self.assertLessEqual(
            set(found["root"]),
            {"dev", "etc", "files", "proc", "scratch", *cell.PROGRAMS},
        )
        self.assertEqual(["image"], found["files"])
        self.assertEqual("the image", found["image"])
        self.assertLessEqual(
            set(found["etc"]),
            {"passwd", "group", "nsswitch.conf", *cell.SETTINGS},
        )
        self.assertNotIn("kvm", found["devices"])
        self.assertEqual(2, len(found["processes"]))
        self.assertEqual(["lo"], found["links"])
        self.assertEqual("Connection refused", found["host"])
        self.assertEqual("Network is unreachable", found["world"])
        self.assertEqual("done", found["scratch_write"])
        for name in ("write", "image_write", "usr_write", "become", "node"):
            self.assertNotEqual("done", found[name], name)
        self.assertEqual((0, 0), (found["qemu"], found["ssh"]))

    def test_nothing_outlives_whoever_started_it(self) -> None:
        started = self.start(LINGER)
        assert started.stdout
        self.assertEqual("lingering\n", started.stdout.readline())
        self.assertEqual(1, len(sleepers()))
        started.send_signal(signal.SIGKILL)
        started.wait()
        deadline = time.monotonic() + 10
        while sleepers() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual([], sleepers())


def cell_path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sleepers() -> list[str]:
    """Processes that only this test starts."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if words == b"sleep\x007919\0":
            found.append(path.parent.name)
    return found
