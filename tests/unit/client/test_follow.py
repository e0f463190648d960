"""Following a build or its log, through cut connections, to the end."""

import requests

from dib_service.client import follow, patience, sdk
from tests.unit.client import fake


class TestLog(fake.TestCase):
    def log(self, **options):
        return b"".join(
            follow.log(
                self.client,
                self.build,
                patience=patience.Patience(),
                **options,
            )
        )

    def setUp(self):
        super().setUp()
        self.build = self.api.add_build()

    def test_all_chunks_are_joined(self):
        self.api.log = bytes(range(256)) * 5
        self.api.log_limit = 100
        self.assertEqual(self.api.log, self.log())

    def test_what_is_there_is_all_unless_followed(self):
        self.api.log = b"so far"
        self.api.log_complete = False
        self.assertEqual(b"so far", self.log())

    def test_followed_it_goes_on_until_it_is_complete(self):
        self.api.log_complete = False
        more = [b"two ", b"", b"", b"three", None]

        def write(name):
            if more:
                text = more.pop(0)
                self.api.log_complete = text is None
                self.api.log += text or b""

        self.api.log = b"one "
        self.api.meanwhile = write
        self.assertEqual(b"one two three", self.log(keep_on=True))

    def test_a_cut_connection_is_taken_up_where_it_was_cut(self):
        self.api.log = b"0123456789"
        self.api.log_limit = 4
        self.api.outages = [
            None,
            requests.exceptions.ChunkedEncodingError("half an answer"),
            (503, "away"),
        ]
        self.assertEqual(b"0123456789", self.log(keep_on=True))

    def test_an_offset_leaves_out_the_beginning(self):
        self.api.log = b"0123456789"
        self.assertEqual(b"789", self.log(offset=7))


class TestToTheEnd(fake.TestCase):
    def setUp(self):
        super().setUp()
        self.build_id = self.api.add_build()
        self.told = []

    def follow(self):
        return follow.to_the_end(
            self.client,
            sdk.Build(id=self.build_id),
            tell=lambda build, events: self.told.append(
                (build.state, [event.id for event in events])
            ),
            patience=patience.Patience(),
        )

    def test_every_event_is_told_once_also_the_last_ones(self):
        states = iter(["queued", "building", "building", "complete"])

        def work(name):
            if name.endswith(self.build_id):
                self.api.builds[self.build_id]["state"] = next(states)
                self.api.add_event("hook")
                self.api.add_event("hook")
                self.api.add_event("hook")

        self.api.meanwhile = work
        self.api.page = 2
        self.assertEqual("complete", self.follow().state)
        told = [number for _, events in self.told for number in events]
        self.assertEqual(list(range(1, 13)), told)
        self.assertEqual(("complete", []), self.told[-1])

    def test_an_outage_on_the_way_is_waited_out(self):
        self.api.builds[self.build_id]["state"] = "failed"
        self.api.outages = [fake.CUT, fake.CUT, (502, "gateway")]
        self.assertEqual("failed", self.follow().state)
