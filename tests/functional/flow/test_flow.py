"""A build's way through conductor and builder, with trouble on it."""

import contextlib
import json
import os
import pathlib
import signal
import time
from unittest import mock

from dib_service import exception
from dib_service.conductor import endpoint
from dib_service.objects import history
from dib_service.objects.build import Build
from tests.functional.flow import base
from tests.functional.flow.fake_glance import wait_until


class WayTest(base.FlowTest):
    def test_a_build_becomes_an_image(self):
        build = self.ask()
        build = self.wait_for(build, "complete")
        self.assert_published_once(build)
        self.assert_nothing_left(images=1)
        self.assertEqual(["complete"], self.outcomes_of(build))

    def test_a_partition_image_comes_with_what_starts_it(self):
        build = self.wait_for(self.ask("partition"), "complete")
        rows = history.publications(build.id)
        self.assertEqual(
            [
                ("kernel", "vmlinuz", "published"),
                ("ramdisk", "initramfs", "published"),
                ("image", "qcow2", "published"),
            ],
            [(row.role, row.format, row.state) for row in rows],
        )
        for row in rows:
            self.assertFalse(self.glance.images[row.image_id]["os_hidden"])
        posts = [json.loads(body)["id"] for body in self.glance.bodies("POST")]
        self.assertEqual([row.image_id for row in rows], posts)
        self.assert_nothing_left(images=3)

    def test_a_ramdisk_is_published_without_an_image(self):
        build = self.wait_for(self.ask("ramdisk"), "complete")
        self.assertEqual(
            ["kernel", "ramdisk"],
            [row.role for row in history.publications(build.id)],
        )
        self.assert_nothing_left(images=2)

    def test_log_and_events_arrive_in_full_and_once(self):
        build = self.wait_for(self.ask("floods"), "complete", seconds=60)
        numbers = [
            int(line[:6])
            for line in self.log_of(build).splitlines()
            if line.endswith("x" * 93)
        ]
        self.assertEqual(list(range(30000)), numbers)
        self.assertEqual(
            [
                *("phase", "hook", "hook", "phase"),
                *("artefact", "phase", "phase", "manifest"),
            ],
            self.kinds_of(build),
        )

    def test_a_busy_builder_takes_the_next_build_later(self):
        gate = self.gate("gate")
        first = self.ask(DIB_FAKE_GATE=str(gate))
        second = self.ask()
        self.wait_for(first, "building")
        wait_until(lambda: "waiting" in self.log_of(first))
        self.assertEqual("queued", Build.get(second.id).state)
        gate.touch()
        self.wait_for(first, "complete")
        self.wait_for(second, "complete")

    def test_an_element_s_failure_is_told(self):
        build = self.wait_for(self.ask("element"), "failed")
        self.assertEqual("10-debian", build.fault["hook"])
        self.assertEqual(3, build.fault["exit_code"])
        self.assertEqual(["failed"], self.outcomes_of(build))
        wait_until(lambda: "*** FAILED" in self.log_of(build))
        self.assert_nothing_left()

    def test_a_host_s_fault_is_tried_again(self):
        build = self.wait_for(self.ask("once"), "complete")
        self.assertEqual(["failed", "complete"], self.outcomes_of(build))
        self.assert_published_once(build)
        self.assert_nothing_left(images=1)

    def test_a_child_that_always_dies_fails_the_build(self):
        build = self.wait_for(self.ask("killed"), "failed")
        self.assertEqual("engine-died", build.fault["code"])
        self.assertIn("SIGKILL", build.fault["message"])
        self.assertEqual(["failed"] * 3, self.outcomes_of(build))
        self.assert_nothing_left()


class TroubleTest(base.FlowTest):
    def test_a_killed_child_is_started_again(self):
        gate = self.gate("gate")
        build = self.ask(DIB_FAKE_GATE=str(gate))
        wait_until(lambda: "waiting" in self.log_of(build))
        for pid in self.engines():
            os.kill(pid, signal.SIGKILL)
        gate.touch()
        build = self.wait_for(build, "complete")
        self.assertEqual(["failed", "complete"], self.outcomes_of(build))
        self.assert_nothing_left(images=1)

    def test_a_build_outlives_its_conductor(self):
        gate = self.gate("gate")
        build = self.ask(DIB_FAKE_GATE=str(gate))
        wait_until(lambda: "waiting" in self.log_of(build))
        self.stop(self.conductor)
        gate.touch()
        time.sleep(1.0)
        self.assertEqual("building", Build.get(build.id).state)
        self.start_conductor()
        build = self.wait_for(build, "complete")
        self.assertEqual(["complete"], self.outcomes_of(build))
        self.assertEqual(
            1, self.log_of(build).count("hello from the fake engine")
        )
        self.assertEqual(8, len(self.kinds_of(build)))
        self.assert_nothing_left(images=1)

    def test_an_upload_that_fails_twice_is_no_second_build(self):
        self.glance.faults.extend([("PUT", 0), ("PUT", 503)])
        build = self.wait_for(self.ask(), "complete")
        self.assertEqual(["complete"], self.outcomes_of(build))
        self.assertEqual(
            1, self.log_of(build).count("hello from the fake engine")
        )
        self.assert_published_once(build)

    def test_wrong_bytes_are_never_published(self):
        self.glance.corruptions = 1000
        build = self.wait_for(self.ask(), "failed")
        self.assertEqual("publication-failed", build.fault["code"])
        fault = build.fault["targets"]["glance"]
        self.assertEqual("glance-wrong-bytes", fault["code"])
        self.assert_nothing_left()

    def test_a_glance_that_dies_of_an_upload_costs_an_id_and_no_build(self):
        for fault in ("dies", "killed"):
            with self.subTest(fault=fault):
                before = len(self.glance.images)
                self.glance.faults.append(("PUT", fault))
                build = self.wait_for(self.ask(), "complete")
                self.assertEqual(["complete"], self.outcomes_of(build))
                self.assertEqual(
                    1, self.log_of(build).count("hello from the fake engine")
                )
                self.assert_published_once(build)
                self.assert_nothing_left(images=before + 1)

    def test_an_upload_that_nobody_grants_is_no_lost_lease(self):
        self.config.config(group="conductor", lease_seconds=1.5)
        self.config.config(group="builder", upload_timeout=0.5)
        self.stop(self.builder)
        self.start_builder()
        said = "no manifest has arrived yet"
        with mock.patch.object(
            endpoint,
            "_manifest",
            side_effect=exception.Unavailable(said),
        ):
            build = self.wait_for(self.ask(), "failed")
        self.assertEqual("publication-failed", build.fault["code"])
        self.assertEqual(
            f"not published in glance: {said}", build.fault["message"]
        )
        self.assertNotIn("Traceback", self.log_of(build))
        self.assertEqual(["failed"], self.outcomes_of(build))
        self.assert_nothing_left()

    def test_a_restarted_builder_builds_again(self):
        gate = self.gate("gate")
        build = self.ask("stubborn")
        wait_until(lambda: "hello" in self.log_of(build))
        other = self.ask(DIB_FAKE_GATE=str(gate))
        self.stop(self.builder)
        self.assertEqual([], self.engines())
        wait_until(lambda: Build.get(build.id).state == "queued")
        self.assertEqual("failed", self.outcomes_of(build)[0])
        self.cancel(build)
        gate.touch()
        self.start_builder()
        self.wait_for(other, "complete")
        self.wait_for(build, "cancelled")
        self.assert_nothing_left(images=1)

    def engines(self):
        """The fake engines at work below our state path."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            # Gone meanwhile, or no process.
            with contextlib.suppress(OSError):
                if os.fsencode(self.state) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found


class FenceTest(base.FlowTest):
    def configure(self):
        super().configure()
        self.config.config(group="conductor", lease_seconds=1.2)

    def test_a_builder_that_nobody_answers_gives_up(self):
        build = self.ask("stubborn")
        wait_until(lambda: "hello" in self.log_of(build))
        self.stop(self.conductor)
        wait_until(lambda: not list((self.state / "builds").iterdir()))
        self.start_conductor()
        wait_until(lambda: len(self.outcomes_of(build)) == 2)
        self.assertEqual("lost", self.outcomes_of(build)[0])
        self.cancel(build)
        self.wait_for(build, "cancelled")
        self.assert_nothing_left()


class CancelTest(base.FlowTest):
    def assert_cancelled(self, build):
        started = time.monotonic()
        self.cancel(build)
        self.wait_for(build, "cancelled")
        self.assertLess(time.monotonic() - started, 10)
        self.assert_nothing_left()

    def test_while_queued(self):
        gate = self.gate("gate")
        first = self.ask(DIB_FAKE_GATE=str(gate))
        self.wait_for(first, "building")
        second = self.ask()
        self.cancel(second)
        self.wait_for(second, "cancelled")
        self.assertEqual([], self.outcomes_of(second))
        gate.touch()
        self.wait_for(first, "complete")

    def test_while_building(self):
        build = self.ask("stubborn")
        wait_until(lambda: "hello" in self.log_of(build))
        self.assert_cancelled(build)
        self.assertEqual(["cancelled"], self.outcomes_of(build))

    def test_while_verifying(self):
        build = self.ask(DIB_FAKE_VERIFY_GATE=str(self.gate("gate")))
        self.wait_for(build, "verifying")
        self.assert_cancelled(build)

    def test_while_publishing(self):
        self.glance.faults.append(("PUT", "hang"))
        build = self.ask()
        self.wait_for(build, "publishing")
        self.assertTrue(self.glance.hanging.wait(10))
        self.assert_cancelled(build)

    def test_while_glance_is_away(self):
        self.glance.faults.extend([("POST", 503)] * 1000)
        build = self.ask()
        self.wait_for(build, "publishing")
        wait_until(lambda: self.glance.asked("POST") > 1)
        self.assert_cancelled(build)


class TwoSlotsTest(base.FlowTest):
    slots = 2

    def test_eight_builds_on_two_slots(self):
        gate = self.gate("gate")
        builds = [self.ask(DIB_FAKE_GATE=str(gate)) for _ in range(8)]

        def at_work():
            return [
                build
                for build in builds
                if Build.get(build.id).state == "building"
            ]

        wait_until(lambda: len(at_work()) == 2)
        time.sleep(0.5)
        self.assertEqual(2, len(at_work()))
        gate.touch()
        for build in builds:
            ended = self.wait_for(build, "complete", seconds=60)
            self.assert_published_once(ended)
            self.assertEqual(["complete"], self.outcomes_of(build))
        self.assert_nothing_left(images=8)
