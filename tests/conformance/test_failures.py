"""What fails there fails here, with the same exit code, and leaves nothing."""

from pathlib import Path
import unittest

from tests.conformance import author, sides

CODE = 42

FAILS = f"#!/bin/bash\nexit {CODE}\n"

# It reads this phase's output through a pipe, and says 1 for any failure.
THROUGH_A_PIPE = "block-device.d"


class FailuresTest(unittest.TestCase):
    def failed(self, own: Path, *names: str) -> list[sides.Side]:
        """Both sides of a build that neither may finish."""
        wanted = sides.Wanted(names, size=1, own=(own, sides.ELEMENTS))
        with sides.both(wanted) as found:
            for side in found:
                self.assertNotEqual(0, side.code, side.name)
                self.assertEqual([], side.left, side.name)
                self.assertFalse(side.image.exists(), side.name)
            return list(found)

    def test_a_hook_that_fails(self) -> None:
        for phase in (
            *("root.d", "extra-data.d", "pre-install.d", "install.d"),
            *("post-install.d", "post-root.d", "block-device.d"),
            *("pre-finalise.d", "finalise.d", "cleanup.d"),
        ):
            with self.subTest(phase), author.place() as own:
                author.write(
                    own / "fails",
                    {
                        f"{phase}/50-fails": FAILS,
                        f"{phase}/60-never": "#!/bin/bash\ntouch /never\n",
                    },
                )
                theirs, ours = self.failed(own, "small-os", "fails")
                self.assertEqual(theirs.hooks, ours.hooks)
                self.assertEqual((phase, "50-fails"), ours.hooks[-1])
                self.assertEqual(CODE, ours.code)
                if phase == THROUGH_A_PIPE:
                    self.assertEqual(1, theirs.code)
                else:
                    self.assertEqual(CODE, theirs.code)

    def test_a_hook_that_a_signal_ends(self) -> None:
        with author.place() as own:
            author.write(
                own / "fails",
                {"install.d/50-ends": "#!/bin/bash\nkill -TERM $$\n"},
            )
            theirs, ours = self.failed(own, "small-os", "fails")
            self.assertEqual((143, 143), (theirs.code, ours.code))

    def test_a_hook_that_leaves_a_process_behind(self) -> None:
        with author.place() as own:
            author.write(
                own / "lingers",
                {
                    "install.d/50-lingers": "#!/bin/bash\n"
                    "sleep 1000 >/dev/null 2>&1 </dev/null &\n"
                    f"exit {CODE}\n"
                },
            )
            theirs, ours = self.failed(own, "small-os", "lingers")
            self.assertEqual((CODE, CODE), (theirs.code, ours.code))

    def test_an_environment_that_fails(self) -> None:
        for name, text in (
            ("false", "false\n"),
            ("unset", 'export X="$NOBODY_SET_THIS"\n'),
        ):
            with self.subTest(name), author.place() as own:
                author.write(own / "fails", {"environment.d/50-x": text})
                theirs, ours = self.failed(own, "small-os", "fails")
                self.assertEqual(theirs.hooks, ours.hooks)
                self.assertEqual(theirs.code, ours.code)

    def test_elements_that_cannot_be_together(self) -> None:
        with author.place() as own:
            author.write(own / "one", {"install.d/50-x": FAILS})
            author.write(own / "two", {"install.d/50-x": FAILS})
            author.write(own / "needs", {"element-deps": "nowhere\n"})
            author.write(
                own / "another-os", {"element-provides": "operating-system\n"}
            )
            author.write(own / "no-root", {"element-provides": "small-os\n"})
            author.write(
                own / "empty-os", {"element-provides": "operating-system\n"}
            )
            for names in (
                ("small-os", "one", "two"),
                ("small-os", "needs"),
                ("small-os", "nowhere"),
                ("small-os", "another-os"),
                ("small-os", "no-root"),
                ("one",),
                ("empty-os",),
            ):
                with self.subTest(names):
                    theirs, ours = self.failed(own, *names)
                    self.assertEqual([], ours.hooks)
                    self.assertEqual([], theirs.hooks)
                    self.assertEqual(theirs.code, ours.code)

    def test_block_devices_that_cannot_be(self) -> None:
        for config in (
            "- local_loop: {name: image0}\n- mkfs: {base: nowhere, type: ext4,"
            " mount: {mount_point: /}}\n",
            "- unknown: {name: image0}\n",
            "no list\n",
        ):
            with self.subTest(config), author.place() as own:
                wanted = sides.Wanted(
                    ("small-os",),
                    environment={"DIB_BLOCK_DEVICE_CONFIG": config},
                    size=1,
                    own=(own, sides.ELEMENTS),
                )
                with sides.both(wanted) as (theirs, ours):
                    self.assertEqual((1, 1), (theirs.code, ours.code))
                    self.assertEqual(([], []), (theirs.left, ours.left))
                    # It must not take an hour to say so.
                    self.assertEqual([], ours.hooks)
