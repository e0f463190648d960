"""What is kept belongs to who it belonged to, in whatever image."""

import os
import pathlib
import tempfile
import types
import unittest
from unittest import mock

from tests.unit.elements import persistent

with persistent.importable():
    from persistent_state import owners

LSTAT = os.lstat


class TestOwners(unittest.TestCase):
    """Files whose owners are in a table: it takes root to change them."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = pathlib.Path(holder.name)
        self.top = self.path / "state"
        self.top.mkdir()
        (self.path / "etc").mkdir()
        self.owner: dict[int, int] = {}
        self.power = 1000
        self.enterContext(mock.patch.object(os, "lstat", self.lstat))
        self.enterContext(mock.patch.object(os, "lchown", self.lchown))
        self.image(root=0, one=105, two=106)

    def lstat(self, path: pathlib.Path, **_: object) -> object:
        told = LSTAT(path)
        user = self.owner.get(told.st_ino, 0)
        return types.SimpleNamespace(
            st_mode=told.st_mode, st_uid=user, st_gid=0
        )

    def lchown(self, path: pathlib.Path, user: int, _: int) -> None:
        self.power -= 1
        if self.power < 0:
            raise OSError("power is lost")
        self.assertLess(user, 1 << 32, "the kernel has no such number")
        self.owner[LSTAT(path).st_ino] = user

    def image(self, **users: int) -> None:
        """The system has these users now."""
        lines = [
            f"{name}:x:{number}:0::/:\n" for name, number in users.items()
        ]
        (self.path / "etc/passwd").write_text("".join(lines))
        (self.path / "etc/group").write_text("root:x:0:\n")

    def file(self, name: str, user: int) -> pathlib.Path:
        path = self.top / name
        path.write_text(name)
        self.owner[path.stat().st_ino] = user
        return path

    def boot(self) -> None:
        owners.own_again(self.top, self.path)

    def owned(self) -> dict[str, int]:
        return {
            path.name: self.owner[path.stat().st_ino]
            for path in sorted(self.top.iterdir())
            if path.stat().st_ino in self.owner
        }

    def test_a_file_of_two_names_is_given_once(self) -> None:
        self.boot()
        os.link(self.file("a", 105), self.top / "b")
        self.image(root=0, one=106, two=107)
        self.boot()
        self.assertEqual({"a": 106, "b": 106}, self.owned())

    def change_places(self, *, changes: int) -> None:
        """Two users have, and power is lost after so many changes."""
        self.image(root=0, one=105, two=106)
        self.power = 1000
        self.boot()
        self.file("a", 105)
        self.file("b", 106)
        self.image(root=0, one=106, two=105)
        self.power = changes
        with self.assertRaises(OSError):
            self.boot()
        self.power = 1000

    def test_power_is_lost_while_two_change_places(self) -> None:
        for changes in range(4):
            with self.subTest(changes):
                self.change_places(changes=changes)
                self.boot()
                self.assertEqual({"a": 106, "b": 105}, self.owned())

    def test_power_is_lost_and_another_image_comes(self) -> None:
        for changes in range(4):
            with self.subTest(changes):
                self.change_places(changes=changes)
                self.image(root=0, one=105, two=107)
                self.boot()
                self.assertEqual({"a": 105, "b": 107}, self.owned())

    def test_who_was_not_in_one_image_is_known_in_the_next(self) -> None:
        self.boot()
        self.file("a", 105)
        self.image(root=0, two=106)
        self.boot()
        self.image(root=0, one=110, two=106)
        self.boot()
        self.assertEqual({"a": 110}, self.owned())

    def test_who_is_gone_keeps_his_though_his_number_is_another_s(
        self,
    ) -> None:
        self.boot()
        self.file("a", 105)
        self.file("b", 106)
        self.image(root=0, three=105, four=106)
        self.boot()
        parked = {"a": owners.PARKED, "b": owners.PARKED + 1}
        self.assertEqual(parked, self.owned())
        self.file("c", 105)
        # Nor does one of the next images take them.
        self.image(root=0, five=105, two=107)
        self.boot()
        self.assertEqual(
            {"a": owners.PARKED, "b": 107, "c": owners.PARKED + 2},
            self.owned(),
        )
        self.image(root=0, one=120, two=107, three=121)
        self.boot()
        self.assertEqual({"a": 120, "b": 107, "c": 121}, self.owned())

    def test_power_is_lost_while_one_makes_room(self) -> None:
        for changes in range(4):
            with self.subTest(changes):
                self.image(root=0, one=105, two=106)
                self.power = 1000
                self.boot()
                self.file("a", 105)
                self.file("b", 106)
                self.image(root=0, two=105)
                self.power = changes
                with self.assertRaises(OSError):
                    self.boot()
                self.power = 1000
                self.boot()
                self.assertEqual({"a": owners.PARKED, "b": 105}, self.owned())
                self.image(root=0, one=105, two=106)
                self.boot()
                self.assertEqual({"a": 105, "b": 106}, self.owned())

    def test_who_is_made_while_it_runs_is_known(self) -> None:
        self.boot()
        self.image(root=0, one=105, two=106, debian=1000)
        # As it is asked to when /etc/passwd changes.
        self.boot()
        self.file("a", 1000)
        self.image(root=0, one=105, two=106, devuser=1000)
        self.boot()
        self.image(root=0, one=105, two=106, devuser=1000, debian=1001)
        self.boot()
        self.assertEqual({"a": 1001}, self.owned())

    def test_a_record_of_which_there_is_half(self) -> None:
        self.boot()
        self.file("a", 105)
        (self.top / owners.RECORD).write_text('{"users": {"one"')
        self.boot()
        self.assertEqual({"a": 105}, self.owned())
