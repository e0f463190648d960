"""Machines side by side: what is said of all of them, and of the first."""

import json
import unittest
from unittest import mock

from dib_service.engine import errors
from dib_service.engine.gate import warden
from dib_service.engine.gate.faults import Found
from dib_service.engine.gate.plan import Plan, Result, Settings

PLAN = Plan("login", "x86_64", ("bios", "secure-boot"), Settings(), image="i")


class Ended(Exception):
    """The process would be gone."""


def result(firmware, key, memory=300):
    return Result(firmware, "tcg", 1.0, True, memory, {"ssh-rsa": key})


class Runs(unittest.TestCase):
    def run_it(self, *boots, accelerator="tcg"):
        """The exit code, and what was said."""
        said = []
        ended = []

        def end(code):
            ended.append(code)
            raise Ended

        def boot(plan, number, known):
            self.assertEqual("tcg", known)
            if isinstance(boots[number], Exception):
                raise boots[number]
            return boots[number]

        with (
            mock.patch.object(warden, "_boot", boot),
            mock.patch.object(
                warden, "_say", lambda **facts: said.append(facts)
            ),
            mock.patch("os._exit", end),
            mock.patch("traceback.print_exception"),
            mock.patch.object(
                warden.machine, "accelerator", return_value="tcg"
            ) as asked,
        ):
            try:
                code = warden.run(PLAN, accelerator)
            except Ended:
                code = ended[0]
        self.asked = asked.called
        json.dumps(said)
        return code, said

    def test_all_is_well(self):
        boots = [result("bios", "a", 200), result("secure-boot", "b", 700)]
        code, said = self.run_it(*boots)
        self.assertEqual(0, code)
        self.assertEqual({"accelerator": "tcg"}, said[0])
        self.assertEqual(
            ["bios", "secure-boot"],
            [each["result"]["firmware"] for each in said[1:3]],
        )
        self.assertEqual({"min_ram_mib": 1024}, said[3])
        # An identity is for nobody else's eyes.
        self.assertNotIn("ssh-rsa", str(said))
        self.assertFalse(self.asked)

    def test_what_is_not_known_is_found_out(self):
        boots = [result("bios", "a"), result("secure-boot", "b")]
        self.assertEqual(0, self.run_it(*boots, accelerator=None)[0])
        self.assertTrue(self.asked)

    def test_a_key_in_both(self):
        boots = [result("bios", "a"), result("secure-boot", "a")]
        code, said = self.run_it(*boots)
        self.assertEqual(1, code)
        self.assertEqual("boot-host-key", said[-1]["found"]["code"])
        self.assertEqual([], [each for each in said if "result" in each])

    def test_the_first_that_fails_is_told_and_ends_all(self):
        cause = Found("boot-kernel", "it stopped", ["panic"])
        code, said = self.run_it(
            result("bios", "a"), warden._Blamed("secure-boot", cause)
        )
        self.assertEqual(1, code)
        self.assertEqual(
            {
                "firmware": "secure-boot",
                "code": "boot-kernel",
                "problem": "it stopped",
                "last_lines": ["panic"],
            },
            said[-1]["found"],
        )

    def test_a_fault_of_ours_is_no_pass(self):
        code, said = self.run_it(result("bios", "a"), ValueError("ours"))
        self.assertEqual(1, code)
        self.assertEqual([{"accelerator": "tcg"}], said)

    def test_each_machine_has_a_name_of_its_own(self):
        names = []

        class Boot:
            def __init__(self, plan, number, known, folder, tell, console):
                names.append(folder.name)

            def run(self):
                raise errors.CommandError(["qemu-img"], 1)

        twice = Plan("login", "x86_64", ("bios", "bios"), Settings())
        with (
            mock.patch.object(warden, "_Boot", Boot),
            mock.patch("pathlib.Path.mkdir"),
        ):
            for number in (0, 1):
                with self.assertRaises(warden._Blamed) as caught:
                    warden._boot(twice, number, "tcg")
                self.assertEqual("boot-test-host", caught.exception.cause.code)
        self.assertEqual(["bios-1", "bios-2"], names)
