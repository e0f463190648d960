"""A build has one holder at a time, and that one can prove it."""

import dataclasses
import threading
import uuid

import testtools

from dib_service import exception
from dib_service.db import api as db
from dib_service.objects import event, history, lease, log, queue
from dib_service.objects.build import Build
from tests import database

FAULT = {"code": "disk-full", "turn": "operator", "message": "disk full"}


class LeaseTest(testtools.TestCase):
    """One builder, one build."""

    def setUp(self) -> None:
        super().setUp()
        self.config = self.useFixture(database.Database()).config
        self.config.config(retry_delay=0.0, group="conductor")
        self.builder, self.secret = database.new_builder()
        self.holder = database.holder(self.builder, self.secret)
        self.build = database.new_build()

    def state(self) -> str:
        return Build.get(self.build.id).state

    def claim(self) -> lease.Proof:
        return database.claimed(self.build, self.holder)

    def report(self, proof: lease.Proof, state: str = "building") -> None:
        lease.report(proof, state=state, events=[], first_sequence=0)

    def expire(self) -> None:
        database.change_build(self.build, lease_expires_at=db.now() - 1)

    # Taking.

    def test_a_taken_build_is_no_candidate(self) -> None:
        self.claim()
        self.assertEqual("building", self.state())
        self.assertEqual(
            [], queue.candidates(self.builder.id, ["x86_64"], limit=50)
        )

    def test_a_candidate_that_another_took_is_lost(self) -> None:
        [candidate] = queue.candidates(self.builder.id, ["x86_64"], limit=50)
        self.assertIsNotNone(lease.take(candidate, self.holder, "c1"))
        self.assertIsNone(lease.take(candidate, self.holder, "c2"))

    def test_a_repeated_claim_gets_the_same_answer(self) -> None:
        [candidate] = queue.candidates(self.builder.id, ["x86_64"], limit=50)
        taken = lease.take(candidate, self.holder, "c1")
        self.expire()
        again = lease.taken(self.holder, "c1")
        self.assertEqual(
            (taken.build.id, taken.build.epoch, taken.secret),
            (again.build.id, again.build.epoch, again.secret),
        )
        self.assertEqual(0, lease.end_expired())
        self.assertIsNone(lease.taken(self.holder, "c2"))

    def test_the_same_claim_twice_at_once_takes_one_build(self) -> None:
        database.new_build()
        found = queue.candidates(self.builder.id, ["x86_64"], limit=50)
        first = lease.take(found[0], self.holder, "c1")
        self.assertEqual(first, lease.take(found[1], self.holder, "c1"))
        self.assertEqual(1, queue.waiting())

    def test_the_secret_is_not_in_the_database(self) -> None:
        proof = self.claim()
        with db.reader() as connection:
            row = connection.exec_driver_sql("SELECT * FROM builds").one()
        self.assertNotIn(proof.secret, [str(value) for value in row])

    # Holding.

    def test_a_heartbeat_renews(self) -> None:
        proof = self.claim()
        self.expire()
        self.assertEqual({self.build.id: "go"}, lease.renew([proof]))
        self.assertEqual(0, lease.end_expired())

    def test_a_heartbeat_tells_of_the_wish_to_cancel(self) -> None:
        proof = self.claim()
        self.build.request_cancel()
        self.assertEqual({self.build.id: "cancel"}, lease.renew([proof]))
        self.assertEqual([self.builder.id], lease.to_be_told())

    def test_who_has_lost_the_build_is_stale(self) -> None:
        proof = self.claim()
        self.expire()
        lease.end_expired()
        self.assertEqual({self.build.id: "stale"}, lease.renew([proof]))
        again = self.claim()
        self.assertEqual({self.build.id: "stale"}, lease.renew([proof]))
        self.assertEqual({self.build.id: "go"}, lease.renew([again]))

    def test_a_wrong_secret_proves_nothing(self) -> None:
        proof = dataclasses.replace(self.claim(), secret="guess")
        self.assertEqual({self.build.id: "stale"}, lease.renew([proof]))
        self.assertRaises(exception.StaleClaim, self.report, proof)
        self.assertRaises(
            exception.StaleClaim, lease.fail, proof, FAULT, retry=False
        )
        self.assertRaises(
            exception.StaleClaim, lease.append_log, proof, 0, b"x"
        )

    def test_states_move_forward_only(self) -> None:
        proof = self.claim()
        self.report(proof, "verifying")
        self.assertEqual("verifying", self.state())
        self.report(proof, "building")
        self.assertEqual("verifying", self.state())
        self.report(proof, "publishing")
        self.assertEqual("publishing", self.state())

    def test_a_builder_completes_nothing(self) -> None:
        proof = self.claim()
        for state in ("complete", "queued", "failed", "nonsense"):
            self.assertRaises(exception.BadRequest, self.report, proof, state)

    def test_a_repeated_report_is_stored_once(self) -> None:
        proof = self.claim()
        events = [
            {"kind": "phase", "time": 1.0, "phase": "root.d"},
            {"kind": "phase", "time": 2.0, "phase": "install.d"},
        ]
        for first, some in ((0, events[:1]), (0, events), (1, events[1:])):
            lease.report(
                proof, state="building", events=some, first_sequence=first
            )
        stored = event.of_build(self.build.id, limit=10)
        self.assertEqual(
            ["root.d", "install.d"], [one.facts["phase"] for one in stored]
        )
        self.assertEqual(
            stored[1:],
            event.of_build(self.build.id, limit=10, marker=stored[0].id),
        )

    # Giving back.

    def test_a_fault_of_the_build_ends_it(self) -> None:
        lease.fail(self.claim(), FAULT, retry=False)
        build = Build.get(self.build.id)
        self.assertEqual("failed", build.state)
        self.assertEqual(FAULT, build.fault)
        [attempt] = history.attempts(self.build.id)
        self.assertEqual("failed", attempt.outcome)
        self.assertEqual(FAULT, attempt.reason)
        self.assertIsNotNone(attempt.ended_at)

    def test_a_repeated_fail_changes_nothing(self) -> None:
        proof = self.claim()
        lease.fail(proof, FAULT, retry=True)
        lease.fail(proof, FAULT, retry=False)
        self.assertEqual("queued", self.state())

    def test_counted_attempts_are_bounded(self) -> None:
        self.config.config(max_attempts=3, group="conductor")
        for _ in range(2):
            lease.fail(self.claim(), FAULT, retry=True)
            self.assertEqual("queued", self.state())
        lease.fail(self.claim(), FAULT, retry=True)
        self.assertEqual("failed", self.state())
        self.assertEqual(3, len(history.attempts(self.build.id)))

    def test_an_attempt_without_a_report_does_not_count(self) -> None:
        self.config.config(max_attempts=1, group="conductor")
        for _ in range(3):
            self.claim()
            self.expire()
            lease.end_expired()
            self.assertEqual("queued", self.state())
        self.report(self.claim())
        self.expire()
        lease.end_expired()
        build = Build.get(self.build.id)
        self.assertEqual("failed", build.state)
        self.assertEqual("lease-lost", (build.fault or {})["code"])

    def test_a_retry_waits(self) -> None:
        self.config.config(
            retry_delay=10.0, retry_delay_max=15.0, group="conductor"
        )
        for seconds in (10, 15, 15):
            lease.fail(self.claim(), FAULT, retry=True)
            with db.reader() as connection:
                waits = connection.exec_driver_sql(
                    "SELECT not_before FROM builds"
                ).scalar_one()
            self.assertAlmostEqual(db.clock() + seconds, waits, delta=4)
            database.change_build(self.build, not_before=0, attempts_counted=0)

    def test_a_build_to_be_cancelled_is_not_retried(self) -> None:
        proof = self.claim()
        self.build.request_cancel()
        lease.fail(proof, {"code": "cancelled"}, retry=False)
        self.assertEqual("cancelled", self.state())

    def test_an_expired_lease_of_a_cancelled_build_ends_it(self) -> None:
        self.claim()
        self.build.request_cancel()
        self.expire()
        lease.end_expired()
        self.assertEqual("cancelled", self.state())

    def test_a_restarted_builder_has_lost_its_leases(self) -> None:
        proof = self.claim()
        self.assertEqual(
            0, lease.end_other_sessions(self.builder.id, "session-1")
        )
        self.assertEqual(
            1, lease.end_other_sessions(self.builder.id, "session-2")
        )
        self.assertEqual("queued", self.state())
        self.assertRaises(exception.StaleClaim, self.report, proof)
        [attempt] = history.attempts(self.build.id)
        self.assertEqual("lost", attempt.outcome)

    def test_what_a_builder_does_not_know_of_is_given_to_others(self) -> None:
        self.claim()
        end = lambda running: lease.end_forgotten(  # noqa: E731
            self.builder.id, "session-1", "a new claim", running
        )
        self.assertEqual(0, end([self.build.id]))
        self.assertEqual(1, end([]))
        self.assertEqual("queued", self.state())

    def test_the_log_of_a_failed_attempt_may_follow_it(self) -> None:
        proof = self.claim()
        lease.append_log(proof, 0, b"one\n")
        lease.fail(proof, FAULT, retry=False)
        lease.append_log(proof, 1, b"two\n")
        self.assertEqual(
            b"one\ntwo\n", log.read(self.build.id, offset=0, limit=100)
        )


class RaceTest(testtools.TestCase):
    """Eight builders claim from one database."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(database.Database())

    def test_no_build_is_lost_or_given_twice(self) -> None:
        holders = [
            database.holder(*database.new_builder(f"builder-{n}"))
            for n in range(8)
        ]
        made = {database.new_build().id for _ in range(40)}
        got: list[str] = []
        troubles: list[Exception] = []

        def claim_all(by: lease.Holder) -> None:
            try:
                while found := queue.candidates(
                    by.builder_id, ["x86_64"], limit=50
                ):
                    for candidate in found:
                        taken = lease.take(candidate, by, str(uuid.uuid4()))
                        if taken:
                            got.append(taken.build.id)
                            break
            except Exception as error:
                troubles.append(error)

        threads = [
            threading.Thread(target=claim_all, args=(by,)) for by in holders
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], troubles)
        self.assertEqual(len(made), len(got))
        self.assertEqual(made, set(got))

    def test_a_lease_is_renewed_or_ended_and_never_both(self) -> None:
        by = database.holder(*database.new_builder())
        for _ in range(10):
            build = database.new_build()
            proof = database.claimed(build, by)
            database.change_build(build, lease_expires_at=db.now() - 1)
            answers: list[str] = []
            threads = [
                threading.Thread(target=lease.end_expired),
                threading.Thread(
                    target=lambda proof=proof, answers=answers: answers.extend(
                        lease.renew([proof]).values()
                    )
                ),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            state = Build.get(build.id).state
            self.assertIn(
                (answers, state),
                [(["go"], "building"), (["stale"], "queued")],
            )
            if state == "building":
                lease.fail(proof, FAULT, retry=False)

    def test_a_cancel_and_a_claim_agree(self) -> None:
        by = database.holder(*database.new_builder())
        for _ in range(10):
            build = database.new_build()
            [candidate] = queue.candidates(by.builder_id, ["x86_64"], limit=50)
            taken: list[lease.Taken | None] = []
            threads = [
                threading.Thread(target=build.request_cancel),
                threading.Thread(
                    target=lambda candidate=candidate, taken=taken: (
                        taken.append(
                            lease.take(candidate, by, str(uuid.uuid4()))
                        )
                    )
                ),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            now = Build.get(build.id)
            if taken[0] is None:
                self.assertEqual("cancelled", now.state)
            else:
                self.assertEqual("building", now.state)
                self.assertTrue(now.cancel_requested)
                proof = lease.Proof(build.id, now.epoch, taken[0].secret)
                lease.fail(proof, FAULT, retry=True)
