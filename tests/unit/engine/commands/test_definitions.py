"""Images described in YAML, as commands."""

import contextlib
import io
import os
from pathlib import Path
import tempfile
import unittest
from unittest import mock

from dib_service.engine import errors
from dib_service.engine.commands import definitions


class Place(unittest.TestCase):
    """Somewhere for files."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)

    def file(self, text, name="images.yaml"):
        path = self.place / name
        path.write_text(text)
        return path


class Definitions(Place):
    def commands(self, *texts):
        files = [
            self.file(text, f"{number}.yaml")
            for number, text in enumerate(texts)
        ]
        return [
            str(definitions.Command.of(entry))
            for entry in definitions.read(files).values()
        ]

    def test_every_key_becomes_its_option(self):
        [command] = self.commands(
            """
- imagename: dir/my
  arch: amd64
  types: [qcow2, raw]
  environment: {DIB_RELEASE: bookworm, DIB_A: two words}
  ramdisk: false
  debug-trace: 2
  uncompressed: true
  clear: true
  logfile: my.log
  checksum: true
  image-size: 5
  image-extra-size: 100
  image-cache: /cache
  max-online-resize: 1000
  min-tmpfs: 7
  mkfs-journal-size: 32
  mkfs-options: -i 4096
  no-tmpfs: true
  offline: true
  qemu-img-options: {cluster_size: 2M, compat: "1.1"}
  root-label: label
  ramdisk-element: mine
  install-type: package
  docker-target: target
  packages: [vim, git]
  skip-base: true
  elements: [vm, debian]
"""
        )
        self.assertEqual(
            'env -i HOME="$HOME" PATH="$PATH" '
            "DIB_RELEASE=bookworm DIB_A='two words' "
            "disk-image-create "
            "-o dir/my -a amd64 -t qcow2,raw -x -x -u --logfile my.log "
            "--checksum --image-size 5 --image-extra-size 100 "
            "--image-cache /cache --max-online-resize 1000 --min-tmpfs 7 "
            "--mkfs-journal-size 32 --mkfs-options '-i 4096' --no-tmpfs "
            "--offline --qemu-img-options cluster_size=2M,compat=1.1 "
            "--root-label label --ramdisk-element mine --install-type package "
            "--docker-target target -p vim,git -n vm debian",
            command,
        )

    def test_what_is_false_or_empty_is_no_option(self):
        self.assertEqual(
            ["ramdisk-image-create debian"],
            self.commands(
                """
- ramdisk: true
  checksum: false
  debug-trace: 0
  root-label: ""
  packages: []
  elements: [debian]
"""
            ),
        )

    def test_entries_of_one_name_are_one_image(self):
        self.assertEqual(
            [
                "disk-image-create -o first -t raw -p a,b",
                "A=1 B=3 disk-image-create -o second --checksum x y z",
            ],
            self.commands(
                """
- imagename: first
  types: [raw]
  packages: [a]
- imagename: second
  environment: {A: "1", B: "2"}
  checksum: false
  elements: [x]
- elements: [y]
  environment: {B: "3"}
""",
                """
- checksum: true
  elements: [z]
- imagename: first
  packages: [b]
""",
            ),
        )

    def test_secrets_are_not_shown(self):
        self.assertEqual(
            [
                "DIB_DEV_USER_PASSWORD=*** "
                "DIB_MIRROR='http://me:***@host/' disk-image-create debian"
            ],
            self.commands(
                """
- environment:
    DIB_DEV_USER_PASSWORD: hush
    DIB_MIRROR: http://me:hush@host/
  elements: [debian]
"""
            ),
        )

    def test_what_is_wrong_is_named_with_its_place(self):
        for text, problem in (
            ("- {colour: red}", "entry 1: colour: no such key"),
            (
                "- {imagename: web}\n- {imagename: db, image-size: large}",
                "entry 2 (db): image-size: expected a number of 1 or more, "
                "found 'large'",
            ),
            ("- {image-size: 0}", "entry 1: image-size: expected"),
            ("- {image-size: true}", "entry 1: image-size: expected"),
            ("- {arch: m68k}", "entry 1: arch: expected one of aarch64"),
            ("- {types: [gif]}", "entry 1: types: expected a list out of"),
            ("- {types: raw}", "entry 1: types: expected a list out of"),
            ("- {debug-trace: 3}", "debug-trace: expected one of 0, 1, 2"),
            ("- {debug-trace: true}", "debug-trace: expected one of"),
            ("- {environment: {A: 1}}", "environment: expected a mapping of"),
            ("- {checksum: 'yes'}", "checksum: expected true or false"),
            ("- {elements: [1]}", "elements: expected a list of strings"),
            ("- word", "entry 1: expected a mapping"),
            ("imagename: web", ": expected a list of images"),
            ("", ": expected a list of images"),
            ("- [", ": not YAML"),
        ):
            with self.subTest(text):
                with self.assertRaises(errors.SpecError) as caught:
                    self.commands(text)
                self.assertIn(problem, str(caught.exception))
                self.assertIn(
                    str(self.place / "0.yaml"), str(caught.exception)
                )

    def test_a_file_that_is_not_there(self):
        with self.assertRaises(errors.SpecError):
            definitions.read([self.place / "none.yaml"])


class Running(Place):
    def setUp(self):
        super().setUp()
        self.file(
            "- {imagename: a, elements: [x]}\n"
            "- {imagename: b, environment: {A: b}}\n"
            "- {imagename: c}\n"
        )

    def ran(self, *words, codes=()):
        """Run all of it, each command ending with one of codes."""
        commands = []
        left = iter(codes)

        def foreground(words, *, env):
            commands.append((words[4:], env.get("A")))
            self.names = set(env)
            code = next(left)
            if code is KeyboardInterrupt:
                raise code
            return code

        said = io.StringIO()
        with (
            mock.patch.object(definitions.process, "foreground", foreground),
            contextlib.redirect_stderr(said),
        ):
            self.code = definitions.run(
                "diskimage-builder", [str(self.place / "images.yaml"), *words]
            )
        self.said = said.getvalue()
        return commands

    def test_one_after_another_in_their_environments(self):
        self.assertEqual(
            [
                (("disk-image-create", "-o", "a", "x"), None),
                (("disk-image-create", "-o", "b"), "b"),
                (("disk-image-create", "-o", "c"), None),
            ],
            self.ran(codes=(0, 0, 0)),
        )
        self.assertEqual(0, self.code)

    def test_a_clear_environment_is_the_entrys(self):
        self.file(
            "- {imagename: a, clear: true, environment: {A: mine}}\n",
            "images.yaml",
        )
        with mock.patch.dict(os.environ, {"HOME": "/me", "THEIRS": "1"}):
            commands = self.ran(codes=(0,))
        self.assertEqual(
            [(("disk-image-create", "-o", "a"), "mine")], commands
        )
        self.assertEqual({"A", "HOME", "PATH"}, self.names)

    def test_a_failure_does_not_stop_the_others(self):
        self.assertEqual(3, len(self.ran(codes=(0, 42, 0))))
        self.assertEqual(1, self.code)
        self.assertIn("image b failed with exit code 42\n", self.said)

    def test_unless_it_is_to(self):
        self.assertEqual(2, len(self.ran("--stop-on-failure", codes=(0, 42))))
        self.assertEqual(1, self.code)

    def test_an_interrupt_ends_all_of_it(self):
        self.assertEqual(2, len(self.ran(codes=(0, KeyboardInterrupt))))
        self.assertEqual(130, self.code)
        self.assertTrue(self.said.endswith("interrupted at b\n"))

    def test_a_dry_run_only_says_them(self):
        self.assertEqual([], self.ran("--dry-run"))
        self.assertEqual(0, self.code)
        self.assertIn("A=b disk-image-create -o b\n", self.said)
