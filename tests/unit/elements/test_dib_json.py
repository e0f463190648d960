"""Shell scripts read JSON as a JSON parser does, or not at all."""

import json
import pathlib
import subprocess
import tempfile
import unittest

DIB_JSON = pathlib.Path(__file__).parents[3] / "elements/dib-json/bin/dib-json"
AWKS = ("mawk", "gawk", "busybox")


class TestDibJson(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name)
        self.path = "/usr/local/bin:/usr/bin:/bin"

    def read(self, text: str) -> subprocess.CompletedProcess[str]:
        file = self.place / "x.json"
        file.write_text(text)
        return subprocess.run(
            [DIB_JSON, file],
            env={"PATH": self.path},
            capture_output=True,
            text=True,
        )

    def test_what_python_reads_too(self) -> None:
        data = {
            "text": 'a "quoted" \\ / caf\u00e9 \u20ac',
            "numbers": [1, -2.5e3, 0],
            "words": [True, False, None],
            "empty": {"object": {}, "list": [], "text": ""},
            "deep": [[["x", "y"], []], {"z": ["w"]}],
        }
        expected = list(leaves(data))
        for ascii_only in (True, False):
            for indent in (None, 1):
                text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
                done = self.read(text)
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                self.assertEqual(expected, done.stdout.splitlines())

    def test_with_each_awk(self) -> None:
        for name in AWKS:
            awk = self.place / "awk"
            awk.write_text(f'#!/bin/sh\nexec {called(name)} "$@"\n')
            awk.chmod(0o755)
            self.path = f"{self.place}:/usr/bin:/bin"
            with self.subTest(name):
                self.test_what_python_reads_too()
                self.test_what_is_not_json()

    def test_a_line_of_output_is_one_value(self) -> None:
        done = self.read('{"a\\tb": "c\\nd"}')
        self.assertEqual("a b\tc d\n", done.stdout)

    def test_what_is_not_json(self) -> None:
        for text in (
            "",
            "{",
            '{"a": }',
            '{"a" 1}',
            '{"a": 1,}',
            '["a",]',
            '["a"',
            '{"a": 1} x',
            "{a: 1}",
            "{'a': 1}",
            '"a',
            '"\\q"',
            '"\\u12"',
            "yes",
        ):
            with self.subTest(text):
                done = self.read(text)
                self.assertEqual((1, ""), (done.returncode, done.stdout))
                self.assertIn("x.json: ", done.stderr)

    def test_no_file(self) -> None:
        done = subprocess.run(
            [DIB_JSON, self.place / "none"], capture_output=True, text=True
        )
        self.assertEqual(1, done.returncode)
        self.assertIn("cannot be read", done.stderr)


def called(awk: str) -> str:
    return "busybox awk" if awk == "busybox" else awk


def leaves(data: object, *path: str):
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, *path, key)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from leaves(value, *path, str(number))
    else:
        text = data if isinstance(data, str) else json.dumps(data)
        yield "\t".join((*path, text))
