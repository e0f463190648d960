"""What stops an image, and what does not."""

import json
import unittest

from dib_service.engine.gate import judge
from dib_service.engine.gate.faults import REMEDIES, Found
from dib_service.engine.gate.guest import Said
from dib_service.engine.gate.plan import Result
from dib_service.engine.sizes import GiB

RESULT = {"v1": {"datasource": "DataSourceConfigDrive", "errors": []}}
STATUS = {
    "v1": {"stage": None, "init": {"errors": [], "recoverable_errors": {}}}
}


def said(log=(), **changes):
    """What a sound machine says, but for some of it."""
    words = {
        "state": "running",
        "failed": "",
        "cloud-init": "status: done",
        "cloud-init-result": json.dumps(RESULT),
        "cloud-init-status": json.dumps(STATUS),
        "host-name": "boot-test-1",
        "machine-id": "0" * 32,
        "root": f"/dev/vda3 {5 * GiB // 1024} 1000 2000 10% /",
        "least": "500000",
        "done": "yes",
    }
    words |= {name.replace("_", "-"): each for name, each in changes.items()}
    words = {name: each for name, each in words.items() if each is not None}
    return Said(words, list(log))


class Judged(unittest.TestCase):
    def code(self, found, firmware="bios", room=5 * GiB):
        """The code of what stops it; None if nothing does."""
        try:
            judge.check(found, firmware=firmware, room=room)
        except Found as exc:
            self.assertIn(exc.code, REMEDIES)
            return exc.code, exc.problem
        return None, ""

    def test_a_sound_machine_passes(self):
        self.assertIsNone(self.code(said())[0])
        # Nothing says that every image has cloud-init, or systemd.
        for changes in (
            {"cloud_init": None, "cloud_init_result": None},
            {"state": "none", "machine_id": "", "failed": None},
            {"cloud_init": "status: disabled", "cloud_init_result": ""},
        ):
            self.assertIsNone(self.code(said(**changes))[0], changes)

    def test_units_that_failed_are_named_with_their_log(self):
        found = said(failed="a.service b.mount ", log=["a.service: no file"])
        with self.assertRaises(Found) as caught:
            judge.check(found, firmware="bios", room=0)
        self.assertEqual("boot-units-failed", caught.exception.code)
        self.assertIn("a.service, b.mount", caught.exception.problem)
        self.assertEqual(["a.service: no file"], caught.exception.last_lines)

    def test_a_state_that_is_no_end(self):
        self.assertEqual(
            "boot-units-failed", self.code(said(state="maintenance"))[0]
        )

    def test_cloud_inits_errors_are_named(self):
        for result, status in (
            ({"v1": {"errors": ["('x', ValueError('y'))"]}}, STATUS),
            (RESULT, {"v1": {"init": {"errors": ["ValueError('y')"]}}}),
            (
                RESULT,
                {
                    "v1": {
                        "init": {
                            "recoverable_errors": {
                                "ERROR": ["ValueError('y')"]
                            }
                        }
                    }
                },
            ),
        ):
            code, problem = self.code(
                said(
                    cloud_init_result=json.dumps(result),
                    cloud_init_status=json.dumps(status),
                )
            )
            self.assertEqual("boot-cloud-init", code)
            self.assertIn("ValueError('y')", problem)

    def test_cloud_init_that_left_no_result(self):
        for result in ("", "[1", "[]", "{}"):
            found = said(cloud_init="status: error", cloud_init_result=result)
            code, problem = self.code(found)
            self.assertEqual("boot-cloud-init", code)
            self.assertIn("status: error", problem)

    def test_what_cloud_init_only_warns_of_is_told(self):
        status = {
            "v1": {"init": {"recoverable_errors": {"DEPRECATED": ["old key"]}}}
        }
        found = said(cloud_init_status=json.dumps(status))
        self.assertIsNone(self.code(found)[0])
        self.assertEqual(
            ["cloud-init: DEPRECATED: old key"],
            list(judge.warnings(found, "boot-test-1")),
        )

    def test_metadata_init_is_judged_by_its_units_and_by_what_it_took(self):
        good = json.dumps({"source": "config-drive", "errors": []})
        sound = {
            "cloud_init": None,
            "metadata_init": "success success",
            "metadata_init_result": good,
        }
        self.assertIsNone(self.code(said(**sound))[0])
        for changes, word in (
            ({"metadata_init": "success exit-code"}, "exit-code"),
            ({"metadata_init": "", "metadata_init_result": ""}, "never"),
            (
                {"metadata_init_result": json.dumps({"source": "none"})},
                "did not find the config drive",
            ),
            (
                {
                    "metadata_init_result": json.dumps(
                        {"source": "config-drive", "errors": ["a bond"]}
                    )
                },
                "a bond",
            ),
        ):
            code, problem = self.code(said(**{**sound, **changes}))
            self.assertEqual("boot-metadata-init", code)
            self.assertIn(word, problem)

    def test_another_host_name_is_told(self):
        found = said(host_name="debian")
        [warning] = judge.warnings(found, "boot-test-1.example.org")
        self.assertIn("'debian'", warning)

    def test_a_root_that_has_not_grown(self):
        for root in ("/dev/vda3 1000000 1 1 1% /", "", "a b c"):
            code, _ = self.code(said(root=root))
            self.assertEqual("boot-root-not-grown", code, root)
        # One that cannot grow does not have to.
        self.assertIsNone(self.code(said(root=""), room=0)[0])

    def test_a_root_that_has_left_room_for_the_state(self):
        small = f"/dev/vda3 {3 * GiB // 1024} 1000 2000 10% /"
        code, _ = self.code(said(root=small))
        self.assertEqual("boot-root-not-grown", code)
        state = {"persistent-state": str(2 * GiB)}
        self.assertIsNone(self.code(said(root=small, **state))[0])
        state = {"persistent-state": str(GiB)}
        code, _ = self.code(said(root=small, **state))
        self.assertEqual("boot-root-not-grown", code)

    def test_a_machine_without_an_identity(self):
        self.assertEqual("boot-machine-id", self.code(said(machine_id=""))[0])

    def test_the_firmware_is_the_one_that_was_meant(self):
        for firmware, changes, sound in (
            ("bios", {"efi": "yes"}, False),
            ("uefi", {"efi": "yes"}, True),
            ("uefi", {}, False),
            ("secure-boot", {"efi": "yes", "secure_boot": "   1"}, True),
            ("secure-boot", {"efi": "yes", "secure_boot": "   0"}, False),
            ("secure-boot", {"efi": "yes"}, False),
            ("kernel", {}, True),
        ):
            code, _ = self.code(said(**changes), firmware)
            self.assertEqual(sound, code is None, (firmware, changes))

    def test_half_an_answer(self):
        self.assertEqual("boot-no-login", self.code(said(done=None))[0])


def result(memory=300, **identity):
    return Result("bios", "tcg", 1.0, True, memory, identity)


class Together(unittest.TestCase):
    def test_two_of_a_kind_are_told_apart(self):
        judge.check_apart([result(rsa="a"), result(rsa="b"), result()])
        judge.check_apart([result(rsa=""), result(rsa="")])

    def test_one_key_in_two_machines(self):
        with self.assertRaises(Found) as caught:
            judge.check_apart(
                [result(rsa="a", dsa="x"), result(rsa="b", dsa="x")]
            )
        self.assertEqual("boot-host-key", caught.exception.code)
        self.assertIn("dsa", caught.exception.problem)

    def test_one_machine_id_in_two_machines(self):
        same = {"machine-id": "f" * 32}
        with self.assertRaises(Found) as caught:
            judge.check_apart([result(**same), result(**same)])
        self.assertEqual("boot-machine-id", caught.exception.code)

    def test_memory_is_what_was_needed_and_a_quarter(self):
        for needed, wanted in (
            ([], 512),
            ([100], 512),
            ([300, 420], 768),
            ([820], 1280),
        ):
            self.assertEqual(
                wanted, judge.min_ram_mib(result(memory=m) for m in needed)
            )
