"""What hooks find in each phase, and where a build may be stopped."""

import os
import pty
import subprocess
import sys

from dib_service.engine import catalogue
from tests.integration.engine import tiny

# Values that differ from build to build, but for how they end.
PLACES = {
    "DIB_BLOCK_DEVICE_PARAMS_YAML": "/block-device/params.yaml",
    "DIB_PYTHON_EXEC": "/hooks/dib-python3",
    "TMP_BUILD_DIR": "",
    "TMP_HOOKS_PATH": "/hooks",
    "TMP_IMAGE_DIR": "/image",
    "TMP_MOUNT_PATH": "/mnt",
}
# What the contract has in every phase, as diskimage-builder 3.43 was seen to.
ALWAYS = {
    *("ARCH", "DIB_ARGS", "DIB_BOOT_LABEL", "DIB_CHECKSUM"),
    *("DIB_DEBUG_TRACE", "DIB_ENV", "DIB_IMAGE_CACHE", "DIB_LOCKFILES"),
    *("DIB_MIN_TMPFS", "DIB_MOUNTPOINTS", "DIB_NO_TMPFS", "DIB_OFFLINE"),
    *("DIB_ROOT_FSTYPE", "DIB_ROOT_LABEL", "ELEMENTS_PATH", "FS_TYPE"),
    *("HOME", "IMAGE_ELEMENT", "IMAGE_ELEMENT_YAML", "IMAGE_NAME"),
    *("IMAGE_TYPE", "LC_ALL", "OUT_IMAGE_PATH", "PATH", "PWD", "_LIB"),
    *PLACES,
}
FUNCTIONS = {"BASH_FUNC_die%%", "BASH_FUNC_get_image_element_array%%"}
OUTSIDE = {"PS4", *FUNCTIONS}
INSIDE = {"LOGNAME", "USER"}
DISK = {"DIB_IMAGE_SIZE", "IMAGE_BLOCK_DEVICE", "IMAGE_BLOCK_DEVICES"}
# A shell's own, which one that runs env adds.
SHELLS = {"SHLVL", "_", "OLDPWD"}


def expected(phase: str) -> set[str]:
    """The names of all variables that a hook of a phase has."""
    found = ALWAYS | (INSIDE if phase in catalogue.INSIDE else OUTSIDE)
    if phase != "root.d":
        found |= {"DIB_DEFAULT_INSTALLTYPE"}
    if phase in ("root.d", "block-device.d", "cleanup.d"):
        found |= {"TARGET_ROOT"}
    if phase == "block-device.d":
        found |= {"DIB_IMAGE_SIZE"}
    if phase in ("pre-finalise.d", "finalise.d", "cleanup.d"):
        found |= DISK
    return found


class Environment(tiny.TinyBuild):
    def setUp(self):
        super().setUp()
        self.element(
            "trace",
            {
                f"{phase}/20-{phase[:-2]}": (
                    "env -0 | while IFS= read -r -d '' each; do\n"
                    "  echo \"${each%%$'\\n'*}\"\n"
                    "done\n"
                    'echo "umask $(umask)"\n'
                )
                for phase in catalogue.PHASES
            },
        )
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        self.built = self.build("trace", environment={})
        self.assertEqual(0, self.built.code, self.built.events[-5:])

    def seen(self, phase):
        return self.built.variables(f"20-{phase.removesuffix('.d')}")

    def test_each_phase_has_the_contracts_variables_and_no_others(self):
        for phase in catalogue.PHASES:
            with self.subTest(phase):
                self.assertEqual(
                    expected(phase), set(self.seen(phase)) - SHELLS
                )

    def test_the_same_places_in_each_phase(self):
        for phase in catalogue.PHASES:
            seen = self.seen(phase)
            for name, ending in PLACES.items():
                self.assertTrue(seen[name].endswith(ending), seen[name])

    def test_where_the_tree_is(self):
        self.assertTrue(self.seen("root.d")["TARGET_ROOT"].endswith("/mnt"))
        before = self.seen("block-device.d")["TARGET_ROOT"]
        self.assertTrue(before.endswith("/built"), before)

    def test_the_size_of_the_disk_before_and_after_there_is_one(self):
        before = int(self.seen("block-device.d")["DIB_IMAGE_SIZE"])
        after = int(self.seen("finalise.d")["DIB_IMAGE_SIZE"])
        self.assertEqual(before, after)
        self.assertEqual(after * 1024, self.virtual_size())

    def virtual_size(self):
        [artefact] = self.built.of_kind("artefact")
        return artefact["virtual_size"]

    def test_inside_is_a_login_of_roots(self):
        seen = self.seen("install.d")
        self.assertEqual("/", seen["PWD"])
        self.assertEqual("/root", seen["HOME"])
        self.assertEqual("root", seen["USER"])
        self.assertEqual(
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            seen["PATH"],
        )

    def test_the_umask_is_not_the_callers(self):
        for phase in catalogue.PHASES:
            hook = f"20-{phase.removesuffix('.d')}"
            self.assertIn("umask 0022", self.built.lines(hook))


class Disk(tiny.TinyBuild):
    ASK = (
        "ask() { python3 $_LIB/dib-block-device.py getval $1; }\n"
        "ask root-label; ask image-path || true; ask image-block-device\n"
    )

    def test_hooks_ask_for_the_disk(self):
        self.element(
            "trace",
            {
                "extra-data.d/10-before": self.ASK.replace(
                    "image-block-device", "mount-points"
                ),
                "pre-finalise.d/10-after": (
                    self.ASK + 'cat "$DIB_BLOCK_DEVICE_PARAMS_YAML"'
                ),
            },
        )
        built = self.build("trace")
        self.assertEqual(0, built.code, built.events[-5:])
        before, after = built.lines("10-before"), built.lines("10-after")
        self.assertEqual(["cloudimg-rootfs", "/"], [before[0], before[-1]])
        self.assertIn("no image-path here", before[1])
        self.assertTrue(after[1].endswith("/image/image0.raw"), after)
        self.assertTrue(after[2].startswith("/dev/loop"), after)
        self.assertIn("root-label: cloudimg-rootfs", after)

    def test_a_hook_that_has_made_the_disk_itself_is_refused(self):
        self.element(
            "old",
            {"block-device.d/10-x": "echo IMAGE_BLOCK_DEVICE=/dev/loop9"},
        )
        built = self.build("old")
        self.assertEqual("legacy-block-device", built.fault["code"])
        self.assertEqual("old", built.fault["element"])
        self.assertIn("block-device-default.yaml", built.fault["message"])


class Faults(tiny.TinyBuild):
    def test_what_hooks_have_mounted_is_not_in_the_image(self):
        lend = (
            'mkdir -p "$TMP_MOUNT_PATH/{0}"\n'
            'mount --bind "$_LIB" "$TMP_MOUNT_PATH/{0}"'
        )
        self.element(
            "lends",
            {
                "root.d/50-x": lend.format("cache"),
                "extra-data.d/50-x": lend.format("more"),
                "post-install.d/10-x": "ls /cache/die /more/die",
                "pre-finalise.d/50-x": lend.format("late"),
                "finalise.d/10-y": "ls -A /cache /more; ls /late/die",
                "cleanup.d/10-z": 'echo "in: $(ls -A "$TARGET_ROOT/cache")"',
            },
        )
        built = self.build("lends", formats=["raw"])
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertIn("/cache/die", built.lines("10-x"))
        self.assertEqual(
            ["/cache:", "", "/more:", "/late/die"], built.lines("10-y")
        )
        listed = subprocess.run(
            ["debugfs", "-R", "ls -p /late", self.output / "image.raw"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.assertNotIn("die", listed)
        self.assert_nothing_is_left()

    def test_a_tree_without_bash(self):
        self.element("bare", {"install.d/10-x": "true"})
        tree = self.elements / "tiny/root.d/10-tiny"
        tree.write_text(tree.read_text() + 'rm "$TARGET_ROOT/usr/bin/bash"\n')
        built = self.build("bare")
        self.assertEqual("no-shell", built.fault["code"])
        self.assertIn("install.d/10-x", built.fault["message"])
        self.assertIn("no /bin/bash", built.fault["message"])

    def test_a_tree_without_the_directories_that_are_tidied(self):
        self.element(
            "less",
            {
                "install.d/10-x": "true",
                "cleanup.d/10-x": (
                    'rm -r "$TARGET_ROOT"/{root,var}\n'
                    'stat -c "%a" "$TARGET_ROOT/tmp"'
                ),
            },
        )
        tree = self.elements / "tiny/root.d/10-tiny"
        tree.write_text(tree.read_text() + 'rmdir "$TARGET_ROOT/tmp"\n')
        built = self.build("less")
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertEqual(["1777"], built.lines("10-x"))

    def test_what_not_even_root_may_delete_is_deleted(self):
        self.element(
            "stays",
            {
                "post-root.d/10-x": (
                    'echo kept > "$TMP_MOUNT_PATH/etc/stays"\n'
                    'chattr +i "$TMP_MOUNT_PATH/etc/stays"'
                ),
                "finalise.d/10-y": "cat /etc/stays",
            },
        )
        built = self.build("stays")
        self.assertEqual(["kept"], built.lines("10-y"), built.events[-5:])
        self.assert_nothing_is_left()

    def test_hidden_files_at_the_root_survive(self):
        self.element(
            "dots",
            {
                "post-install.d/10-x": "echo kept > /.autorelabel",
                "finalise.d/10-y": "cat /.autorelabel",
            },
        )
        self.assertEqual(["kept"], self.build("dots").lines("10-y"))

    def test_no_secret_is_said(self):
        self.element(
            "tells",
            {
                "environment.d/10-x": (
                    "set -x\nexport MY_TOKEN=of-an-element\nset +x"
                ),
                "install.d/10-x": (
                    "set -x\n: $DIB_MY_PASSWORD $MY_TOKEN\n"
                    'test "$DIB_MY_PASSWORD" = "open sesame"\n'
                    'echo "$DIB_ENV" >&2; exit 3'
                ),
            },
        )
        built = self.build(
            "tells",
            environment={
                "DIB_MY_PASSWORD": "open sesame",
                "DIB_PROXY": "http://me:hidden@proxy",
            },
        )
        self.assertEqual("tells", built.fault["element"])
        self.assertEqual(3, built.fault["exit_code"])
        said = str(built.events)
        for secret in ("sesame", "of-an-element", "hidden"):
            self.assertNotIn(secret, said)
        self.assertIn("declare -x DIB_MY_PASSWORD", built.lines())
        self.assertIn(
            'declare -x DIB_PROXY="http://me:***@proxy"', built.lines()
        )


class ImageCreate(tiny.TinyBuild):
    """A person's build, on their own machine."""

    def create(self, *names, **variables):
        return [
            *(sys.executable, "-m"),
            "dib_service.engine.commands.image_create",
            *("-o", self.output / "my", "-t", "raw", "tiny", *names),
        ], {
            "ELEMENTS_PATH": str(self.elements),
            "HOME": str(self.place),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.workspace),
            **variables,
        }

    def made(self, *names, **variables):
        words, environment = self.create(*names, **variables)
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=tiny.CHECKOUT,
            env=environment,
        )

    def test_break_points_without_a_terminal(self):
        self.element("fails", {"finalise.d/10-x": "exit 7"})
        where = "echo at $(readlink /proc/self/root) $TMP_MOUNT_PATH"
        made = self.made(
            "fails",
            **{
                "break": "before-pre-install,after-post-root,after-error",
                "break_cmd": where,
            },
        )
        self.assertNotEqual(0, made.returncode)
        said = [line for line in made.stderr.splitlines() if "at /" in line]
        self.assertEqual(3, len(said), made.stderr)
        self.assertIn("fails: finalise.d/10-x exited 7", made.stderr)
        self.assertIn("10-x exited 7", made.stderr.splitlines()[-1])
        self.assert_nothing_is_left()

    def test_a_shell_without_a_terminal_is_not_waited_for(self):
        made = self.made(**{"break": "before-install"})
        self.assertEqual(0, made.returncode, made.stderr)
        self.assertIn("no terminal for a shell", made.stderr)

    def test_a_command_that_fails_ends_the_build(self):
        made = self.made(**{"break": "after-root", "break_cmd": "false"})
        self.assertEqual(1, made.returncode)
        self.assertIn("break_cmd exited 1 at after-root", made.stderr)

    def test_a_person_looks_into_the_tree(self):
        words, environment = self.create(**{"break": "after-install"})
        person, screen = pty.openpty()
        self.addCleanup(os.close, person)
        with subprocess.Popen(
            words,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            cwd=tiny.CHECKOUT,
            env=environment,
            start_new_session=True,
        ) as running:
            os.close(screen)
            os.write(person, b"echo $((6 * 7)) > /answer; cat /answer; exit\n")
            seen = b""
            try:
                while data := os.read(person, 65536):
                    seen += data
            except OSError:
                pass
        self.assertEqual(0, running.returncode, seen.decode())
        self.assertIn("\n42\r\n", seen.decode())
        self.assert_nothing_is_left()

    def test_a_request_from_elsewhere_sets_none(self):
        self.element("trace", {"install.d/10-x": "true"})
        built = self.build("trace", environment={"break": "before-install"})
        self.assertEqual("spec", built.fault["code"])
