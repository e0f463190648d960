"""Another image registers other directories; all that was kept is there."""

import pathlib
import tempfile
import unittest
from unittest import mock

from tests.unit.elements import persistent

with persistent.importable():
    from persistent_state import content
    from persistent_state.faults import Fault


class TestDirectories(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = pathlib.Path(holder.name)
        (self.path / "state").mkdir()
        run = content.run

        def no_mount(*argv: str) -> str:
            return "" if argv[0] in ("mount", "sync") else run(*argv)

        self.enterContext(mock.patch.object(content, "run", no_mount))

    def image(self, name: str, files: dict[str, str]) -> content.Content:
        """The system of an image, with these files below /srv."""
        root = self.path / name
        for path, text in files.items():
            file = root / "srv" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        machine = content.Content(self.path / "state", root)
        machine.prepare()
        return machine

    def kept(self) -> dict[str, str]:
        """What is in the state below /srv/one, and its text."""
        top = self.path / "state/persistent-state/directories/srv/one"
        return {
            str(path.relative_to(top)): path.read_text()
            for path in sorted(top.rglob("*"))
            if path.is_file()
        }

    def test_one_in_which_another_was_registered(self) -> None:
        self.image("a", {"one/deep/data/db": "mine"}).bind(
            "/srv/one/deep/data"
        )
        files = {
            "one/deep/data/db": "the image's",
            "one/deep/data/new": "the image's",
            "one/deep/beside": "new",
            "one/conf": "new",
        }
        newer = self.image("b", files)
        (self.path / "b/srv/one").chmod(0o751)
        newer.bind("/srv/one")
        expected = {
            "conf": "new",
            "deep/beside": "new",
            "deep/data/db": "mine",
        }
        self.assertEqual(expected, self.kept())
        top = self.path / "state/persistent-state/directories/srv"
        self.assertEqual(0o751, (top / "one").stat().st_mode & 0o777)
        self.assertEqual(["one"], [path.name for path in top.iterdir()])

    def test_one_that_is_there_is_left_as_it_is(self) -> None:
        self.image("a", {"one/db": "mine"}).bind("/srv/one")
        self.image("b", {"one/db": "its", "one/new": "its"}).bind("/srv/one")
        self.assertEqual({"db": "mine"}, self.kept())

    def test_power_is_lost_while_it_is_filled(self) -> None:
        self.image("a", {"one/data/db": "mine"}).bind("/srv/one/data")
        newer = self.image("b", {"one/conf": "new", "one/more": "new"})
        rename = pathlib.Path.rename
        moved: list[pathlib.Path] = []

        def once(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
            if moved:
                raise OSError("power is lost")
            moved.append(source)
            return rename(source, target)

        with (
            mock.patch.object(pathlib.Path, "rename", once),
            self.assertRaises(OSError),
        ):
            newer.bind("/srv/one")
        self.assertEqual({"conf": "new", "data/db": "mine"}, self.kept())
        newer.bind("/srv/one")
        self.assertEqual(
            {"conf": "new", "data/db": "mine", "more": "new"}, self.kept()
        )

    def test_one_that_is_a_link_in_what_was_kept(self) -> None:
        self.image("a", {"one/db": "mine"}).bind("/srv/one")
        top = self.path / "state/persistent-state/directories/srv/one"
        elsewhere = self.path / "elsewhere"
        elsewhere.mkdir()
        (top / "deep").symlink_to(elsewhere)
        newer = self.image("b", {"one/deep/data/new": "its"})
        for path in ("/srv/one/deep", "/srv/one/deep/data"):
            with self.assertRaises(Fault):
                newer.bind(path)
        self.assertEqual([], list(elsewhere.iterdir()))

    def test_one_in_which_a_file_was_registered(self) -> None:
        older = self.image("a", {"one/id": "mine"})
        older.save("/srv/one/id")
        self.image("b", {"one/id": "its", "one/new": "its"}).bind("/srv/one")
        self.assertEqual({"id": "mine", "new": "its"}, self.kept())
