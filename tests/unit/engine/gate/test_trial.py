"""What is believed of what a test says, and what is kept of it."""

import json
import pathlib
import tempfile
import unittest
from unittest import mock

from dib_service.engine import errors
from dib_service.engine.gate import faults, trial
from dib_service.engine.gate.plan import Plan, Settings

RESULT = {
    "firmware": "bios",
    "accelerator": "tcg",
    "seconds": 83.2,
    "config_drive": True,
    "memory_mib": 412,
}
PLAN = Plan("login", "x86_64", ("bios",), Settings(uid=0), image="image")


class Runs(unittest.TestCase):
    """A test whose machines are a few lines of output."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)
        self.image = self.place / "image"
        self.image.write_bytes(b"image")
        self.lines = []

    def run_it(self, *said, fails=None, plan=PLAN):
        self.words = []

        def stream(words, on_line, *, deadline):
            self.words = words
            self.seen = pathlib.Path(words[4])
            self.files = {
                path.name: path.exists() for path in self.seen.iterdir()
            }
            for each in said:
                on_line(each if isinstance(each, str) else json.dumps(each))
            if fails:
                raise fails

        with (
            mock.patch("dib_service.engine.process.stream", stream),
            mock.patch("os.chown"),
        ):
            return trial.run(
                plan,
                {"image": self.image},
                scratch=self.place,
                cache=self.place / "cache",
                say=lambda kind, text: self.lines.append(text),
            )

    def code(self, *said, **changes):
        with self.assertRaises(errors.BootFailed) as caught:
            self.run_it(*said, **changes)
        return caught.exception.to_dict()

    def test_what_was_seen_is_the_manifests(self):
        verdict = self.run_it(
            {"accelerator": "tcg"},
            {"text": "bios: starting"},
            {"result": RESULT},
            {"min_ram_mib": 768},
        )
        self.assertEqual(
            {"boot_tests": [RESULT], "min_ram_mib": 768}, verdict.to_dict()
        )
        self.assertEqual(["bios: starting"], self.lines)
        # Nothing is left of it.
        self.assertFalse(self.seen.exists())
        self.assertTrue(self.files["image"])

    def test_nobody_tested(self):
        self.assertEqual({"boot_tests": []}, trial.Verdict().to_dict())

    def test_kvm_is_tried_once(self):
        self.run_it({"accelerator": "kvm"}, {"result": RESULT})
        self.assertEqual("unknown", self.words[-1])
        self.run_it({"result": RESULT})
        self.assertEqual("kvm", self.words[-1])
        without = Plan(
            *("login", "x86_64", ("bios",), Settings(uid=0, kvm=False))
        )
        self.run_it({"result": RESULT}, plan=without)
        self.assertEqual("tcg", self.words[-1])

    def test_another_start_of_the_host_is_asked_again(self):
        self.run_it({"accelerator": "kvm"}, {"result": RESULT})
        with mock.patch.object(trial, "_host", return_value=["another"]):
            self.run_it({"result": RESULT})
        self.assertEqual("unknown", self.words[-1])

    def test_what_was_found_is_the_fault(self):
        ended = errors.CommandError(["test"], 1)
        fault = self.code(
            {
                "found": {
                    "code": "boot-loader",
                    "firmware": "bios",
                    "problem": "it\x1b[31m stopped",
                    "last_lines": ["grub>", 7],
                }
            },
            fails=ended,
        )
        self.assertEqual("boot-loader", fault["code"])
        self.assertEqual("element", fault["turn"])
        self.assertEqual("bios", fault["firmware"])
        self.assertEqual(["grub>", "7"], fault["last_lines"])
        self.assertEqual(
            f"boot-loader: bios: it stopped; {faults.REMEDIES['boot-loader']}",
            fault["message"],
        )

    def test_no_result_is_no_pass(self):
        for said, fails in (
            ([], None),
            ([{"result": RESULT}], errors.CommandError(["test"], 1)),
            ([], errors.CommandError(["test"], -9)),
            ([{"result": "passed"}], None),
            ([{"min_ram_mib": 512}], None),
        ):
            fault = self.code(*said, fails=fails)
            self.assertEqual("boot-test-host", fault["code"])
            self.assertEqual("operator", fault["turn"])

    def test_one_of_two_is_not_enough(self):
        two = Plan("login", "x86_64", ("bios", "bios"), Settings(uid=0))
        self.assertEqual(
            "boot-test-host", self.code({"result": RESULT}, plan=two)["code"]
        )

    def test_it_has_an_end(self):
        late = errors.DeadlineExceeded(["test"], None)
        self.assertEqual("boot-timeout", self.code(fails=late)["code"])

    def test_a_strangers_words_are_checked(self):
        verdict = self.run_it(
            "Traceback \x1b[2J",
            "[" * 10000,
            {"text": 7},
            {"accelerator": "/dev/sda"},
            {"result": {**RESULT, "firmware": ["x"]}},
            {"result": {**RESULT, "firmware": "x"}},
            {"result": {**RESULT, "memory_mib": True}},
            {"result": {}},
            {"result": {**RESULT, "seconds": float("nan")}},
            {"result": {**RESULT, "memory_mib": -1}},
            {"result": {**RESULT, "memory_mib": 10**30}},
            {"result": {**RESULT, "more": 1}},
            {"min_ram_mib": True},
            {"min_ram_mib": 10**30},
        )
        self.assertEqual({"boot_tests": [RESULT]}, verdict.to_dict())
        self.assertEqual("Traceback ".strip(), self.lines[0].strip())
        self.assertFalse((self.place / "cache").exists())
        fault = self.code(
            {"found": {"code": "rm -rf", "problem": "x" * 10**6}},
            fails=errors.CommandError(["test"], 1),
        )
        self.assertEqual("boot-test-host", fault["code"])
        self.assertLess(len(fault["message"]), 4000)

    def test_the_last_words_are_cleaned(self):
        fault = self.code(
            {"text": "bios | x\x1b[2J"},
            fails=errors.CommandError(["t"], 1, last_lines=["\x1b[2Jlast"]),
        )
        self.assertNotIn("\x1b", fault["message"])
        self.assertEqual(["bios | x"], fault["last_lines"])

    def test_what_is_known_of_the_host_may_be_nonsense(self):
        known = self.place / "cache" / trial.KNOWN
        known.parent.mkdir(parents=True)
        host = trial._host(PLAN)
        for text in ("[]", "{", json.dumps({"of": host}), "[" * 10**5):
            known.write_text(text)
            self.run_it({"result": RESULT})
            self.assertEqual("unknown", self.words[-1])

    def test_nobody_listens_for_ever(self):
        self.run_it({"result": RESULT}, *["x"] * (2 * trial.MOST_LINES))
        self.assertLessEqual(len(self.lines), trial.MOST_LINES)

    def test_a_kernel_of_roots_is_shown_too(self):
        self.image.chmod(0o600)
        self.run_it({"result": RESULT})
        self.assertTrue(self.files["image"])


class Codes(unittest.TestCase):
    def test_each_is_explained(self):
        page = pathlib.Path(__file__).parents[4] / "doc/source/user"
        text = (page / "boot-test.rst").read_text()
        for code in faults.REMEDIES:
            self.assertIn(f"   * - ``{code}``\n", text)
