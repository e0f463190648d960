"""What a build leaves behind goes, and nothing outside of the tree."""

from dib_service.engine.tree import tidy
from tests.unit.engine.test_elements import OnDisk


class Tidy(OnDisk):
    def test_tmp_is_emptied_and_logs_are_cut(self):
        self.write("tree/tmp/.hidden/file", "x")
        self.write("tree/tmp/file", "x")
        log = self.write("tree/var/log/apt/history.log", "x")
        self.write("tree/root/build.log", "x")
        kept = self.write("tree/root/.profile", "x")
        tidy.forget_the_build(self.place / "tree")
        self.assertEqual([], list((self.place / "tree/tmp").iterdir()))
        self.assertEqual("", log.read_text())
        self.assertEqual([kept], list((self.place / "tree/root").iterdir()))

    def test_symlinks_lead_nowhere(self):
        ours = self.write("ours/file", "x")
        (self.place / "tree/var/log").mkdir(parents=True)
        (self.place / "tree/tmp").symlink_to(self.place / "ours")
        (self.place / "tree/root").symlink_to(self.place / "ours")
        (self.place / "tree/var/log/x").symlink_to(ours)
        tidy.forget_the_build(self.place / "tree")
        self.assertEqual("x", ours.read_text())

    def test_a_tree_without_them_is_fine(self):
        tidy.forget_the_build(self.place)

    def test_an_empty_tree(self):
        (self.place / "lost+found").mkdir()
        self.assertTrue(tidy.empty(self.place))
        self.write(".autorelabel")
        self.assertFalse(tidy.empty(self.place))
