"""systemd is told where what elements have registered lies."""

from tests.integration.test_element_hooks import ELEMENTS
from tests.integration.test_global_content import InsideCase

HOOK = "persistent-state/finalise.d/80-persistent-state"
UNITS = "usr/lib/systemd/system"


class TestUnits(InsideCase):
    programs = f"{InsideCase.programs} systemd-escape"

    def setUp(self) -> None:
        super().setUp()
        (self.root / "usr/local/sbin").mkdir(parents=True)

    def knows(self, *, watched: str = "", above: str = "") -> None:
        """What the program says when it is asked."""
        program = self.file(
            "usr/local/sbin/persistent-state",
            "#!/bin/bash\n"
            f'case $1 in\nwatched) printf "{watched}" ;;\n'
            f'above) printf "{above}" ;;\n*) exit 2 ;;\nesac\n',
        )
        program.chmod(0o755)

    def drop_in(self, unit: str) -> list[str]:
        path = self.root / UNITS / f"{unit}.d/registered.conf"
        return path.read_text().splitlines() if path.exists() else []

    def test_what_may_be_mounted_above_it_comes_first(self) -> None:
        self.knows(above="/srv\n/var/lib/my-db\n")
        self.done(HOOK)
        self.assertEqual(
            ["[Unit]", r"After=srv.mount var-lib-my\x2ddb.mount"],
            self.drop_in("persistent-state.service"),
        )
        self.assertEqual([], self.drop_in("persistent-state-save.path"))

    def test_the_folders_of_files_are_watched(self) -> None:
        self.knows(watched="/etc/ssh\n/etc/x\n")
        self.done(HOOK)
        self.assertEqual(
            ["[Path]", "PathChanged=/etc/ssh", "PathChanged=/etc/x"],
            self.drop_in("persistent-state-save.path"),
        )
        self.assertEqual([], self.drop_in("persistent-state.service"))

    def test_it_comes_before_whoever_writes_to_what_is_kept(self) -> None:
        unit = ELEMENTS / "persistent-state/init-scripts/systemd"
        lines = (unit / "persistent-state.service").read_text().splitlines()
        before = [
            word
            for line in lines
            if line.startswith("Before=")
            for word in line.removeprefix("Before=").split()
        ]
        for other in ("local-fs.target", "systemd-journal-flush.service"):
            self.assertIn(other, before)

    def test_what_no_machine_would_keep_fails_the_build(self) -> None:
        self.knows()
        with (self.root / "usr/local/sbin/persistent-state").open("a") as file:
            file.write("echo x.conf: wrong >&2; exit 1\n")
        self.refused("x.conf: wrong", HOOK)
