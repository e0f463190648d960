"""Every shipped element keeps the rules, and every rule can be broken."""

from collections.abc import Mapping
import pathlib
import tempfile
from typing import ClassVar
import unittest
from unittest import mock

from tests import lint
from tests.lint import sources

PROJECT = pathlib.Path(__file__).parents[3]
SHIPPED = lint.Shelf(PROJECT / "elements")
# The devstack plugin's own.
DEVSTACKS = lint.Shelf(PROJECT / "devstack/elements")

# Put together here, so that this file does not name them itself.
REGISTRY = ".".join(("pypi", "org"))
MACHINE = "/".join(("", "work"))

HEAD = """#!/bin/bash
# Do something.

if [ "${DIB_DEBUG_TRACE:-0}" -gt 0 ]; then
    set -x
fi
set -eu
set -o pipefail

"""
README = """====
good
====

It keeps all the rules.

Environment
-----------

``DIB_GOOD``
  What it does. Default ``no``.

Example
-------

.. code-block:: console

   openstack image build create --element good --image-name good
"""
GOOD: Mapping[str, str] = {
    "good/README.rst": README,
    "good/element-deps": "other\nthird\n",
    "good/environment.d/10-good.bash": "export DIB_OURS=1\n",
    "good/install.d/10-good": f'{HEAD}echo "${{DIB_GOOD:-no}}" "$DIB_OURS"\n',
    "good/install.d/20-fetch": (
        f"{HEAD}curl --output file https://example.org/file\n"
        "sha256sum --check sums\n"
    ),
    "good/bin/tool": '#!/usr/bin/env python3\n"""A tool."""\n\nprint(1)\n',
    "good/package-installs.yaml": "one:\ntwo:\n",
    "good/source-repository-tool": (
        f"tool git /opt/tool https://example.org/tool.git {'0' * 40}\n"
        f"words file /opt/words https://example.org/words#sha256={'0' * 64}\n"
        "other package /opt/other https://example.org/other\n"
    ),
    "good/pkg-map": '{"default": {"one": "1", "two": "2"}}\n',
    "other/README.rst": README.replace("good", "other")
    .replace("====", "=====")
    .replace("DIB_GOOD", "DIB_OTHER"),
    "third/README.rst": README.replace("good", "third")
    .replace("====", "=====")
    .replace("DIB_GOOD", "DIB_THIRD"),
}

# What breaks each rule, one file at a time: its name, what is in it, and a
# word of the complaint.
Broken = tuple[tuple[str, str, str], ...]
BROKEN: Mapping[str, Broken] = {
    "is_titled": (
        ("good/README.rst", README.replace("good", "evil"), "title"),
        ("good/README.rst", "====\ngood\n====\n", "title"),
    ),
    "has_an_example": (
        ("good/README.rst", README.partition("Example")[0], "no example"),
        (
            "good/README.rst",
            README.partition("..")[0] + "See above.\n",
            "no example",
        ),
    ),
    "names_every_knob": (
        ("good/install.d/10-good", '${DIB_NEW:-x}"', "DIB_NEW"),
        ("good/install.d/10-good", '"$DIB_NEW"', "DIB_NEW"),
        ("good/bin/tool", 'os.environ["DIB_NEW"]', "DIB_NEW"),
        ("good/bin/tool", 'os.environ.get("DIB_NEW", "x")', "DIB_NEW"),
        ("good/install.d/10-good", '"${REG_NEW:-x}"', "REG_NEW"),
        (
            "good/environment.d/10-good.bash",
            "export DIB_RELEASE=${DIB_RELEASE:-sid}\n",
            "DIB_RELEASE",
        ),
        ("good/README.rst", README.replace("DIB_GOOD", "DIB_GOOD2"), "DIB_G"),
        ("good/README.rst", README.replace(" Default ``no``.", ""), "DIB_GO"),
        (
            "good/README.rst",
            README.replace("``DIB_GOOD``\n  What", "DIB_GOOD: what"),
            "DIB_GOOD",
        ),
    ),
    "stop_at_the_first_mistake": (
        ("good/install.d/10-good", HEAD.replace("set -eu\n", ""), "set -eu"),
        (
            "good/install.d/10-good",
            HEAD.replace("set -o pipefail\n", ""),
            "pipefail",
        ),
        ("good/bin/more", "#!/bin/bash\nset -eu\nset -o pipefail\n", "TRACE"),
    ),
    "are_bash_or_python": (
        ("good/install.d/10-good", "#!/bin/sh\n", "#!/bin/sh"),
        ("good/bin/tool", "#!/usr/bin/python3\n", "python3"),
    ),
    "have_a_shebang_or_no_executable_bit": (
        ("good/bin/tool", "not executable", "not both"),
        ("good/data", "#!/bin/bash\n", "not both"),
    ),
    "would_be_run": (
        ("good/install.d/10-good.sh", HEAD, "not NN-name"),
        ("good/install.d/good", HEAD, "not NN-name"),
        ("good/install.d/10-data", "no shebang\n", "not executable"),
    ),
    "have_a_name_of_their_own": (
        ("other/install.d/10-good", HEAD, "other has it, too"),
    ),
    "pass_shellcheck": (
        ("good/install.d/10-good", f"{HEAD}echo $1\n", "SC2086"),
        ("good/environment.d/10-good.bash", "echo $1\n", "SC2086"),
        ("good/init.d/10-good", "echo $1\n", "SC2086"),
        ("good/tools/part.sh", "echo $1\n", "SC2086"),
    ),
    "pass_ruff": (
        ("good/bin/tool", "#!/usr/bin/env python3\nimport os\n", "F401"),
        ("good/bin/tool", "#!/usr/bin/env python3\nprint( 1 )\n", "format"),
    ),
    "run_on_an_older_python": tuple(
        (f"good/static/{name}", f"{start}{text}", word)
        for name, start in (("x.py", ""), ("x", "#!/usr/bin/env python3\n"))
        for text, word in (
            ("match x:\n    case _:\n        pass\n", ":"),
            ("def f(x: int | None) -> None: ...\n", "a union"),
            ("def f(x: int) -> list[int | None]: ...\n", "a union"),
            ("x: int | None = None\n", "a union"),
            (
                "from __future__ import annotations\n\n"
                "isinstance(x, int | str)\n",
                "a union",
            ),
        )
    ),
    "only_source_the_environment": (
        ("good/environment.d/10-good.bash", "set -x\n", "passwords"),
        (
            "good/environment.d/10-good.bash",
            "export A=$(false)\n",
            "hides that",
        ),
        ("good/environment.d/10-good.bash", "#!/bin/bash\n", "never run"),
    ),
    "is_tidy": (
        ("good/pkg-map", "{}", "no last newline"),
        ("good/pkg-map", "{\t}\n", "tab"),
        ("good/pkg-map", "{} \n", "trailing"),
    ),
    "can_be_read": (
        ("good/pkg-map", "{a: b}\n", "good/pkg-map"),
        ("good/package-installs.yaml", "a: [\n", "package-installs"),
        ("good/svc-map", "a: [\n", "svc-map"),
    ),
    "is_sorted": (
        ("good/element-deps", "third\nother\n", "element-deps"),
        ("good/element-deps", "third\nthird\n", "element-deps"),
        ("good/package-installs.yaml", "two:\none:\n", "package-installs"),
        (
            "good/pkg-map",
            '{"family": {"suse": {"b": "", "a": ""}}}\n',
            "family.suse",
        ),
        (
            "good/pkg-map",
            '{"release": {"debian": {"sid": {"b": "", "a": ""}}}}\n',
            "release.debian.sid",
        ),
    ),
    "names_elements_that_exist": (
        ("good/element-deps", "nobody\nother\n", "no element nobody"),
    ),
    "downloads_are_proven": tuple(
        ("good/install.d/20-fetch", f"{HEAD}{command}\n", "no checksum")
        for command in (
            "curl -O https://example.org/file",
            "wget https://example.org/file",
            "$TMP_HOOKS_PATH/bin/cache-url https://example.org/file file",
            "git clone https://example.org/file.git",
            "git -C /opt/tool fetch origin",
            "git -c core.pager=cat clone --quiet https://example.org/x.git",
            "/opt/venv/bin/pip install thing",
            "python3 -m pip install --upgrade thing",
            "npm install thing",
            "rpm -i https://example.org/thing.rpm",
            "dnf -y install https://example.org/thing.rpm",
            "python3 -c 'urllib.request.urlopen(url)'",
        )
    )
    + tuple(
        ("good/source-repository-tool", f"tool {source}\n", "no checksum")
        for source in (
            "git /opt/tool https://example.org/tool.git",
            "git /opt/tool https://example.org/tool.git v1.0",
            "tar /opt/tool https://example.org/tool.tar.gz",
            "file /opt/tool https://example.org/tool#sha256=abc",
        )
    )
    + tuple(
        (f"good/{name}", f"{command}\n", "no checksum")
        for name, command in (
            ("environment.d/10-good.bash", "curl -O https://example.org/file"),
            ("init.d/10-good", "wget https://example.org/file"),
            ("tools/part.sh", "curl -O https://example.org/file"),
            ("static/usr/lib/tool/part.py", "urllib.request.urlopen(url)"),
        )
    ),
    "proofs_are_asked_for": tuple(
        ("good/install.d/20-fetch", f"{HEAD}{command}\n", "20-fetch")
        for command in (
            "dnf --nogpgcheck install thing",
            "zypper --no-gpg-checks refresh",
            "echo gpgcheck=0",
            "echo 'deb [trusted=yes] https://example.org x main'",
            "echo 'deb [allow-insecure=yes] https://example.org x main'",
            "echo 'Trusted: yes' >>/etc/apt/sources.list.d/x.sources",
            "zypper --gpg-auto-import-keys refresh",
            "zypper install --allow-unsigned-rpm ./thing.rpm",
            "echo gpgcheck=off >>/etc/yum.repos.d/x.repo",
            "apt-get --allow-unauthenticated install thing",
            "curl --insecure https://example.org/file | sha256sum",
            "curl -k https://example.org/file | sha256sum",
            "curl -sSLk https://example.org/file | sha256sum",
            "wget --no-check-certificate https://example.org/file",
            "apt-key add key",
        )
    ),
    "exceptions_are_needed": (("excused/bin/gone", HEAD, "fetches nothing"),),
    "no_registry_is_named": (
        ("good/data", f"https://{REGISTRY}/simple\n", REGISTRY),
    ),
    "no_machine_is_named": (
        ("good/data", f"{MACHINE}/thing\n", MACHINE),
        ("good/data", "see /home/somebody/notes\n", "/home/s"),
        ("good/data", "http://127.0.0.1:8080/\n", "127"),
    ),
}


class TestShipped(unittest.TestCase):
    maxDiff = None

    def test_there_are_some(self) -> None:
        for shelf, known in (
            (SHIPPED, "debian"),
            (DEVSTACKS, "devstack-sample"),
        ):
            names = [path.name for path in shelf.elements()]
            self.assertIn(known, names)

    def test_they_keep_every_rule(self) -> None:
        for rule in lint.RULES:
            for shelf in (SHIPPED, DEVSTACKS):
                with self.subTest(rule.__name__, shelf=shelf.path.parent.name):
                    self.assertEqual([], list(rule(shelf)), rule.__doc__)


class TestRules(unittest.TestCase):
    rules: ClassVar = {rule.__name__: rule for rule in lint.RULES}

    def shelf(self, **changed: str) -> lint.Shelf:
        """Elements that keep the rules, but for these files."""
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        place = pathlib.Path(holder.name)
        for name, content in {**GOOD, **changed}.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            if content.startswith("#!") and "data" not in path.name:
                path.chmod(0o755)
        return lint.Shelf(place)

    def test_an_element_that_keeps_them_all(self) -> None:
        shelf = self.shelf()
        for name, rule in self.rules.items():
            with self.subTest(name):
                self.assertEqual([], list(rule(shelf)))

    def test_each_can_be_broken(self) -> None:
        self.assertEqual(set(self.rules), set(BROKEN))
        for name, cases in BROKEN.items():
            for path, content, word in cases:
                with self.subTest(name, path=path, content=content[-60:]):
                    self.assertIn(word, self.complaint(name, path, content))

    def complaint(self, name: str, path: str, content: str) -> str:
        """What a rule says of a shelf with this file; there is something."""
        shelf = self.shelf(**{path: content})
        if content == "not executable":
            (shelf.path / path).write_text(GOOD[path])
            (shelf.path / path).chmod(0o644)
        excused = {"excused/bin/gone": "a test"}
        with mock.patch.object(sources, "UNPROVEN_HERE", excused):
            said = list(self.rules[name](shelf))
        self.assertNotEqual([], said)
        return "\n".join(said)

    def test_an_exception_is_for_one_file(self) -> None:
        fetch = f"{HEAD}curl -O https://example.org/file\n"
        shelf = self.shelf(
            **{"good/install.d/20-fetch": fetch, "other/bin/fetch": fetch}
        )
        excused = {"good/install.d/20-fetch": "a test"}
        with mock.patch.object(sources, "UNPROVEN_HERE", excused):
            (said,) = sources.downloads_are_proven(shelf)
            self.assertEqual([], list(sources.exceptions_are_needed(shelf)))
        self.assertIn("other/bin/fetch", said)

    def test_a_dependency_may_explain_a_knob(self) -> None:
        knob = '"${DIB_THEIRS:-}"'
        shelf = self.shelf(
            **{
                "good/install.d/10-good": knob,
                "third/README.rst": README.replace("DIB_GOOD", "DIB_THEIRS"),
            }
        )
        self.assertEqual([], list(self.rules["names_every_knob"](shelf)))
