"""One build on a host: what is done, what is said, what is left."""

import dataclasses
import hashlib
import json
import pathlib
import tempfile
import threading
import time
import unittest
from unittest import mock

import oslo_messaging

from dib_service import exception
from dib_service.builder import child, job, reporter, uploading
from tests.functional.flow import fake_glance
from tests.functional.flow.fake_glance import wait_until
from tests.unit.builder import fakes


class JobTest(unittest.TestCase):
    def setUp(self):
        self.state = pathlib.Path(
            self.enterContext(tempfile.TemporaryDirectory())
        )
        self.glance = self.enterContext(fake_glance.FakeGlance())
        self.conductor = fakes.FakeConductor()
        self.conductor.endpoint = self.glance.endpoint
        for module, name, seconds in (
            (reporter, "SPACING_SECONDS", 0.02),
            (reporter, "FIRST_PAUSE_SECONDS", 0.01),
            (uploading, "FIRST_PAUSE_SECONDS", 0.01),
            (job, "LAST_WORDS_SECONDS", 0.2),
            (child, "GRACE_SECONDS", 0.2),
        ):
            patch = mock.patch.object(module, name, seconds)
            self.enterContext(patch)

    def job(self, host=None, targets=("glance",), **environment):
        claim = fakes.claim(**environment)
        return job.Job(
            dataclasses.replace(claim, targets=targets),
            host=fakes.host(self.state, **(host or {})),
            conductor=self.conductor,
        )

    def run_one(self, fake="well", host=None, **environment):
        self.job(host, DIB_FAKE=fake, **environment).run()
        self.assertEqual([], list((self.state / "builds").iterdir()))

    def start(self, fake="well", host=None, **environment):
        """A job at work, and the thread that ends with it."""
        made = self.job(host, DIB_FAKE=fake, **environment)
        thread = threading.Thread(target=made.run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(made.end, "fenced")
        return made, thread

    def assert_gone(self, thread):
        """The job is over."""
        thread.join(120)
        self.assertFalse(thread.is_alive())
        self.assertEqual([], list((self.state / "builds").iterdir()))

    def fault(self):
        self.assertEqual(0, self.conductor.done_with)
        ((fault, retry),) = self.conductor.faults
        return fault, retry

    def given_up(self):
        """The fault of the one target that there is."""
        self.assertEqual([], self.conductor.faults)
        self.assertEqual(1, self.conductor.done_with)
        (fault,) = self.conductor.given_up.values()
        return fault

    # The good end.

    def test_a_build_goes_all_its_way(self):
        self.run_one()
        self.assertEqual([], self.conductor.faults)
        self.assertEqual(1, self.conductor.done_with)
        self.assertEqual(
            ["building", "verifying", "publishing"], self.conductor.states
        )
        self.assertEqual(
            [
                *("phase", "hook", "hook", "phase"),
                *("artefact", "phase", "phase", "manifest"),
            ],
            self.conductor.kinds,
        )
        image = self.glance.images["build-1-qcow2"]
        self.assertEqual("active", image["status"])
        self.assertEqual("private", image["visibility"])
        self.assertTrue(image["os_hidden"])
        self.assertEqual("debian", image["os_distro"])
        (artefact,) = self.conductor.artefacts
        self.assertEqual(artefact.sha512, image["os_hash_value"])
        self.assertEqual(artefact.size, image["size"])

    def test_a_kernel_is_offered_beside_the_image(self):
        self.run_one("kernel")
        self.assertEqual([], self.conductor.faults)
        self.assertEqual(
            {("kernel", "vmlinuz"), ("image", "qcow2")},
            {(each.role, each.format) for each in self.conductor.artefacts},
        )
        self.assertEqual(
            {"build-1-vmlinuz", "build-1-qcow2"}, set(self.glance.images)
        )

    def test_a_kernel_and_a_ramdisk_need_no_image(self):
        self.run_one("ramdisk")
        self.assertEqual([], self.conductor.faults)
        self.assertEqual(
            {"build-1-vmlinuz", "build-1-initramfs"}, set(self.glance.images)
        )

    def test_the_log_names_element_phase_and_hook(self):
        self.run_one()
        log = self.conductor.log
        self.assertIn("==> root.d\n", log)
        self.assertIn("--- root.d/10-debian of element debian\n", log)
        self.assertIn("hello from the fake engine\n", log)

    def test_no_event_says_where_things_lie_on_the_host(self):
        self.run_one()
        self.assertNotIn(str(self.state), str(self.conductor.events))

    def test_the_engine_is_told_which_elements_were_meant(self):
        self.run_one("tells")
        pinned = f'digests {{"debian": "{"d" * 64}"}}'
        self.assertIn(pinned, self.conductor.log)

    def test_no_credential_reaches_the_engine(self):
        self.run_one("tells")
        self.assertIn("environment {", self.conductor.log)
        self.assertNotIn("lease-secret", self.conductor.log)
        self.assertNotIn("token-", self.conductor.log)

    # Faults of the build.

    def test_an_element_s_failure_is_final(self):
        self.run_one("element")
        fault, retry = self.fault()
        self.assertFalse(retry)
        self.assertEqual("10-debian", fault["hook"])
        self.assertEqual(3, fault["exit_code"])
        self.assertIn(
            "*** FAILED: element debian: root.d/10-debian exited 3",
            self.conductor.log,
        )
        self.assertEqual(1, self.conductor.kinds.count("fault"))

    def test_the_operator_s_fault_is_tried_again(self):
        self.run_one("operator")
        fault, retry = self.fault()
        self.assertTrue(retry)
        self.assertEqual("disk", fault["code"])

    def test_a_killed_engine_is_named_so(self):
        self.run_one("killed")
        fault, retry = self.fault()
        self.assertTrue(retry)
        self.assertIn("SIGKILL", fault["message"])
        self.assertEqual(1, self.conductor.kinds.count("fault"))

    def test_a_silent_death_shows_its_last_lines(self):
        self.run_one("exits")
        fault, retry = self.fault()
        self.assertTrue(retry)
        self.assertEqual(3, fault["exit_code"])
        self.assertEqual(["Traceback: it broke"], fault["last_lines"])

    def test_a_build_without_an_artefact_has_failed(self):
        self.run_one("empty")
        fault, retry = self.fault()
        self.assertTrue(retry)
        self.assertIn("without an image", fault["message"])

    def test_a_kernel_alone_is_no_image(self):
        self.run_one("kernel-only")
        fault, _ = self.fault()
        self.assertIn("without an image", fault["message"])

    def test_an_engine_that_is_not_there_is_the_host_s_fault(self):
        self.run_one(host={"engine": ("/nowhere/engine",)})
        fault, retry = self.fault()
        self.assertTrue(retry)
        self.assertIn("/nowhere/engine", str(fault))

    def test_an_artefact_elsewhere_is_not_taken(self):
        self.run_one("elsewhere")
        self.fault()
        self.assertEqual({}, self.glance.data)

    def test_a_link_to_a_file_elsewhere_is_not_taken(self):
        self.run_one("linked")
        self.fault()
        self.assertEqual({}, self.glance.data)

    def test_a_silent_build_is_ended_in_time(self):
        self.run_one("stubborn", host={"build_seconds": 0.3})
        fault, retry = self.fault()
        self.assertFalse(retry)
        self.assertEqual("build-timeout", fault["code"])

    def test_a_chatty_build_is_ended_in_time(self):
        self.run_one("chatty", host={"build_seconds": 0.3})
        fault, _ = self.fault()
        self.assertEqual("build-timeout", fault["code"])

    def test_what_is_no_event_stands_in_the_log(self):
        self.run_one("babbles")
        self.assertEqual(1, self.conductor.done_with)
        self.assertIn("this is not JSON\n", self.conductor.log)
        self.assertIn("yyyy", self.conductor.log)

    def test_a_flood_arrives_in_full_and_once(self):
        self.run_one("floods")
        self.assertEqual(1, self.conductor.done_with)
        numbers = [
            int(line[:6])
            for line in self.conductor.log.splitlines()
            if line.endswith("x" * 93)
        ]
        self.assertEqual(list(range(30000)), numbers)

    def test_a_host_s_variables_stand_below_the_request_s(self):
        host = {"environment": {"DIB_FAKE": "babbles"}}
        self.job(host).run()
        self.assertIn("this is not JSON\n", self.conductor.log)
        self.conductor.chunks.clear()
        self.run_one("well", host)
        self.assertNotIn("this is not JSON\n", self.conductor.log)

    # A conductor that comes and goes.

    def test_what_was_said_twice_counts_once(self):
        # Taken, and the answer lost: the fake notes it, and then raises.
        for name in ("report", "append_log", "uploaded"):
            self.conductor.trouble[name].extend([fakes.away()] * 3)
        self.run_one()
        self.assertEqual(8, len(self.conductor.kinds))
        self.assertEqual(
            1, self.conductor.log.count("hello from the fake engine")
        )
        self.assertEqual(1, self.conductor.done_with)

    def test_a_build_that_another_has_is_let_go(self):
        self.conductor.trouble["report"].append(exception.StaleClaim("gone"))
        _, thread = self.start("stubborn")
        self.assert_gone(thread)
        self.assertEqual([], self.conductor.faults)

    def test_a_fenced_build_says_nothing_more(self):
        made, thread = self.start("stubborn")
        wait_until(lambda: self.conductor.called("report"))
        self.conductor.trouble["report"].extend([fakes.away()] * 10000)
        made.end("fenced")
        self.assert_gone(thread)
        self.assertEqual([], self.conductor.faults)

    # Cancel in each state.

    def assert_cancelled(self, made, thread):
        started = time.monotonic()
        made.end("cancel")
        self.assert_gone(thread)
        self.assertLess(time.monotonic() - started, 60)
        fault, retry = self.fault()
        self.assertEqual("cancelled", fault["code"])
        self.assertFalse(retry)

    def test_cancel_while_building(self):
        made, thread = self.start("stubborn")
        wait_until(lambda: "hello" in self.conductor.log)
        self.assert_cancelled(made, thread)

    def test_cancel_while_chatting(self):
        made, thread = self.start("chatty")
        wait_until(lambda: "another thing" in self.conductor.log)
        self.assert_cancelled(made, thread)

    def test_cancel_while_verifying(self):
        made, thread = self.start(DIB_FAKE_VERIFY_GATE="/nowhere")
        wait_until(lambda: "verifying" in self.conductor.states)
        self.assert_cancelled(made, thread)

    def test_cancel_while_glance_thinks(self):
        self.glance.faults.append(("PUT", "hang"))
        made, thread = self.start()
        self.assertTrue(self.glance.hanging.wait(120))
        self.assert_cancelled(made, thread)

    def test_cancel_while_waiting_for_glance(self):
        self.glance.faults.extend([("POST", 503)] * 1000)
        made, thread = self.start(
            host={"patience": fakes.patience(pause=100.0)}
        )
        wait_until(lambda: self.glance.asked("POST") > 3)
        self.assert_cancelled(made, thread)

    def test_cancel_while_the_conductor_is_away(self):
        self.conductor.trouble["append_log"].extend([fakes.away()] * 10000)
        made, thread = self.start("floods")
        wait_until(lambda: self.conductor.called("append_log") > 2)
        self.assert_cancelled(made, thread)

    def test_a_stopped_builder_gives_the_build_back(self):
        made, thread = self.start("stubborn")
        wait_until(lambda: self.conductor.called("report"))
        made.end("stop")
        self.assert_gone(thread)
        fault, retry = self.fault()
        self.assertEqual("builder-stopped", fault["code"])
        self.assertTrue(retry)

    # Glance.

    def test_an_upload_that_fails_twice_does_not_build_twice(self):
        self.glance.faults.extend(
            [("PUT", 0), ("POST", 503), ("GET", 500), ("PUT", 503)]
        )
        self.run_one()
        self.assertEqual(1, self.conductor.done_with)
        self.assertEqual(
            1, self.conductor.log.count("hello from the fake engine")
        )
        self.assertEqual(
            "active", self.glance.images["build-1-qcow2"]["status"]
        )

    def test_a_token_that_ran_out_is_renewed(self):
        self.glance.tokens = {"token-3"}
        self.run_one()
        self.assertEqual(1, self.conductor.done_with)
        self.assertEqual(3, self.conductor.tokens)
        self.assertEqual(
            ["token-1", "token-2", "token-3"], self.conductor.revoked
        )

    def test_a_token_that_is_not_taken_back_is_no_fault(self):
        self.conductor.trouble["revoke_upload"].append(fakes.away())
        self.run_one()
        self.assertEqual(1, self.conductor.done_with)

    def test_a_quota_is_waited_for_and_then_named(self):
        self.glance.faults.extend([("PUT", 413)] * 1000)
        self.run_one(host={"patience": fakes.patience(seconds=0.3)})
        fault = self.given_up()
        self.assertIn("413", fault["message"])
        self.assertIn("again in", self.conductor.log)

    def test_what_a_conductor_stumbles_over_is_not_the_asker_s_to_read(self):
        self.conductor.trouble["grant_upload"].append(
            oslo_messaging.RemoteError("DBError", "hunter2", ["hunter2"])
        )
        self.run_one()
        self.assertEqual(1, self.conductor.done_with)
        self.assertIn("glance: the conductor does not", self.conductor.log)
        self.assertNotIn("hunter2", self.conductor.log)

    def test_nor_where_it_has_said_why(self):
        class Remote(exception.Unavailable):
            """As oslo.messaging makes it of an answer."""

            def __str__(self):
                return f"{self.message}\nTraceback: hunter2"

        self.conductor.trouble["grant_upload"].append(Remote("no right now"))
        self.run_one()
        self.assertIn("glance: no right now; again", self.conductor.log)
        self.assertNotIn("hunter2", self.conductor.log)

    def test_what_the_builder_stumbles_over_neither(self):
        self.conductor.trouble["grant_upload"].append(KeyError("hunter2"))
        self.run_one()
        fault, retry = self.fault()
        self.assertTrue(retry)
        self.assertNotIn("hunter2", str(fault) + self.conductor.log)

    def test_a_question_that_is_refused_is_not_asked_again(self):
        self.conductor.trouble["grant_upload"].extend(
            [exception.BadRequest("it was not asked for there")] * 100
        )
        self.run_one(host={"patience": fakes.patience(seconds=30.0)})
        self.assertEqual(
            "it was not asked for there", self.given_up()["message"]
        )
        self.assertEqual(99, len(self.conductor.trouble["grant_upload"]))

    def test_a_refusal_is_not_repeated(self):
        self.glance.faults.extend([("POST", 400)] * 2)
        self.run_one()
        self.assertEqual("glance-refused", self.given_up()["code"])
        self.assertEqual(1, self.glance.asked("POST"))

    def test_wrong_bytes_are_sent_again_under_another_id(self):
        self.glance.corruptions = 2
        self.run_one()
        self.assertEqual({}, self.conductor.given_up)
        self.assertEqual(
            ["build-1-qcow2", "build-1-qcow2-2"], self.conductor.lost
        )
        (artefact,) = self.conductor.artefacts
        image = self.glance.images["build-1-qcow2-3"]
        self.assertEqual(artefact.sha512, image["os_hash_value"])
        self.assertIn("has other bytes than were sent", self.conductor.log)

    def test_a_glance_that_always_loses_them_is_given_up(self):
        self.glance.corruptions = 100
        self.run_one()
        self.assertEqual("glance-wrong-bytes", self.given_up()["code"])
        self.assertEqual(5, self.glance.asked("PUT"))

    def test_an_image_that_is_there_already_is_taken(self):
        self.run_one()
        self.conductor = fakes.FakeConductor()
        self.conductor.endpoint = self.glance.endpoint
        self.run_one()
        self.assertEqual(1, self.conductor.done_with)
        self.assertEqual(1, self.glance.asked("PUT"))

    def test_an_image_that_was_deleted_gets_another_id(self):
        self.glance.deleted.add("build-1-qcow2")
        self.run_one()
        self.assertEqual(["build-1-qcow2"], self.conductor.lost)
        self.assertEqual({"build-1-qcow2-2"}, set(self.glance.images))
        self.assertEqual(1, self.conductor.done_with)

    def test_an_image_that_was_killed_gets_another_id(self):
        self.glance.faults.append(("PUT", "killed"))
        self.run_one()
        self.assertEqual(["build-1-qcow2"], self.conductor.lost)
        self.assertEqual(
            "active", self.glance.images["build-1-qcow2-2"]["status"]
        )

    def test_an_image_that_hangs_in_saving_gets_another_id(self):
        self.glance.faults.append(("PUT", "dies"))
        self.run_one()
        self.assertEqual(["build-1-qcow2"], self.conductor.lost)
        self.assertEqual(
            "saving", self.glance.images["build-1-qcow2"]["status"]
        )
        self.assertEqual(
            "active", self.glance.images["build-1-qcow2-2"]["status"]
        )
        self.assertEqual(
            1, self.conductor.log.count("hello from the fake engine")
        )

    # Several targets.

    def test_a_dead_target_holds_up_no_other(self):
        self.conductor.endpoints["west"] = "http://127.0.0.1:1"
        job = self.job(
            host={"patience": fakes.patience(seconds=0.3)},
            targets=("west", "glance"),
        )
        job.run()
        self.assertEqual(["glance"], self.conductor.uploads)
        self.assertEqual("upload", self.conductor.given_up["west"]["code"])
        self.assertEqual([], self.conductor.faults)
        self.assertEqual(1, self.conductor.done_with)
        self.assertIn("*** FAILED: upload to west: ", self.conductor.log)

    def test_what_has_changed_on_disk_ends_all_of_them(self):
        self.conductor.endpoints["west"] = "http://127.0.0.1:1"
        real = self.conductor.grant_upload

        def spoilt(*args, **kwargs):
            for path in self.state.glob("builds/*/output/image.qcow2"):
                path.write_bytes(b"x" * path.stat().st_size)
            return real(*args, **kwargs)

        self.conductor.grant_upload = spoilt
        self.job(targets=("west", "glance")).run()
        fault, retry = self.fault()
        self.assertEqual("artefact-changed", fault["code"])
        self.assertTrue(retry)
        self.assertEqual([], self.conductor.uploads)

    def test_a_directory_is_a_target(self):
        folder = self.state / "target" / "staging"
        folder.mkdir(parents=True)
        self.conductor.endpoints["web"] = str(folder)
        self.conductor.kinds_of_targets["web"] = "directory"
        self.job(targets=("web",)).run()
        self.assertEqual(["web"], self.conductor.uploads)
        (place,) = folder.iterdir()
        (artefact,) = self.conductor.artefacts
        metadata = json.loads((place / "image.json").read_text())
        self.assertEqual(artefact.sha512, metadata["os_hash_value"])
        self.assertEqual(
            artefact.sha512,
            hashlib.sha512(
                (place / metadata["file"]).read_bytes()
            ).hexdigest(),
        )

    def test_no_right_to_upload_is_asked_for_again(self):
        self.conductor.trouble["grant_upload"].extend([fakes.away()] * 3)
        self.run_one()
        self.assertEqual(1, self.conductor.done_with)
