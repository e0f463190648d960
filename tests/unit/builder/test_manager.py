"""A builder at work: registers, claims, holds leases, clears up."""

import dataclasses
import os
import pathlib
import subprocess
import tempfile
import threading
import unittest
from unittest import mock
import uuid

from oslo_config import cfg
from oslo_log import log

from dib_service import conf as conf_lib
from dib_service import exception, rpc
from dib_service.builder import child, job, manager, reporter
from dib_service.engine import __main__ as dib_engine
from tests.functional.flow import fake_glance
from tests.functional.flow.fake_glance import wait_until
from tests.unit.builder import fakes


class Clock:
    """Time passes where a test says so."""

    now = 1000.0

    def monotonic(self):
        return self.now


class ManagerTest(unittest.TestCase):
    def setUp(self):
        self.state = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        )
        self.glance = self.enterContext(fake_glance.FakeGlance())
        self.conductor = fakes.FakeConductor()
        self.conductor.endpoint = self.glance.endpoint
        # The bell's wire is oslo.messaging's.
        self.enterContext(mock.patch.object(rpc, "server", autospec=True))
        for module, name, seconds in (
            (reporter, "SPACING_SECONDS", 0.02),
            (manager, "FENCE_TICK_SECONDS", 0.02),
            (child, "GRACE_SECONDS", 0.2),
        ):
            self.enterContext(mock.patch.object(module, name, seconds))
        self.clock = Clock()
        self.enterContext(mock.patch.object(manager, "time", self.clock))
        self.options = cfg.ConfigOpts()
        log.register_options(self.options)
        conf_lib.builder.register_opts(self.options)
        conf_lib.publish.register_opts(self.options)
        self.options([], default_config_files=[], default_config_dirs=[])
        self.configure(
            state_path=str(self.state),
            engine_command=str(fakes.FAKE_ENGINE),
            poll_interval=60.0,
            heartbeat_interval=60.0,
        )

    def configure(self, **changes):
        for name, value in changes.items():
            self.options.set_override(name, value, group="builder")

    def start(self):
        made = manager.BuilderService(
            self.options,
            credential=("builder-1", "secret"),
            conductor=lambda: self.conductor,
        )
        made.start()
        self.addCleanup(made.wait)
        self.addCleanup(made.stop)
        return made

    def queue(self, fake="well", **environment):
        build_id = str(uuid.uuid4())
        self.conductor.queue.append(
            fakes.claim(build_id, DIB_FAKE=fake, **environment)
        )
        return build_id

    def answered(self, call, times=2):
        """So many calls were made after this one, and all but one answered.

        The first that is counted may have been under way before.
        """
        made = self.conductor.called(call)
        wait_until(lambda: self.conductor.called(call) > made + times)

    def at_work(self):
        return sorted(
            path.name.rpartition("-")[0]
            for path in (self.state / "builds").iterdir()
        )

    def test_it_registers_and_describes_what_nobody_knows(self):
        self.conductor.known.add("b" * 64)
        self.start()
        wait_until(lambda: self.conductor.called("claim"))
        self.assertEqual(
            ["debian"], [row["name"] for row in self.conductor.described]
        )

    def test_what_lies_here_is_told_again_when_it_is_not_what_was_meant(self):
        builder = self.start()
        wait_until(lambda: self.conductor.called("claim"))
        engine = self.state / "engine"
        engine.write_text(
            f"#!/bin/sh\ncase $1 in\nelements) echo '[]' ;;\n"
            f'*) exec {fakes.FAKE_ENGINE} "$@" ;;\nesac\n'
        )
        engine.chmod(0o755)
        builder._host = dataclasses.replace(
            builder._host, engine=(str(engine),)
        )
        self.queue("changed")
        builder.wake()
        wait_until(lambda: self.conductor.called("register") == 2)
        ((fault, retry),) = self.conductor.faults
        self.assertEqual("element-changed", fault["code"])
        self.assertTrue(retry)

    def test_the_engine_knows_what_machines_the_operator_gives(self):
        self.configure(
            boot_test_timeout=60,
            boot_test_memory=2048,
            boot_test_kvm=False,
            boot_test_uid=7,
        )
        made = self.start()
        self.assertEqual(
            (
                "--boot-test-seconds=60.0",
                "--boot-test-memory=2048",
                "--no-boot-test-kvm",
                "--boot-test-uid=7",
            ),
            made._host.boot_test,
        )
        engine = dib_engine._parser().parse_args(
            ["build", "x", "--output-dir=/srv", *made._host.boot_test]
        )
        self.assertEqual(60.0, engine.boot_test_seconds)
        self.assertFalse(engine.boot_test_kvm)

    def test_a_build_is_done_and_the_next_one_asked_for(self):
        self.queue()
        self.queue()
        self.start()
        wait_until(lambda: self.conductor.done_with == 2)

    def test_no_more_builds_than_slots(self):
        self.configure(slots=2)
        gate = self.state / "gate"
        for _ in range(3):
            self.queue(DIB_FAKE_GATE=str(gate))
        self.start()
        wait_until(lambda: len(self.at_work()) == 2)
        self.assertEqual(1, len(self.conductor.queue))
        gate.touch()
        wait_until(lambda: self.conductor.done_with == 3)

    def test_no_element_sees_where_images_are_published(self):
        self.options.set_override("targets", ["glance", "web"], "publish")
        conf_lib.publish.options_of(self.options, "web")
        self.options.set_override("path", "/srv/images", "publish:web")
        self.options.set_override("clouds_file", "/srv/c.yaml", "publish:web")
        hidden = manager._host(self.options, self.state, []).hidden
        self.assertLessEqual({"/srv/images", "/srv/c.yaml"}, set(hidden))

    def test_a_ring_is_a_claim(self):
        builder = self.start()
        wait_until(lambda: self.conductor.called("claim") == 1)
        self.queue()
        builder.wake()
        wait_until(lambda: self.conductor.done_with == 1)

    def test_a_lost_answer_is_asked_for_again(self):
        self.configure(poll_interval=0.02)
        self.conductor.trouble["claim"].extend([fakes.away()] * 3)
        self.queue()
        self.start()
        wait_until(lambda: self.conductor.done_with == 1)
        with_build = [
            claim_id
            for claim_id, claim in self.conductor.answers.items()
            if claim is not None
        ]
        self.assertEqual(1, len(with_build))

    def test_a_refused_builder_goes_on_trying(self):
        self.configure(poll_interval=0.02)
        self.conductor.trouble["register"].extend(
            [exception.Unauthorized("no")] * 3
        )
        self.queue()
        self.start()
        wait_until(lambda: self.conductor.done_with == 1)

    def test_a_forgotten_builder_registers_again(self):
        self.configure(poll_interval=0.02)
        self.conductor.trouble["claim"].append(exception.StaleClaim("who?"))
        self.start()
        wait_until(lambda: self.conductor.called("register") == 2)
        self.assertEqual(1, len(set(self.conductor.sessions)))

    def test_each_start_is_a_session_of_its_own(self):
        for _ in range(2):
            builder = self.start()
            wait_until(lambda: self.conductor.called("claim"))
            builder.stop()
            builder.wait()
        self.assertEqual(2, len(set(self.conductor.sessions)))

    def test_a_heartbeat_brings_the_wish_to_cancel(self):
        build_id = self.queue("stubborn")
        builder = self.start()
        wait_until(lambda: "hello" in self.conductor.log)
        self.conductor.beats[build_id] = "cancel"
        builder.wake()
        wait_until(lambda: self.conductor.faults)
        ((fault, _),) = self.conductor.faults
        self.assertEqual("cancelled", fault["code"])
        self.assertEqual([], self.at_work())

    def test_a_heartbeat_says_that_the_build_is_another_s(self):
        build_id = self.queue("stubborn")
        builder = self.start()
        wait_until(lambda: "hello" in self.conductor.log)
        self.conductor.beats[build_id] = "stale"
        builder.wake()
        wait_until(lambda: not self.at_work())
        self.assertEqual([], self.conductor.faults)

    def test_without_answers_the_build_ends_in_time(self):
        self.configure(heartbeat_interval=0.05, fence_after=0.5)
        self.queue("stubborn")
        self.conductor.trouble["heartbeat"].extend([fakes.away()] * 10000)
        self.start()
        wait_until(self.at_work)
        self.clock.now += 0.6
        wait_until(lambda: not self.at_work())
        self.assertEqual([], self.conductor.faults)

    def test_with_answers_it_does_not(self):
        self.configure(heartbeat_interval=0.02, fence_after=0.5)
        self.queue("stubborn")
        self.start()
        wait_until(self.at_work)
        for _ in range(5):
            self.answered("heartbeat")
            self.clock.now += 0.4
        self.answered("heartbeat")
        self.assertEqual(1, len(self.at_work()))

    def test_a_fenced_build_may_come_back_before_it_has_left(self):
        self.configure(
            slots=2,
            poll_interval=0.05,
            heartbeat_interval=0.05,
            fence_after=0.5,
        )
        may_leave = threading.Event()
        kill = child.Child.kill

        def slowly(engine):
            may_leave.wait(120)
            kill(engine)

        self.enterContext(mock.patch.object(child.Child, "kill", slowly))
        self.addCleanup(may_leave.set)
        build_id = self.queue("stubborn")
        self.conductor.trouble["heartbeat"].extend([fakes.away()] * 10000)
        self.start()
        wait_until(lambda: self.conductor.running == (build_id,))
        self.clock.now += 0.6
        wait_until(lambda: self.conductor.running == ())
        self.conductor.trouble["heartbeat"].clear()
        self.conductor.queue.append(
            fakes.claim(build_id, epoch=2, DIB_FAKE="stubborn")
        )
        wait_until(lambda: self.at_work() == [build_id] * 2)
        may_leave.set()
        wait_until(lambda: self.at_work() == [build_id])
        self.conductor.beats[build_id] = "cancel"
        wait_until(lambda: self.conductor.faults)
        self.assertEqual([], self.at_work())

    def test_a_fence_that_stumbles_stands(self):
        self.configure(heartbeat_interval=0.05, fence_after=0.5)
        self.queue("stubborn")
        self.conductor.trouble["heartbeat"].extend([fakes.away()] * 10000)
        end = job.Job.end
        stumbles = [RuntimeError("no")]

        def stumbling(self, reason):
            if stumbles:
                raise stumbles.pop()
            end(self, reason)

        self.enterContext(mock.patch.object(job.Job, "end", stumbling))
        self.start()
        wait_until(self.at_work)
        self.clock.now += 0.6
        wait_until(lambda: not self.at_work())

    def test_a_heart_beats_before_there_is_anything_to_hold(self):
        self.configure(heartbeat_interval=0.05)
        self.conductor.trouble["heartbeat"].append(fakes.away())
        self.start()
        wait_until(lambda: self.conductor.called("heartbeat") == 2)

    def test_a_claim_that_is_answered_late_is_as_good_as_a_new_one(self):
        self.configure(
            poll_interval=0.02, heartbeat_interval=0.02, fence_after=0.5
        )
        for call in ("claim", "heartbeat"):
            self.conductor.trouble[call].extend([fakes.away()] * 10000)
        self.start()
        wait_until(lambda: self.conductor.called("claim"))
        self.clock.now += 10
        self.answered("claim")
        self.queue()
        self.conductor.answers.clear()
        self.conductor.trouble["claim"].clear()
        wait_until(lambda: self.conductor.done_with == 1)

    def test_a_build_without_a_thread_has_no_slot(self):
        self.configure(poll_interval=0.02)
        self.queue()
        self.queue()
        thread = manager.BuilderService._thread
        full = [RuntimeError("can't start new thread")]

        def start(self, name, target):
            if name.startswith("build-") and full:
                raise full.pop()
            return thread(self, name, target)

        self.enterContext(
            mock.patch.object(manager.BuilderService, "_thread", start)
        )
        self.start()
        wait_until(lambda: self.conductor.done_with == 1)

    def test_two_builders_do_not_share_a_state_path(self):
        self.start()
        with self.assertRaises(manager.Busy):
            self.start()

    def test_leftovers_are_cleared_at_the_start(self):
        left = self.state / "builds" / "old-1" / "workspace"
        left.mkdir(parents=True)
        (left / "file").touch()
        sleeper = subprocess.Popen(["sleep", "600"], cwd=left)
        bystander = subprocess.Popen(["sleep", "600"], cwd=self.state)
        self.addCleanup(sleeper.wait)
        self.addCleanup(bystander.wait)
        self.addCleanup(bystander.kill)
        self.start()
        self.assertEqual(-9, sleeper.wait(120))
        self.assertIsNone(bystander.poll())
        self.assertEqual([], self.at_work())

    def test_what_no_element_may_see_is_named_to_the_engine(self):
        secret = self.state.parent / f"{self.state.name}.conf"
        self.addCleanup(secret.unlink)
        secret.write_text("[builder]\n")
        self.options(["--config-file", str(secret)], default_config_files=[])
        self.queue("tells")
        self.start()
        wait_until(lambda: self.conductor.done_with == 1)
        for path in (secret, self.state, "/etc/dib-service"):
            self.assertIn(os.fspath(path), self.conductor.log)
        self.assertNotIn("lease-secret", self.conductor.log)
