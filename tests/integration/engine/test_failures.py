"""Builds that cannot be: one clear fault, and nothing left behind."""

import subprocess
import sys

from tests.integration.engine import tiny


class Failures(tiny.TinyBuild):
    def assert_fault(self, built, code, turn):
        self.assertEqual(1, built.code)
        self.assertEqual(
            (code, turn), (built.fault["code"], built.fault["turn"])
        )
        self.assertEqual([], built.of_kind("artefact"))
        self.assertEqual([], list(self.output.glob("*")))
        self.assert_nothing_is_left()

    def test_a_failing_hook_stops_its_phase(self):
        for phase in ("root.d", "install.d", "finalise.d", "cleanup.d"):
            with self.subTest(phase):
                self.element(
                    f"fails-{phase[:-2]}",
                    {
                        f"{phase}/20-fails": "echo why; echo >&2 no; exit 42",
                        f"{phase}/30-never": "echo never",
                    },
                )
                built = self.build(f"fails-{phase[:-2]}")
                self.assert_fault(built, "hook", "element")
                fault = built.fault
                self.assertEqual(f"fails-{phase[:-2]}", fault["element"])
                self.assertEqual(phase, fault["phase"])
                self.assertEqual("20-fails", fault["hook"])
                self.assertEqual(42, fault["exit_code"])
                self.assertEqual(["why", "no"], fault["last_lines"])
                self.assertNotIn("never", built.lines())
                ends = [
                    event["exit_code"]
                    for event in built.of_kind("hook")
                    if event["state"] == "end" and event["hook"] == "20-fails"
                ]
                self.assertEqual([42], ends)

    def test_an_environment_that_fails(self):
        self.element(
            "trace",
            {"environment.d/10-x": "echo $UNSET_VARIABLE\n"},
        )
        built = self.build("trace")
        self.assert_fault(built, "environment", "element")
        self.assertIn("UNSET_VARIABLE", built.fault["message"])

    def test_a_command_of_an_environment_that_fails(self):
        self.element(
            "trace",
            {"environment.d/10-x": "f() { echo why; return 3; }\nf\n"},
        )
        built = self.build("trace")
        self.assert_fault(built, "environment", "element")
        self.assertEqual(3, built.fault["exit_code"])
        self.assertIn("10-x: line ", built.fault["message"])
        said = [event["text"] for event in built.of_kind("line")]
        self.assertIn("why", said)

    def test_a_duplicate_hook(self):
        for name in ("one", "two"):
            self.element(name, {"install.d/10-same": "true"})
        built = self.build("one", "two")
        self.assert_fault(built, "duplicate-hook", "element")
        self.assertEqual(["one", "two"], built.fault["elements"])
        self.assertEqual("install.d/10-same", built.fault["path"])

    def test_an_empty_tree(self):
        (self.elements / "tiny/root.d/10-tiny").write_text("#!/bin/sh\n")
        self.assert_fault(self.build(), "empty-tree", "element")

    def test_an_unknown_element(self):
        built = self.build("no-such-element")
        self.assert_fault(built, "element-not-found", "caller")

    def test_a_wrong_spec(self):
        built = self.build(formats=["qcow3"])
        self.assert_fault(built, "spec", "caller")

    def test_a_variable_that_may_not_be_set(self):
        built = self.build(environment={"LD_PRELOAD": "/tmp/evil.so"})
        self.assert_fault(built, "spec", "caller")

    def test_a_disk_that_is_too_small_for_its_tree(self):
        built = self.build(disk_size=2 * 1024 * 1024)
        self.assert_fault(built, "disk-too-small", "caller")

    def test_a_hook_that_fills_the_image(self):
        self.element(
            "fills",
            {"finalise.d/10-x": "dd if=/dev/zero of=/big bs=1M count=1000"},
        )
        built = self.build("fills", disk_size=64 * 1024 * 1024)
        self.assert_fault(built, "disk-too-small", "caller")
        self.assertEqual("10-x", built.fault["hook"])

    def test_a_host_that_is_full(self):
        self.workspace.mkdir()
        subprocess.run(
            [
                "mount",
                "-t",
                "tmpfs",
                "-o",
                "size=24m",
                "tmpfs",
                self.workspace,
            ],
            check=True,
        )
        self.addCleanup(subprocess.run, ["umount", self.workspace], check=True)
        self.element(
            "fills",
            {
                "install.d/10-x": (
                    "dd if=/dev/zero of=/big bs=1M count=1000 || "
                    "{ echo > /big; exit 1; }"
                )
            },
        )
        built = self.build("fills")
        self.assertEqual(1, built.code)
        self.assertEqual("disk-full", built.fault["code"])
        self.assertEqual("operator", built.fault["turn"])
        self.assertEqual([], list(self.workspace.glob("*")))

    def test_a_command_line_that_is_wrong(self):
        wrong = subprocess.run(
            [sys.executable, "-m", "dib_service.engine", "build"],
            cwd=tiny.CHECKOUT,
            capture_output=True,
            check=False,
        )
        self.assertEqual(2, wrong.returncode)
        self.assertEqual(b"", wrong.stdout)
