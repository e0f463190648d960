"""Each phase finds the same around it, in the same order."""

import contextlib
from pathlib import Path
import unittest

from tests.conformance import author, ignored, sides, surroundings, trees

ODD_NAMES = (
    *("-3-minus", "abc", "05-five", "9-nine", "010-ten", "10-TEN", "10-_"),
    *("10-ten", "100-hundred", "99-z", "9a", "0", "Z"),
)


class PhasesTest(unittest.TestCase):
    """One build of small elements that write down what they see."""

    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        own = stack.enter_context(author.place())
        _odd_names(own)
        _environment(own)
        _files(own)
        cls.sides = stack.enter_context(
            sides.both(
                sides.Wanted(
                    ("small-os", "recorder", "odd-names", "late", "files"),
                    environment={"A_KNOB": "of the caller's  "},
                    size=1,
                    own=(own, sides.ELEMENTS),
                )
            )
        )
        for side in cls.sides:
            if side.code != 0:
                raise AssertionError(f"{side.name}: {side.log[-4000:]}")
        cls.trees = [stack.enter_context(side.mounted()) for side in cls.sides]

    def found(self, phase: str) -> list[surroundings.Found]:
        return [
            surroundings.Found.of(side, tree, phase)
            for side, tree in zip(self.sides, self.trees, strict=True)
        ]

    def test_the_order_of_the_hooks(self) -> None:
        theirs, ours = (side.hooks for side in self.sides)
        self.assertLess(4 * len(ODD_NAMES), len(theirs))
        self.assertEqual(theirs, ours)

    def test_the_environment_of_each_phase(self) -> None:
        for phase in (*surroundings.OUTSIDE, *surroundings.INSIDE):
            with self.subTest(phase):
                theirs, ours = self.found(phase)
                self.assertEqual(
                    theirs.comparable(phase), ours.comparable(phase)
                )
                self.assertIn("A_KNOB", ours.variables)

    def test_the_variables_of_the_engine_are_there(self) -> None:
        # Their values differ with reason; that they are there must not.
        for phase in (*surroundings.OUTSIDE, *surroundings.INSIDE):
            with self.subTest(phase):
                theirs, ours = self.found(phase)
                missing = {
                    name
                    for name in set(theirs.variables) - set(ours.variables)
                    if not surroundings.DIFFERENT[name].startswith("of ")
                }
                self.assertLessEqual(missing, _MAY_BE_MISSING)

    def test_working_directory_umask_and_mounts(self) -> None:
        for phase in (*surroundings.OUTSIDE, *surroundings.INSIDE):
            with self.subTest(phase):
                theirs, ours = (_facts(found) for found in self.found(phase))
                self.assertEqual(theirs, ours)

    def test_the_functions(self) -> None:
        for phase in surroundings.OUTSIDE:
            with self.subTest(phase):
                for found in self.found(phase):
                    [line] = [
                        line
                        for line in found.facts
                        if line.startswith("functions:")
                    ]
                    self.assertLessEqual(
                        {"die", "get_image_element_array"}, set(line.split())
                    )

    def test_the_tree(self) -> None:
        found = ignored.without(trees.compare(*self.trees), *self.trees)
        self.assertEqual(
            ["/.hidden"],
            sorted(path for path in found if "records" not in path),
            found,
        )
        # Its "cp built/*" forgets what a shell does not show.
        self.assertEqual("only ours", found["/.hidden"])

    def test_nothing_is_left(self) -> None:
        for side in self.sides:
            self.assertEqual([], side.left, side.name)


# Names that its own programs use between themselves, or that came to the
# environment by accident.
_MAY_BE_MISSING = frozenset(
    {
        "BASH_FUNC__ps4%%",
        "DIB_BLOCK_DEVICE_PARAMS_YAML",
        "DIB_IMAGE_SIZE",
        "PS4",
        "SKIP_BASE",
    }
)


def _facts(found: surroundings.Found) -> list[str]:
    # A /dev of few nodes instead of the host's own; functions of a shell
    # also get into the chroot.
    return [
        line.replace("devtmpfs", "tmpfs")
        for line in found.facts
        if not line.startswith("functions:")
    ]


def _odd_names(own: Path) -> None:
    """Names that sort by number first, and some that never run."""
    hooks = {
        f"{phase}.d/{name}": "#!/bin/bash\ntrue\n"
        for phase in ("root", "install", "finalise", "cleanup")
        for name in ODD_NAMES
    }
    author.write(
        own / "odd-names",
        {
            **hooks,
            "install.d/50-with.dot": "#!/bin/bash\nexit 1\n",
            "install.d/51-with~tilde": "#!/bin/bash\nexit 1\n",
            "install.d/60-python": "#!/usr/bin/env bash\ntrue\n",
            "install.d/70-no-shebang": "true\n",
            "install.d/80-directory/90-below": "#!/bin/bash\nexit 1\n",
            "install.d/data": "no hook\n",
        },
    )
    (own / "odd-names/install.d/data").chmod(0o644)
    (own / "odd-names/install.d/20-link").symlink_to("60-python")
    (own / "odd-names/install.d/20-dangling").symlink_to("nothing")


def _environment(own: Path) -> None:
    """Snippets that depend on the order in which they are sourced."""
    author.write(
        own / "late",
        {
            "environment.d/100-late": "export ORDER=100\n",
            "environment.d/11-early": 'export ORDER="${ORDER:-} 11"\n',
            "environment.d/9.with.dots.bash": 'export ORDER="$ORDER 9"\n',
            "environment.d/zz": (
                "export ORDER=\"$ORDER zz\" LINES_OF_IT=$'one\\ntwo'\n"
                'not_exported=1\nexport A_KNOB="$A_KNOB."\n'
            ),
        },
    )


def _files(own: Path) -> None:
    """A tree with all kinds of entries, at odd times and places."""
    author.write(
        own / "files",
        {
            "root.d/20-files": r"""#!/bin/bash
set -eu
cd "$TARGET_ROOT"
touch .hidden
mkdir -p lost+found opt/.hidden tmp/of-root var/log/sub
echo text >opt/file
ln opt/file opt/hard
ln -s /nowhere opt/dangling
mkfifo opt/fifo
mknod opt/null c 1 3
chmod 4711 opt/file
chown 12:34 opt/hard
echo text >"opt/ with blanks and ü"
setfattr -n user.note -v value opt/file
echo log >var/log/sub/some.log
echo log >root/install.log
echo nameserver 192.0.2.1 >etc/resolv.conf
""",
            "install.d/30-inside": r"""#!/bin/bash
set -eu
touch /tmp/of-install /.late
rm /.late
echo "$RANDOM" >/var/log/random.log
echo nameserver 192.0.2.2 >/etc/resolv.conf
""",
            "finalise.d/30-inside": r"""#!/bin/bash
set -eu
# What is in the image now is what stays.
cat /etc/fstab >/opt/fstab-of-finalise
""",
            "cleanup.d/30-last": r"""#!/bin/bash
set -eu
echo "last" >"$TARGET_ROOT/opt/last"
echo "beside" >beside-the-image
""",
        },
    )


class ResolvTest(unittest.TestCase):
    """resolv.conf is lent to the tree and given back."""

    def test_what_the_image_gets(self) -> None:
        made = {
            "a symlink": "ln -s ../run/resolv.conf etc/resolv.conf",
            "none": "true",
        }
        for name, command in made.items():
            with self.subTest(name), author.place() as own:
                author.write(
                    own / "resolv",
                    {
                        "root.d/20-resolv": "#!/bin/bash\nset -eu\n"
                        f'cd "$TARGET_ROOT"\n{command}\n'
                    },
                )
                wanted = sides.Wanted(
                    ("small-os", "resolv"), size=1, own=(own, sides.ELEMENTS)
                )
                with sides.both(wanted) as (theirs, ours):
                    self.assertEqual((0, 0), (theirs.code, ours.code))
                    with theirs.mounted() as left, ours.mounted() as right:
                        self.assertEqual({}, trees.compare(left, right))
