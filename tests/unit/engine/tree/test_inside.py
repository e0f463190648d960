"""A tree is read as whoever is in it would."""

import os
from pathlib import Path

from dib_service.engine.tree import inside
from tests.unit.engine.test_elements import OnDisk


class Inside(OnDisk):
    def setUp(self):
        super().setUp()
        self.root = self.place / "tree"
        self.write("tree/etc/real/file", "inside")
        self.write("secret", "outside")
        self.write("etc/real/file", "outside")

    def link(self, name: str, target: object) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(str(target))

    def test_links_lead_where_they_would_in_a_chroot(self):
        for name, target in (
            ("relative", "etc/real/file"),
            ("absolute", "/etc/real/file"),
            ("above", "../../../etc/real/file"),
            ("etc/other", "real"),
            ("twice", "/absolute"),
        ):
            self.link(name, target)
        for path in (
            *("/relative", "/absolute", "/above", "/etc/other/file"),
            *("/twice", "etc/real/file", "/etc/./real//../real/file"),
            "/../etc/real/file",
        ):
            with self.subTest(path):
                self.assertEqual("inside", inside.text(self.root, path))

    def test_nothing_outside_is_read(self):
        self.link("up", "../secret")
        self.link("out", self.place / "secret")
        self.link("here", "/proc/self/cwd")
        for path in ("/up", "/out", "/here", "../secret", "/missing"):
            with self.subTest(path):
                self.assertIsNone(inside.text(self.root, path))
        self.link("folder", self.place)
        self.assertEqual([], inside.names(self.root, "/folder"))

    def test_what_is_no_file_is_not_read(self):
        self.link("circle", "circle")
        os.mkfifo(self.root / "pipe")
        self.write("tree/long", "x" * (inside.LONGEST_TEXT + 1))
        for path in ("/circle", "/pipe", "/etc", "/long", "/long/x"):
            with self.subTest(path):
                self.assertIsNone(inside.text(self.root, path))
        self.assertEqual([], inside.names(self.root, "/long"))

    def test_names_are_in_order(self):
        for name in ("b", "c", "a"):
            self.write(f"tree/d/{name}", "")
        self.assertEqual(["a", "b", "c"], inside.names(self.root, "/d"))

    def test_a_program_can_be_executed(self):
        self.write("tree/usr/bin/a", "").chmod(0o755)
        self.link("bin", "usr/bin")
        self.link("usr/bin/b", "a")
        for path, program in (
            ("/bin/a", True),
            ("/bin/b", True),
            ("/bin", False),
            ("/etc/real/file", False),
            ("/bin/c", False),
        ):
            with self.subTest(path):
                self.assertIs(program, inside.is_program(self.root, path))

    def test_no_descriptor_is_left_open(self):
        self.link("circle", "circle")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for path in ("/etc/real/file", "/circle", "/missing"):
            inside.text(self.root, path)
        after = len(list(Path("/proc/self/fd").iterdir()))
        self.assertEqual(before, after)
