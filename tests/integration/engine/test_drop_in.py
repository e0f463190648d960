"""diskimage-builder's commands by their names, as processes of their own.

What is compared here was seen of diskimage-builder 3.43: its exit codes, the
names of its files, who owns them, and which of its streams has the log.
"""

import os
import pwd
import re
import signal
import subprocess
import sys

from tests.integration.engine import tiny

DROP_IN = tiny.CHECKOUT / "drop-in"

# An ordinary user for whom sudo does all; what is mounted over the host's
# own rules is seen by nobody else. The one capability stands for an
# interpreter that the user may read, wherever the tests have theirs.
UNPRIVILEGED = """\
set -eu
mount --bind "$1" /etc/sudoers
shift
exec setpriv --reuid=nobody --regid=nogroup --clear-groups \\
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search \\
    "$@"
"""


class DropIns(tiny.TinyBuild):
    def setUp(self):
        super().setUp()
        # As the scripts of an installation do, they find dib-drop-in.
        programs = self.place / "bin"
        programs.mkdir()
        program = programs / "dib-drop-in"
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"sys.path.insert(0, {str(tiny.CHECKOUT)!r})\n"
            "from dib_service.engine.commands import drop_in\n"
            "sys.exit(drop_in.main())\n"
        )
        program.chmod(0o755)
        self.output.mkdir()
        self.workspace.mkdir()
        self.environment = {
            "DIB_NO_TIMESTAMP": "1",
            "ELEMENTS_PATH": str(self.elements),
            "HOME": str(self.place / "home"),
            "PATH": f"{DROP_IN}:{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "TMPDIR": str(self.workspace),
        }

    def call(self, *words, **environment):
        return subprocess.run(
            words,
            cwd=self.output,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def files(self):
        return sorted(path.name for path in self.output.iterdir())

    def assert_ends_with(self, *words):
        """The build of the element slow does, when its caller is killed."""
        self.element("slow", {"extra-data.d/10-x": "echo waiting; sleep 1000"})
        caller = subprocess.Popen(
            words,
            cwd=self.output,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(caller.stdout.close)
        while caller.stdout.readline() != "waiting\n":
            self.assertIsNone(caller.poll())
        caller.send_signal(signal.SIGKILL)
        caller.wait()
        self.wait_until_nothing_is_left()


class DiskImageCreate(DropIns):
    def test_as_nodepool_calls_it(self):
        self.element("pip", {})
        done = self.call(
            *("disk-image-create", "-x", "-t", "raw,qcow2", "--checksum"),
            *("--no-tmpfs", "--qemu-img-options", "compat=0.10"),
            *("-o", str(self.output / "sub/tiny-0000000001"), "tiny", "pip"),
            DIB_SHOW_IMAGE_USAGE="1",
            DIB_IMAGE_CACHE=str(self.place / "cache"),
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(["sub"], self.files())
        made = {path.name for path in (self.output / "sub").iterdir()}
        for name in ("tiny-0000000001.raw", "tiny-0000000001.qcow2"):
            self.assertLessEqual({name, f"{name}.md5", f"{name}.sha256"}, made)
        described = subprocess.run(
            ["qemu-img", "info", self.output / "sub/tiny-0000000001.qcow2"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.assertIn("compat: 0.10", described)
        # The log is on stdout, as theirs.
        self.assertIn("what takes the room in the image:", done.stdout)
        self.assertTrue((self.place / "cache").is_dir())
        self.assert_nothing_is_left()

    def test_the_exit_code_is_the_hooks(self):
        self.element("fails", {"install.d/20-f": "exit 42"})
        done = self.call("disk-image-create", "tiny", "fails")
        self.assertEqual(42, done.returncode)
        self.assertIn("install.d/20-f exited 42", done.stdout.splitlines()[-1])
        self.assertEqual([], self.files())
        self.assert_nothing_is_left()

    def test_what_is_wrong_before_that_ends_with_one(self):
        for words in (
            ("--colour", "tiny"),
            ("-o",),
            (),
            ("none",),
            ("-n", "base"),
        ):
            with self.subTest(words):
                done = self.call("disk-image-create", *words)
                self.assertEqual(1, done.returncode)

    def test_an_old_image_is_kept_by_another_name(self):
        for code in ("1", "2"):
            done = self.call("disk-image-create", "-t", "raw", "tiny")
            self.assertEqual(0, done.returncode, code)
        images = [name for name in self.files() if name.endswith(".raw")]
        self.assertEqual("image.raw", images.pop())
        self.assertRegex(
            images.pop(),
            r"^image-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d\.raw$",
        )
        self.call(
            *("disk-image-create", "-t", "raw", "tiny"),
            OVERWRITE_OLD_IMAGE="1",
        )
        left = [name for name in self.files() if name.endswith(".raw")]
        self.assertEqual(2, len(left))

    def test_a_log_file_has_the_log_and_the_terminal_has_not(self):
        done = self.call("disk-image-create", "tiny", "--logfile", "my.log")
        self.assertEqual("the log goes to my.log\n", done.stdout)
        lines = (self.output / "my.log").read_text().splitlines()
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\d [\d:]+\.\d{3} \| ")

    def test_a_clear_environment_is_one(self):
        # ELEMENTS_PATH goes with all the rest, as it does there.
        done = self.call("disk-image-create", "-c", "-n", "tiny")
        self.assertEqual(1, done.returncode)
        self.assertIn("element 'tiny' not found", done.stdout)

    def test_sizes_and_labels(self):
        done = self.call(
            *("disk-image-create", "tiny", "-t", "raw"),
            *("--image-size", "0.25", "--root-label", "mine"),
            *("--mkfs-journal-size", "8", "--mkfs-options", "-m 2"),
        )
        self.assertEqual(0, done.returncode, done.stdout)
        image = self.output / "image.raw"
        self.assertEqual(256 * 1024**2, image.stat().st_size)
        shown = subprocess.run(
            ["dumpe2fs", "-h", image],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        facts = dict(
            re.split(r":\s+", line, maxsplit=1)
            for line in shown.splitlines()
            if re.search(r":\s+\S", line)
        )
        self.assertEqual("mine", facts["Filesystem volume name"])
        self.assertEqual("8M", facts["Total journal size"])
        reserved = int(facts["Reserved block count"])
        self.assertAlmostEqual(
            0.02, reserved / int(facts["Block count"]), places=3
        )

    def test_in_memory(self):
        self.element(
            "where",
            {"extra-data.d/1-x": 'stat -f -c "it is %T" "$TMP_BUILD_DIR"'},
        )
        done = self.call(
            "disk-image-create", "tiny", "where", "--min-tmpfs", "0.1"
        )
        self.assertIn("it is tmpfs\n", done.stdout)
        self.assertIn("image.qcow2", self.files())
        done = self.call(
            "disk-image-create", "tiny", "where", "--min-tmpfs", "99999"
        )
        self.assertNotIn("it is tmpfs\n", done.stdout)
        self.assertIn("too little memory is free", done.stdout)

    def test_what_a_person_has_mounted_is_unmounted(self):
        self.element("fails", {"install.d/20-f": "exit 3"})
        extra = {
            "EXTRA_DETACH": "echo detaches",
            "EXTRA_UNMOUNT": "echo unmounts",
        }
        done = self.call("disk-image-create", "tiny", **extra)
        self.assertEqual(2, done.stdout.count("detaches\n"))
        self.assertEqual(1, done.stdout.count("unmounts\n"))
        done = self.call("disk-image-create", "tiny", "fails", **extra)
        self.assertIn("detaches\nunmounts\n", done.stdout)
        self.assertEqual(3, done.returncode)


class RamdiskImageCreate(DropIns):
    def test_what_its_element_writes_is_what_is_made(self):
        self.element(
            "ramdisk",
            {
                "cleanup.d/99-x": (
                    'touch "$IMAGE_NAME.kernel" "$IMAGE_NAME.initramfs"'
                )
            },
        )
        done = self.call("ramdisk-image-create", "-o", "deploy", "tiny")
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertEqual(
            ["deploy.initramfs", "deploy.kernel"],
            [name for name in self.files() if "sha" not in name],
        )


class Sudo(DropIns):
    def setUp(self):
        super().setUp()
        self.rules = self.place / "sudoers"
        self.allow("nobody ALL=(ALL) NOPASSWD: ALL")
        script = self.place / "unprivileged"
        script.write_text(UNPRIVILEGED)
        for place in (self.output, self.workspace):
            os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)
        home = self.place / "home"
        home.mkdir()
        os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
        self.place.chmod(0o755)
        self.words = ("unshare", "-m", "bash", str(script), str(self.rules))

    def allow(self, rule):
        self.rules.write_text(
            f"Defaults env_reset\nroot ALL=(ALL) ALL\n{rule}\n"
        )
        self.rules.chmod(0o440)

    def test_an_ordinary_user_gets_an_image_of_their_own(self):
        self.element(
            "nosy",
            {
                "extra-data.d/10-x": (
                    'echo "$MINE by $(id -u) from $HOME with $LD_LIBRARY_PATH"'
                    '; mkdir "$IMAGE_NAME.d"; touch "$DIB_IMAGE_CACHE/kept"'
                )
            },
        )
        done = self.call(
            *self.words,
            *("disk-image-create", "-t", "raw", "-o", "new/my", "tiny"),
            *("nosy", "--logfile", "my.log"),
            MINE="a 'secret'\nof mine",
            LD_LIBRARY_PATH="/nowhere",
            DIB_QUIET="0",
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        home = self.place / "home"
        self.assertIn("a 'secret'\nof mine by 0 from ", done.stdout)
        self.assertIn(f"from {home} with /nowhere\n", done.stdout)
        cache = home / ".cache"
        for path in (
            *self.output.rglob("*"),
            *cache.rglob("*"),
        ):
            self.assertEqual("nobody", path.owner(), path)
        self.assertTrue((cache / "image-create/kept").exists())
        self.assertTrue((self.output / "new/my.d").is_dir())
        self.assert_nothing_is_left()

    def test_the_exit_code_is_the_hooks_here_too(self):
        self.element("fails", {"install.d/20-f": "exit 42"})
        done = self.call(*self.words, "disk-image-create", "tiny", "fails")
        self.assertEqual(42, done.returncode, done.stderr)

    def test_who_may_not_is_told_so(self):
        self.allow("")
        done = self.call(*self.words, "disk-image-create", "tiny")
        self.assertEqual(1, done.returncode)
        self.assertIn("this needs root", done.stderr)
        self.assertEqual([], self.files())

    def test_nor_may_they_write_where_they_may_not_without_it(self):
        closed = self.output / "closed"
        closed.mkdir(mode=0o755)
        words = ("disk-image-create", "-o", "closed/my", "tiny")
        done = self.call(*self.words, *words)
        self.assertEqual(1, done.returncode)
        self.assertIn("not writable", done.stderr)
        self.assertEqual("", done.stdout)
        self.assertEqual([], list(closed.iterdir()))

    def test_a_mistake_needs_no_root(self):
        self.allow("")
        done = self.call(*self.words, "disk-image-create", "--help")
        self.assertEqual(0, done.returncode)

    def test_the_build_ends_with_its_caller(self):
        self.assert_ends_with(*self.words, "disk-image-create", "tiny", "slow")


class DiskimageBuilder(DropIns):
    def test_images_of_a_file(self):
        self.element("fails", {"install.d/20-f": "exit 42"})
        (self.output / "images.yaml").write_text(
            "- imagename: one\n"
            "  types: [raw]\n"
            "  environment: {MINE: of one}\n"
            "  elements: [tiny, nosy]\n"
            "  image-extra-size: 64\n"
            "  mkfs-journal-size: 4\n"
            "- imagename: two\n"
            "  elements: [tiny, fails]\n"
            "- imagename: three\n"
            "  types: [raw]\n"
            "  elements: [tiny]\n"
        )
        self.element("nosy", {"install.d/1-x": 'echo "it is $MINE"'})
        done = self.call("diskimage-builder", "images.yaml")
        self.assertEqual(1, done.returncode)
        self.assertEqual(
            "diskimage-builder: image two failed with exit code 42",
            done.stderr.splitlines()[-1],
        )
        self.assertIn("it is of one\n", done.stdout)
        self.assertIn(
            "MINE='of one' disk-image-create -o one -t raw "
            "--image-extra-size 64 --mkfs-journal-size 4 tiny nosy\n",
            done.stderr,
        )
        self.assertLessEqual({"one.raw", "three.raw"}, set(self.files()))
        sizes = [
            (self.output / name).stat().st_size
            for name in ("one.raw", "three.raw")
        ]
        self.assertGreater(sizes[0], sizes[1])

    def test_an_image_ends_with_its_caller(self):
        (self.output / "images.yaml").write_text("- elements: [tiny, slow]\n")
        self.assert_ends_with("diskimage-builder", "images.yaml")

    def test_a_dry_run_builds_nothing(self):
        (self.output / "images.yaml").write_text("- {elements: [tiny]}\n")
        done = self.call("diskimage-builder", "--dry-run", "images.yaml")
        self.assertEqual(0, done.returncode)
        self.assertEqual(["images.yaml"], self.files())


class ElementInfo(DropIns):
    def setUp(self):
        super().setUp()
        self.element("web", {"element-deps": "zeta\nalpha\n"})
        self.element("zeta", {})
        self.element("alpha", {})

    def test_what_depends_on_what(self):
        done = self.call("element-info", "web", "tiny")
        self.assertEqual("alpha tiny web zeta\n", done.stdout)
        done = self.call("element-info", "web")
        self.assertEqual(1, done.returncode)
        self.assertIn("no base distribution element", done.stderr)

    def test_a_shell_evaluates_it(self):
        done = self.call(
            *("bash", "-c"),
            'eval "$(element-info --env web tiny)"; bash -c \''
            'eval "declare -A found=($(get_image_element_array))";'
            'echo "$IMAGE_ELEMENT"; echo "${found[web]}"; '
            'echo "$IMAGE_ELEMENT_YAML"\'',
        )
        lines = done.stdout.splitlines()
        self.assertEqual("alpha tiny web zeta", lines[0])
        self.assertEqual(str(self.elements / "web"), lines[1])
        self.assertIn(f"web: {self.elements / 'web'}", lines)
