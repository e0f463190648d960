"""A conductor over real messaging, from registration to a complete build."""

import time

import fixtures
from oslo_messaging import conffixture
import testtools

from dib_service import exception, rpc
from dib_service.conductor import endpoint, manager, rpcapi
from dib_service.conf import CONF
from dib_service.engine import catalogue
from dib_service.objects import history, lease, log
from dib_service.objects.build import Build
from dib_service.objects.builder import Builder
from tests import database, fake_glance

BYTES = b"an image"
MANIFEST = {
    "kind": "manifest",
    "time": 1.0,
    "manifest": {"layout": "whole-disk", "image": {"os_distro": "debian"}},
}


class ConductorTest(testtools.TestCase):
    """One conductor, one builder, and a Glance in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.config = self.useFixture(database.Database()).config
        self.fake = self.useFixture(fake_glance.FakeGlance())
        messaging = self.useFixture(conffixture.ConfFixture(CONF))
        messaging.transport_url = "kombu+memory:///"
        self.config.config(publish_interval=0.05, group="conductor")
        for group in ("glance", "glance_upload"):
            self.config.config(
                auth_type="none",
                endpoint_override=fake_glance.URL,
                group=group,
            )
        self.addCleanup(rpc.forget_transport)
        self.service = manager.ConductorService("conductor-1")
        self.service.start()
        self.addCleanup(self.service.wait)
        self.addCleanup(self.service.stop)
        self.api = rpcapi.ConductorAPI()
        builder, secret = Builder.enrol("builder-1")
        self.credential = rpcapi.Credential(builder.id, secret, "session-1")

    def register(self, session: str = "session-1") -> list[str]:
        self.credential = rpcapi.Credential(
            self.credential.builder_id, self.credential.secret, session
        )
        unknown = self.api.register(
            self.credential,
            version="1",
            slots=1,
            architectures=["x86_64"],
            elements=database.ELEMENTS,
        )
        self.api.register_elements(
            self.credential,
            [
                catalogue.Element(name=name, digest=digest).to_dict()
                for name, digest in database.ELEMENTS.items()
                if digest in unknown
            ],
        )
        return list(unknown)

    def claim(
        self, claim_id: str = "claim-1", running: tuple[str, ...] = ()
    ) -> rpcapi.Claim | None:
        return self.api.claim(
            rpcapi.Offer(self.credential, claim_id, ("x86_64",), running)
        )

    def claimed(self) -> rpcapi.Lease:
        self.register()
        claim = self.claim()
        assert claim is not None
        return rpcapi.Lease(claim.build_id, claim.epoch, claim.secret)

    def test_from_a_claim_to_a_complete_build(self) -> None:
        build = database.new_build()
        held = self.claimed()
        self.assertEqual(
            {build.id: "go"}, self.api.heartbeat(self.credential, [held])
        )
        self.say_manifest(held)
        self.api.append_log(held, 0, b"built\n")
        artefact = rpcapi.Artefact(
            "qcow2", len(BYTES), 2**30, fake_glance.sha512(BYTES)
        )
        grant = self.api.grant_upload(held, [artefact], target="glance")
        self.assertEqual(fake_glance.URL, grant.endpoint)
        [upload] = grant.uploads
        self.assertEqual("debian", upload.properties["os_distro"])
        self.fake.upload(upload.image_id, BYTES)
        self.api.uploaded(held, target="glance")
        self.api.done(held)
        self.assertEqual("complete", self.ended(build).state)
        self.assertEqual(b"built\n", log.read(build.id, offset=0, limit=100))
        image = self.fake.images[upload.image_id]
        self.assertEqual("project-1", image["owner"])

    def test_nothing_is_uploaded_whose_nature_is_not_known(self) -> None:
        build = database.new_build()
        held = self.claimed()
        artefact = rpcapi.Artefact("raw", 1, 1, "a" * 128)
        error = self.assertRaises(
            exception.Unavailable,
            self.api.grant_upload,
            held,
            [artefact],
            target="glance",
        )
        self.assertIn("manifest", str(error))
        self.assertEqual([], [*history.publications(build.id)])

    def say_manifest(self, held: rpcapi.Lease) -> None:
        self.api.report(
            held, state="verifying", events=[MANIFEST], first_sequence=0
        )

    def ended(self, build: Build) -> Build:
        deadline = time.monotonic() + 10.0
        while (now := Build.get(build.id)).ended_at is None:
            self.assertLess(time.monotonic(), deadline, now)
            time.sleep(0.02)
        return now

    def test_only_new_digests_are_asked_for(self) -> None:
        self.assertEqual(["d-base", "d-debian"], self.register())
        self.assertEqual([], self.register("session-2"))

    def test_a_repeated_claim_gets_the_same_answer(self) -> None:
        database.new_build()
        database.new_build()
        self.register()
        first = self.claim()
        self.assertIsNotNone(first)
        self.assertEqual(first, self.claim())
        assert first is not None
        second = self.claim("claim-2", running=(first.build_id,))
        assert second is not None
        self.assertNotEqual(first.build_id, second.build_id)
        self.assertIsNone(
            self.claim("claim-3", (first.build_id, second.build_id))
        )

    def test_a_claim_whose_answer_was_lost_is_given_up(self) -> None:
        self.config.config(retry_delay=0.0, group="conductor")
        build = database.new_build()
        self.register()
        self.claim("claim-1")
        self.assertIsNotNone(self.claim("claim-2"))
        self.assertEqual(
            ["lost", None],
            [one.outcome for one in history.attempts(build.id)],
        )

    def test_a_disabled_builder_gets_nothing_new(self) -> None:
        database.new_build()
        self.register()
        Builder.get("builder-1").enable(False)
        self.assertIsNone(self.claim())

    def test_a_new_session_ends_the_old_ones_leases(self) -> None:
        build = database.new_build()
        held = self.claimed()
        self.register("session-2")
        self.assertEqual("queued", Build.get(build.id).state)
        self.assertEqual(
            {build.id: "stale"}, self.api.heartbeat(self.credential, [held])
        )

    def test_the_old_session_gets_nothing_any_more(self) -> None:
        database.new_build()
        self.register("session-1")
        old = self.credential
        self.register("session-2")
        self.credential = old
        self.assertRaises(exception.StaleClaim, self.claim)

    def test_errors_arrive_as_what_they_are(self) -> None:
        nobody = rpcapi.Credential("nobody", "x", "s")
        self.assertRaises(
            exception.Unauthorized, self.api.heartbeat, nobody, []
        )
        self.assertRaises(
            exception.StaleClaim,
            self.api.done,
            rpcapi.Lease("nothing", 1, "x"),
        )
        held = self.stale()
        artefact = rpcapi.Artefact("qcow2", 1, 1, "a")
        for call in (
            lambda: self.api.uploaded(held, target="glance"),
            lambda: self.api.gave_up(held, target="glance", fault={}),
            lambda: self.api.append_log(held, 0, b"x"),
            lambda: self.api.fail(held, {"code": "x"}, retry=False),
            lambda: self.api.grant_upload(held, [artefact], target="glance"),
            lambda: self.api.report(
                held, state="building", events=[], first_sequence=0
            ),
        ):
            self.assertRaises(exception.StaleClaim, call)

    def stale(self) -> rpcapi.Lease:
        database.new_build()
        held = self.claimed()
        return rpcapi.Lease(held.build_id, held.epoch, "guess")

    def test_an_upload_without_keystone_is_tried_again(self) -> None:
        database.new_build()
        held = self.claimed()
        self.say_manifest(held)
        self.config.config(
            auth_type="password",
            endpoint_override=None,
            group="glance_upload",
        )
        artefact = rpcapi.Artefact("qcow2", 1, 1, "a")
        self.assertRaises(
            exception.Unavailable,
            lambda: self.api.grant_upload(held, [artefact], target="glance"),
        )

    def test_a_lost_image_id_gets_a_successor_and_is_asked_for_twice(
        self,
    ) -> None:
        database.new_build()
        held = self.claimed()
        self.say_manifest(held)
        artefact = rpcapi.Artefact("qcow2", 1, 1, "a")

        def granted(*lost: str) -> str:
            grant = self.api.grant_upload(
                held, [artefact], target="glance", lost=lost
            )
            [upload] = grant.uploads
            return upload.image_id

        first = granted()
        second = granted(first)
        self.assertNotEqual(first, second)
        self.assertEqual(second, granted(first))
        self.assertNotIn(granted(first, second), (first, second))
        self.assertRaises(exception.BadRequest, granted, "a stranger's")

    def test_the_conductor_hears_itself(self) -> None:
        self.api.ping("conductor-1")

    def test_a_failed_attempt_is_said_why(self) -> None:
        build = database.new_build()
        held = self.claimed()
        fault = {"code": "hook", "turn": "element", "message": "exit 3"}
        self.api.fail(held, fault, retry=False)
        self.assertEqual(fault, Build.get(build.id).fault)

    def test_the_bell_wakes_who_is_idle_and_who_shall_cancel(self) -> None:
        woken: list[str] = []

        class Builders:
            def wake(self, builder_id: str) -> None:
                woken.append(builder_id)

        bell = endpoint.Bell(Builders())  # type: ignore[arg-type]
        self.register()
        bell.ring()
        self.assertEqual([], woken)
        build = database.new_build()
        bell.ring()
        self.assertEqual([self.credential.builder_id], woken)
        self.claim()
        bell.ring()
        self.assertEqual(1, len(woken))
        build.request_cancel()
        self.assertEqual(1, len(lease.to_be_told()))
        bell.ring()
        self.assertEqual(2, len(woken))
