"""The commands are called as the peer's are, and answer as those do."""

from pathlib import Path
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

from tests.conformance import peer

CHECKOUT = Path(__file__).resolve().parents[2]
DROP_IN = CHECKOUT / "drop-in"

# Enough of a tree for hooks to run in, and for the peer to put away.
SMALL = """\
mkdir -p "$TARGET_ROOT"/{dev,etc,proc,root,sys,tmp,usr/bin,usr/lib,var/log}
for name in bin lib; do ln -s "usr/$name" "$TARGET_ROOT/$name"; done
ln -s usr/lib "$TARGET_ROOT/lib64"
for name in awk bash cat date env find grep mktemp sh sort touch; do
    for file in $(type -P "$name") \\
        $(ldd "$(type -P "$name")" | grep -o '/[^ ]*'); do
        mkdir -p "$TARGET_ROOT${file%/*}"
        cp -Ln "$file" "$TARGET_ROOT$file" || true
    done
done
"""

# What ironic-python-agent-builder asks for, in a form that is soon made.
RAMDISK = """\
touch "$IMAGE_NAME.kernel" "$IMAGE_NAME.initramfs"
echo "release $DIB_RELEASE, trace $DIB_DEBUG_TRACE"
echo "pip from $DIB_INSTALLTYPE_pip_and_virtualenv"
"""


class Commands(unittest.TestCase):
    """Elements, a place, and the commands of both."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name).resolve()
        self.elements = self.place / "elements"
        self.element("small", **{"root.d/10-small": SMALL})
        (self.elements / "small/element-provides").write_text(
            "operating-system\n"
        )
        programs = self.place / "programs"
        programs.mkdir()
        program = programs / "dib-drop-in"
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"sys.path.insert(0, {str(CHECKOUT)!r})\n"
            "from dib_service.engine.commands import drop_in\n"
            "sys.exit(drop_in.main())\n"
        )
        program.chmod(0o755)
        host = "/usr/sbin:/usr/bin:/sbin:/bin"
        self.ours = f"{DROP_IN}:{programs}:{host}"
        self.theirs = f"{peer.venv() / 'bin'}:{host}"

    def element(self, name: str, **hooks: str) -> None:
        for relative, text in hooks.items():
            path = self.elements / name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/bash\nset -eu\n{text}\n")
            path.chmod(0o755)

    def call(
        self, path: str, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a directory that says whose path it has."""
        here = self.directory(path)
        here.mkdir(exist_ok=True)
        return subprocess.run(
            ["/usr/bin/env", *words],
            cwd=here,
            env={
                "DIB_NO_TIMESTAMP": "1",
                "ELEMENTS_PATH": str(self.elements),
                "HOME": str(self.place),
                "PATH": path,
                "TMPDIR": str(self.place),
                "USER": "root",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def directory(self, path: str) -> Path:
        return self.place / ("ours" if path == self.ours else "theirs")

    def same(
        self, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run both; they have to end alike."""
        theirs = self.call(self.theirs, *words, **environment)
        ours = self.call(self.ours, *words, **environment)
        self.assertEqual(
            theirs.returncode, ours.returncode, ours.stdout + ours.stderr
        )
        return ours

    def files(self, path: str) -> set[str]:
        """What was made, whenever that was."""
        here = self.directory(path)
        return {
            re.sub(
                r"-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d",
                "-WHEN",
                str(file.relative_to(here)),
            )
            for file in here.rglob("*")
            if file.is_file()
        }


class DiskImageCreate(Commands):
    """Exit codes and the names of files."""

    def test_mistakes(self) -> None:
        for words in (
            ("--colour", "small"),
            ("-z", "small"),
            ("small", "-o"),
            (),
            ("no-such-element",),
            ("-n", "base"),
        ):
            with self.subTest(words):
                done = self.same("disk-image-create", *words)
                self.assertEqual(1, done.returncode)

    def test_questions(self) -> None:
        for option in ("-h", "--help", "--version"):
            done = self.same("disk-image-create", option)
            self.assertEqual(0, done.returncode)

    def test_a_failing_hook(self) -> None:
        self.element("fails", **{"extra-data.d/20-f": "exit 42"})
        done = self.same("disk-image-create", "-n", "small", "fails")
        self.assertEqual(42, done.returncode)

    def test_files_of_two_formats_where_there_are_some(self) -> None:
        for path in (self.theirs, self.ours):
            for kind in ("raw", "qcow2"):
                for digest in ("", ".md5", ".sha256"):
                    old = self.directory(path) / f"my.image.{kind}{digest}"
                    old.parent.mkdir(exist_ok=True)
                    old.write_text("old")
        done = self.same(
            *("disk-image-create", "small", "-t", "raw,qcow2", "-n"),
            *("--checksum", "--no-tmpfs", "--image-size", "1"),
            *("-o", "my.image"),
        )
        self.assertEqual(0, done.returncode, done.stdout)
        theirs, ours = self.files(self.theirs), self.files(self.ours)
        # Of each file this one also has a digest that is not yet weak.
        stronger = {name for name in ours if name.endswith(".sha512")}
        self.assertEqual(theirs, ours - stronger)
        self.assertEqual(
            {
                f"my.image{when}.{kind}{digest}"
                for when in ("", "-WHEN")
                for kind in ("raw", "qcow2")
                for digest in ("", ".md5", ".sha256")
            },
            theirs,
        )

    def test_a_ramdisk_as_its_builder_wants_it(self) -> None:
        self.element(
            "ironic-python-agent-ramdisk", **{"cleanup.d/99-x": RAMDISK}
        )
        (
            self.elements / "ironic-python-agent-ramdisk/element-deps"
        ).write_text("no-final-image\n")
        self.element("mine", **{"install.d/10-x": "echo mine"})
        (self.elements / "base").mkdir()
        builder = peer.venv() / "bin/ironic-python-agent-builder"
        done = self.call(
            self.ours,
            *(str(builder), "-o", "ipa/deploy", "-r", "bookworm", "-v"),
            *("-e", "mine", "--extra-args=--no-tmpfs --image-size 1"),
            *("--elements-path", str(self.elements), "small"),
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn("release bookworm, trace 1\n", done.stdout)
        self.assertIn("pip from package\n", done.stdout)
        self.assertIn("mine\n", done.stdout)
        self.assertLessEqual(
            {"ipa/deploy.kernel", "ipa/deploy.initramfs"},
            self.files(self.ours),
        )
        self.assertFalse(
            [name for name in self.files(self.ours) if "qcow2" in name]
        )


class DiskimageBuilder(Commands):
    """What a YAML file asks for."""

    FILE = """\
- imagename: first
  arch: amd64
  types: [qcow2, raw]
  debug-trace: 2
  uncompressed: true
  checksum: true
  image-size: 5
  mkfs-journal-size: 16
  image-extra-size: 3
  qemu-img-options: {a: b, c: d}
  packages: [x, "y"]
  mkfs-options: -i 16384
  elements: [vm]
- types: [tar]
  elements: [debian]
  packages: [z]
- imagename: second
  ramdisk: true
  environment: {A: "two words", B: c}
  no-tmpfs: true
  skip-base: true
  ramdisk-element: mine
  elements: [small]
- imagename: first
  image-size: 6
  checksum: false
  root-label: ""
"""

    def commands(self, path: str) -> list[list[str]]:
        (self.place / "images.yaml").write_text(self.FILE)
        done = self.call(
            path,
            *("diskimage-builder", "--dry-run"),
            str(self.place / "images.yaml"),
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return [
            # Theirs starts a script of its own by a shell.
            [Path(word).name for word in words if word != "bash"]
            for line in done.stderr.splitlines()
            if (words := shlex.split(line))
        ]

    def test_the_commands_are_the_same(self) -> None:
        theirs, ours = self.commands(self.theirs), self.commands(self.ours)
        self.assertEqual(2, len(theirs))
        self.assertEqual(theirs, ours)

    def test_what_is_no_description_is_refused(self) -> None:
        for text in (
            "- {colour: red}",
            "- {image-size: large}",
            "- {types: [gif]}",
            "- {arch: m68k}",
            "- {environment: {A: 1}}",
            "- {install-type: mine}",
            "imagename: x",
        ):
            with self.subTest(text):
                (self.place / "images.yaml").write_text(text)
                done = self.same(
                    *("diskimage-builder", "--dry-run"),
                    str(self.place / "images.yaml"),
                )
                self.assertEqual(1, done.returncode)


class ElementInfo(Commands):
    """Which elements there are, by theirs and by ours."""

    def test_the_same_elements_for_the_same_words(self) -> None:
        script = peer.package() / "lib/element-info.py"
        python = peer.venv() / "bin/python"
        path = str(peer.elements())
        for words in (
            ("debian", "vm"),
            ("ubuntu-minimal", "base", "dhcp-all-interfaces"),
            ("centos-minimal", "growroot"),
            ("vm",),
            ("debian", "fedora"),
        ):
            with self.subTest(words):
                theirs = self.call(
                    self.theirs,
                    *(str(python), str(script), *words),
                    ELEMENTS_PATH=path,
                )
                ours = self.call(
                    self.ours, "element-info", *words, ELEMENTS_PATH=path
                )
                self.assertEqual(
                    sorted(theirs.stdout.split()), ours.stdout.split()
                )
                self.assertEqual(theirs.returncode, ours.returncode)
