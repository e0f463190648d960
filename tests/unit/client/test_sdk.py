"""What the SDK's proxy asks, and what it makes of the answers."""

from openstack import exceptions
import requests

from dib_service.client import sdk
from tests.unit.client import fake


class TestBuilds(fake.TestCase):
    def test_every_request_names_the_microversion(self):
        build = self.client.create_build(elements=["debian"])
        self.client.plan_build(elements=["debian"])
        list(self.client.builds())
        list(self.client.build_events(build))
        self.client.get_build_log(build)
        self.client.cancel_build(build)
        self.client.delete_build(build)
        self.assertEqual(7, len(self.api.asked))
        for headers in self.api.headers:
            self.assertEqual(
                "image-build 1.0", headers["OpenStack-API-Version"]
            )

    def test_the_client_chooses_the_id(self):
        build = self.client.create_build(elements=["debian"], name="first")
        self.assertEqual(build.id, self.api.bodies[0]["id"])
        self.assertEqual("queued", build.state)
        self.assertEqual(
            {"id": build.id, "elements": ["debian"], "name": "first"},
            self.api.bodies[0],
        )

    def test_a_lost_answer_is_asked_for_again_and_builds_once(self):
        self.api.lose_answers = [fake.CUT]
        with self.assertLogs(sdk.LOG, "WARNING") as told:
            build = self.client.create_build(elements=["debian"])
        self.assertIn(build.id, told.output[0])
        self.assertEqual(
            [
                "POST /v1/builds",
                "POST /v1/builds",
                f"GET /v1/builds/{build.id}",
            ],
            self.api.asked,
        )
        self.assertEqual([build.id], list(self.api.builds))

    def test_a_lost_question_is_asked_again(self):
        self.api.outages = [fake.CUT, requests.exceptions.ReadTimeout()]
        with self.assertLogs(sdk.LOG, "WARNING"):
            build = self.client.create_build(id="mine", elements=["debian"])
        self.assertEqual(["POST /v1/builds"] * 3, self.api.asked)
        self.assertEqual("mine", build.id)

    def test_a_given_id_that_is_taken_is_a_conflict(self):
        taken = self.api.add_build()
        with self.assertRaises(exceptions.ConflictException):
            self.client.create_build(id=taken, elements=["debian"])

    def test_another_conflict_stays_one(self):
        self.api.outages = [(409, "not now")]
        with self.assertRaisesRegex(exceptions.ConflictException, "not now"):
            self.client.create_build(elements=["debian"])

    def test_a_service_that_says_no_is_not_asked_again(self):
        self.api.outages = [(503, "no builder is enrolled")]
        with self.assertRaisesRegex(exceptions.HttpException, "no builder"):
            self.client.create_build(elements=["debian"])
        self.assertEqual(1, len(self.api.asked))

    def test_pages_are_followed(self):
        ids = [self.api.add_build(name=str(n)) for n in range(7)]
        self.api.page = 3
        self.assertEqual(ids, [build.id for build in self.client.builds()])
        self.assertEqual(3, len(self.api.asked))

    def test_max_items_ends_the_list(self):
        ids = [self.api.add_build() for _ in range(7)]
        found = [build.id for build in self.client.builds(max_items=2)]
        self.assertEqual(ids[:2], found)

    def test_a_build_is_found_by_its_name(self):
        build_id = self.api.add_build(name="web")
        self.api.add_build(name="db")
        self.assertEqual(build_id, self.client.find_build("web").id)

    def test_a_name_is_never_an_address(self):
        for name in ("../elements", "a/b", "a b?c=d#e", "%2e%2e", "log"):
            with self.subTest(name):
                with self.assertRaisesRegex(
                    exceptions.NotFoundException, "No Build found"
                ):
                    self.client.find_build(name)
                build_id = self.api.add_build(name=name)
                self.assertEqual(build_id, self.client.find_build(name).id)
        self.assertEqual(
            {"/v1/builds"},
            {asked.split()[1].partition("?")[0] for asked in self.api.asked},
        )
        self.assertRaises(
            exceptions.NotFoundException, self.client.find_build, ""
        )

    def test_a_name_may_look_like_an_id(self):
        name = "5b6c1c1e-0c7e-4f0e-9b0f-2f6f6a1f0a11"
        build_id = self.api.add_build(name=name)
        self.assertEqual(build_id, self.client.find_build(name).id)

    def test_a_name_of_several_builds_finds_none(self):
        self.api.add_build(name="web")
        self.api.add_build(name="web")
        with self.assertRaises(exceptions.DuplicateResource):
            self.client.find_build("web")

    def test_all_projects_is_asked_for_in_words(self):
        list(self.client.builds(all_projects=True))
        self.assertEqual(["GET /v1/builds?all_projects=true"], self.api.asked)


class TestLogAndEvents(fake.TestCase):
    def test_log_bytes_come_as_they_are(self):
        build = self.api.add_build()
        self.api.log = bytes(range(256))
        self.api.log_complete = False
        chunk = self.client.get_build_log(build, offset=6)
        self.assertEqual(bytes(range(6, 256)), chunk.data)
        self.assertEqual(256, chunk.next_offset)
        self.assertFalse(chunk.complete)

    def test_the_facts_of_an_event_are_what_its_kind_says(self):
        build = self.api.add_build()
        self.api.add_event("artefact", format="raw", size=7)
        (event,) = self.client.build_events(build)
        self.assertEqual({"format": "raw", "size": 7}, event.facts)
        self.assertEqual(("artefact", 1), (event.kind, event.epoch))
