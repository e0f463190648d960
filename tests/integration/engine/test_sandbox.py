"""What a build sees of the machine, and what is left when it is killed."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile

from dib_service.engine import sandbox
from tests.integration.engine import tiny

STRAY = """
setsid sleep 600 & disown
echo ready
sleep 600
"""

# Takes away whatever is mounted on these paths and above them, as far as
# that goes, and looks at what was beneath; in mounts of its own, as the build
# still needs its own.
UNCOVERS = """
unshare --mount bash -s {paths} <<'INSIDE'
for path in "$@"; do
    above=$path
    while [ "$above" != / ]; do
        while umount --lazy "$above" 2>/dev/null; do :; done
        above=${{above%/*}} above=${{above:-/}}
    done
done
for path in "$@"; do echo "$path: $(<"$path")"; done 2>&1
echo uncovered
INSIDE
"""


class Sight(tiny.TinyBuild):
    def in_opt(self) -> Path:
        """A directory that is not below /tmp, of which a build has its own."""
        place = Path(tempfile.mkdtemp(prefix="dib-engine-test-", dir="/opt"))
        self.addCleanup(subprocess.run, ["rm", "-r", place])
        return place

    def test_what_is_hidden_is_out_of_sight(self):
        secret = self.place / "secret"
        secret.mkdir()
        (secret / "token").write_text("a secret of the builder\n")
        conf = self.place / "builder.conf"
        conf.write_text("a secret of the builder\n")
        self.element(
            "looks",
            {
                "extra-data.d/10-x": (
                    f"ls -A {secret} {conf} || true\n"
                    f"cat {secret}/token {conf} || true\n"
                    "echo looked"
                )
            },
        )
        built = self.build("looks", options=["--hide", secret, conf])
        self.assertEqual(0, built.code)
        self.assertIn("looked", built.lines("10-x"))
        self.assertNotIn("a secret of the builder", str(built.events))

    def test_what_is_hidden_on_a_disk_that_is_seen(self):
        place = self.in_opt()
        secret = place / "state"
        secret.mkdir()
        (secret / "token").write_text("a secret of the builder\n")
        self.workspace = secret / "builds"
        self.output = secret / "output"
        self.element(
            "looks",
            {
                "extra-data.d/10-x": (
                    f"ls -A {place}; echo in: $(ls -A {secret})\n"
                    f"cat {secret}/token || true"
                )
            },
        )
        built = self.build("looks", options=["--hide", secret])
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertIn("in: builds", built.lines("10-x"))
        self.assertNotIn("a secret of the builder", str(built.events))
        self.assertTrue((self.output / "image.qcow2").is_file())

    def test_nothing_is_hidden_beneath_a_mount(self):
        place = self.in_opt()
        secret = place / "state/token"
        conf = place / "builder.conf"
        handle, name = tempfile.mkstemp(dir="/var/tmp")
        os.close(handle)
        mark = Path(name)
        self.addCleanup(mark.unlink)
        secret.parent.mkdir()
        for path in (secret, conf, mark):
            path.write_text("a secret of the builder\n")
        paths = f"{secret} {conf} {mark}"
        self.element(
            "looks", {"extra-data.d/10-x": UNCOVERS.format(paths=paths)}
        )
        built = self.build("looks", options=["--hide", secret.parent, conf])
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertIn("uncovered", built.lines("10-x"))
        self.assertNotIn("a secret of the builder", str(built.events))

    def test_what_comes_later_is_hidden_too(self):
        place = self.in_opt()
        conf = place / "builder.conf"
        go = self.elements / "go"
        self.element(
            "looks",
            {
                "extra-data.d/10-x": "echo ready; while :; do\n"
                f"[ ! -e {go} ] || exit 0; sleep 0.1; done",
                "extra-data.d/20-x": f"cat {conf} || echo none",
            },
        )
        running = self.start("looks", options=["--hide", conf])
        self.addCleanup(running.process.stdout.close)
        running.wait_for("ready")
        conf.write_text("a secret of the builder\n")
        go.write_text("")
        running.finish()
        self.assertEqual(["none"], running.lines("20-x")[-1:])

    def test_nobody_answers_for_the_hosts_services(self):
        # "systemctl" in a hook is meant for the image.
        bus = Path("/run/dbus")
        bus.mkdir(exist_ok=True)
        mark = bus / "dib-engine-test-mark"
        mark.write_text("")
        self.addCleanup(mark.unlink)
        self.element(
            "looks", {"extra-data.d/10-x": 'echo "bus: $(ls -A /run/dbus)"'}
        )
        built = self.build("looks")
        self.assertEqual(["bus: "], built.lines("10-x"))

    def test_a_hook_finds_the_machine_as_it_is(self):
        self.element(
            "looks",
            {
                "extra-data.d/10-x": "stat -c %a:%U /etc /root /tmp /var/lib\n"
                "readlink /bin || stat -c %F /bin\n"
                "stat -c %i /etc/passwd; cat /etc/resolv.conf >/dev/null\n"
                "cat /proc/1/comm; echo > /dev/null; ls /sys >/dev/null\n"
                "touch /etc/dib-engine-test && echo wrote",
            },
        )
        built = self.build("looks")
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertFalse(Path("/etc/dib-engine-test").exists())
        said = built.lines("10-x")
        self.assertEqual("wrote", said[-1])
        here = subprocess.run(
            "stat -c %a:%U /etc /root /tmp /var/lib; readlink /bin ||"
            "stat -c %F /bin; stat -c %i /etc/passwd",
            shell=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        self.assertEqual(here, said[: len(here)])

    def test_hooks_cannot_do_what_no_element_needs(self):
        ask = "while read -r line; do echo $line; done < /proc/self/status"
        self.element(
            "looks", {"extra-data.d/10-x": ask, "install.d/20-y": ask}
        )
        built = self.build("looks")
        for hook in ("10-x", "20-y"):
            status = dict(
                line.split(": ", 1)
                for line in built.lines(hook)
                if ": " in line
            )
            held = int(status["CapEff"], 16) | int(status["CapBnd"], 16)
            for name, number in sandbox.FORGONE.items():
                self.assertFalse(held >> number & 1, name)
            # To make an image: chown, setfcap, mknod, chroot, mounts.
            for number in (0, 31, 27, 18, 21):
                self.assertTrue(held >> number & 1, number)

    def test_no_process_but_the_builds_own(self):
        self.element(
            "looks",
            {
                "extra-data.d/10-out": "cat /proc/[0-9]*/cmdline",
                "install.d/10-in": "cat /proc/[0-9]*/cmdline",
            },
        )
        built = self.build("looks")
        for hook in ("10-out", "10-in"):
            said = " ".join(built.lines(hook))
            self.assertIn("inner.main()", said)
            self.assertNotIn("unittest", said)
            self.assertNotIn(str(self.place / "spec.json"), said)

    def test_no_environment_of_the_caller_in_any_process(self):
        self.element(
            "looks",
            {"extra-data.d/10-x": "cat /proc/*/environ | tr '\\0' '\\n'"},
        )
        built = self.build("looks")
        self.assertIn("LC_ALL=C", built.lines("10-x"))
        self.assertNotIn("a token of the builder", str(built.events))

    def test_no_disk_of_the_host_in_dev(self):
        self.element(
            "looks", {"extra-data.d/10-x": "find /dev -type b | sort -u"}
        )
        built = self.build("looks")
        others = [
            line
            for line in built.lines("10-x")
            if not line.startswith("/dev/loop")
        ]
        self.assertEqual([], others)

    def test_the_hosts_tmp_is_another(self):
        mark = Path("/tmp/dib-engine-test-mark")
        mark.write_text("")
        self.addCleanup(mark.unlink)
        self.element(
            "looks",
            {"extra-data.d/10-x": f"ls {mark} || echo none; echo > /tmp/own"},
        )
        built = self.build("looks")
        self.assertIn("none", built.lines("10-x"))
        self.assertFalse(Path("/tmp/own").exists())


# Binds all of the host into a directory and builds with that as its root: no
# mount point, as a chroot's that somebody made by hand.
IN_CHROOT = """
set -eu
root=$1
shift
mount --make-rshared /
for path in /*; do
    place=$root$path
    if [ -L "$path" ]; then
        cp -P "$path" "$place"
    elif [ -d "$path" ]; then
        mkdir "$place"
        case $path in
            /proc) mount -t proc proc "$place" ;;
            *) mount --rbind "$path" "$place" ;;
        esac
    fi
done
before=$(cat /proc/self/mountinfo | wc -l)
chroot "$root" "$@"
test "$before" = "$(cat /proc/self/mountinfo | wc -l)"
"""


class InChroot(tiny.TinyBuild):
    def in_chroot(self, *words, **environment):
        root = self.place / "chroot"
        root.mkdir()
        return subprocess.run(
            [
                *("unshare", "--mount", "bash", "-c", IN_CHROOT, "bash"),
                *(root, "env", f"PYTHONPATH={tiny.CHECKOUT}", "--chdir=/"),
                *(sys.executable, "-m", *words),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )

    def test_a_root_that_is_no_mount_point(self):
        described = self.place / "spec.json"
        self.element("looks", {"extra-data.d/10-x": "findmnt -n -o FSTYPE /"})
        described.write_text(
            json.dumps({"version": 1, "elements": ["tiny", "looks"]})
        )
        built = self.in_chroot(
            *("dib_service.engine", "build", described),
            *("--output-dir", self.output, "--workspace", self.workspace),
            *("--element-path", self.elements),
        )
        self.assertEqual(0, built.returncode, built.stdout + built.stderr)
        self.assertIn('"text": "tmpfs"', built.stdout)
        self.assertTrue((self.output / "image.qcow2").is_file())
        self.assert_nothing_is_left()

    def test_a_persons_build_there(self):
        built = self.in_chroot(
            "dib_service.engine.commands.image_create",
            *("-o", self.output / "image"),
            "tiny",
            ELEMENTS_PATH=str(self.elements),
            TMPDIR=str(self.workspace),
        )
        self.assertEqual(0, built.returncode, built.stdout + built.stderr)
        self.assertTrue((self.output / "image.qcow2").is_file())


class Ending(tiny.TinyBuild):
    def started(self, phase: str) -> tiny.Running:
        self.element("strays", {f"{phase}/20-strays": STRAY})
        running = self.start("strays")
        self.addCleanup(running.process.stdout.close)
        running.wait_for("ready")
        return running

    def test_sigkill_leaves_nothing(self):
        for phase in ("root.d", "extra-data.d", "install.d", "finalise.d"):
            with self.subTest(phase):
                running = self.started(phase)
                self.assertNotEqual([], self.left_over())
                running.process.kill()
                running.process.wait(10)
                self.wait_until_nothing_is_left()
                subprocess.run(
                    ["rm", "-r", self.elements / "strays"], check=True
                )

    def test_sigterm_is_told_and_leaves_nothing(self):
        for phase in ("extra-data.d", "finalise.d"):
            with self.subTest(phase):
                running = self.started(phase)
                running.process.terminate()
                self.assertEqual(1, running.finish())
                self.assertEqual("stopped", running.fault["code"])
                self.wait_until_nothing_is_left()
                subprocess.run(
                    ["rm", "-r", self.elements / "strays"], check=True
                )

    def test_an_inner_process_that_dies_is_told(self):
        self.element("kills", {"extra-data.d/10-x": "echo ready; sleep 600"})
        running = self.start("kills")
        self.addCleanup(running.process.stdout.close)
        running.wait_for("ready")
        [inner] = [
            pid
            for pid in children(running.process.pid)
            if b"inner.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(inner, signal.SIGKILL)
        self.assertEqual(1, running.finish())
        self.assertEqual("died", running.fault["code"])
        self.wait_until_nothing_is_left()

    def test_what_a_hook_leaves_in_the_tree_holds_nothing_up(self):
        for phase in ("extra-data.d", "post-install.d", "cleanup.d"):
            with self.subTest(phase):
                stays = "cd $TMP_MOUNT_PATH/var || cd /var\nsleep 600 & disown"
                self.element("stays", {f"{phase}/10-x": stays})
                built = self.build("stays")
                self.assertEqual(0, built.code, built.events[-9:])
                self.assert_nothing_is_left()
                subprocess.run(
                    ["rm", "-r", self.elements / "stays"], check=True
                )

    def test_what_a_dead_engine_left_is_reclaimed(self):
        left = self.workspace / "dib-engine-left"
        (left / "build").mkdir(parents=True)
        self.assertEqual(0, self.build().code)
        self.assertFalse(left.exists())

    def test_what_a_living_engine_has_is_not(self):
        running = self.started("extra-data.d")
        [theirs] = self.workspace.glob("dib-engine-*")
        self.assertEqual(0, self.build().code)
        self.assertTrue((theirs / "out").is_dir())
        running.process.kill()
        running.process.wait(10)
        self.wait_until_nothing_is_left()


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()]
