"""An image whose Python is too old for a program is told so, or not made.

python3 is a stand-in for that of openSUSE Leap, and systemctl notes what it
is asked for.
"""

from tests.integration.test_global_content import InsideCase

OLD = """\
case $1 in
    -c) exit 1 ;;
    *) echo Python 3.6.15 ;;
esac
"""
REFRESH = ("cloud-init-refresh", "cloud-init-refresh-keys")


class TestOldPython(InsideCase):
    def test_no_machine_is_made_that_would_not_keep_its_state(self) -> None:
        hook = "persistent-state/post-install.d/80-persistent-state"
        self.program("python3", "exit 0")
        self.done(hook)
        self.assertIn("persistent-state.service", self.text("asked"))
        self.program("python3", OLD)
        self.refused("takes Python 3.9, and python3 is Python 3.6.15", hook)

    def test_no_machine_is_made_that_would_read_no_metadata(self) -> None:
        hook = "metadata-reader/post-install.d/40-metadata-reader"
        self.program("python3", "exit 0")
        self.done(hook)
        self.program("python3", OLD)
        self.refused("takes Python 3.9, and python3 is Python 3.6.15", hook)

    def test_cloud_init_is_left_to_its_own_ways(self) -> None:
        hook = "cloud-init/post-install.d/50-cloud-init"
        (self.root / "etc/cloud/cloud.cfg.d").mkdir(parents=True)
        for name in ("cloud-init", *REFRESH):
            self.unit(name)
        self.program("python3", "exit 0")
        self.done(hook)
        for name in ("cloud-init", *REFRESH):
            self.assertIn(f"enable {name}.service\n", self.text("asked"))
        (self.root / "asked").unlink()
        self.program("python3", OLD)
        said = self.inside(hook)
        self.assertIn("no key is refreshed", said.stdout)
        self.assertEqual("enable cloud-init.service\n", self.text("asked"))
