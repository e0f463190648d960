"""The page on adding a distribution has an example that makes an image."""

import re
import textwrap

from tests.integration.engine import tiny

PAGE = tiny.CHECKOUT / "doc/source/contributor/adding-a-distribution.rst"
FILE = re.compile(
    r"^\.\. code-block:: \w+\n   :caption: (my-distribution/\S+)\n\n"
    r"((?:   .*\n|\n(?=   |\n))+)",
    re.MULTILINE,
)


class TestAdding(tiny.TinyBuild):
    def test_the_smallest_distribution(self) -> None:
        written = FILE.findall(PAGE.read_text())
        self.assertEqual(4, len(written))
        self.element(
            "my-distribution",
            {
                path.partition("/")[2]: textwrap.dedent(text)
                for path, text in written
            },
        )
        self.element("probe", {"install.d/50-probe": "ls / | cat"})
        built = self.build(elements=["my-distribution", "probe"], name="mine")
        self.assertEqual(0, built.code, built.events[-5:])
        self.assertIn("etc", built.lines("50-probe"))
        [event] = built.of_kind("manifest")
        said = event["manifest"]["image"]
        self.assertEqual(
            ("mine", "1"), (said["os_distro"], said["os_version"])
        )
        self.assertTrue((self.output / "mine.qcow2").exists())
