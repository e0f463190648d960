"""What stands between a socket and a handler."""

from unittest import mock

import falcon
from oslo_db import exception as db_exc
from oslo_middleware import cors
import testtools

from dib_service.db import api as db
from dib_service.objects import element
from dib_service.objects.builder import Builder
from tests import database
from tests.unit.api import stack


class StackTest(testtools.TestCase):
    """The whole stack, with handlers that fail on request."""

    def setUp(self) -> None:
        super().setUp()
        self.stack = self.useFixture(stack.Stack())

    def test_a_body_that_is_too_large(self) -> None:
        answer = self.stack.client.simulate_post(
            "/v1/builds", json={"build": "x" * 200_000}
        )
        self.assertEqual(413, answer.status_code)
        error = answer.json["error"]
        self.assertEqual(413, error["code"])
        self.assertEqual("the request is too large", error["message"])
        self.assertEqual(
            answer.headers["x-openstack-request-id"], error["request_id"]
        )

    def test_a_body_of_unknown_length(self) -> None:
        answer = self.stack.client.simulate_post(
            "/v1/builds",
            headers={
                "Content-Type": "application/json",
                "Transfer-Encoding": "chunked",
            },
        )
        self.assertEqual(411, answer.json["error"]["code"])

    def test_what_nobody_expected_says_nothing_of_itself(self) -> None:
        self.fail_with(RuntimeError("password hunter2"))
        answer = self.stack.client.simulate_get("/v1/elements")
        self.assertEqual(500, answer.status_code)
        self.assertEqual(500, answer.json["error"]["code"])
        self.assertNotIn("hunter2", answer.text)
        self.assertTrue(answer.json["error"]["request_id"])

    def test_what_fails_outside_the_handlers_too(self) -> None:
        with mock.patch.object(
            falcon.App,
            "__call__",
            autospec=True,
            side_effect=RuntimeError("password hunter2"),
        ):
            answer = self.stack.client.simulate_get("/")
        self.assertEqual(500, answer.status_code)
        self.assertEqual(500, answer.json["error"]["code"])
        self.assertNotIn("hunter2", answer.text)

    def test_a_database_that_is_away(self) -> None:
        config = self.useFixture(database.Database()).config
        config.config(
            connection="postgresql+psycopg2://127.0.0.1:1/dib",
            group="database",
        )
        db.forget_engine()
        answer = self.stack.client.simulate_get("/v1/elements")
        self.assertEqual(503, answer.status_code)
        self.assertIn("database", answer.json["error"]["message"])

    def test_health_needs_the_database(self) -> None:
        for error, status in ((None, 200), (db_exc.DBError(), 503)):
            with (
                self.subTest(error=error),
                mock.patch.object(
                    Builder, "list", autospec=True, side_effect=error
                ),
            ):
                answer = self.stack.client.simulate_get("/healthcheck")
                self.assertEqual(status, answer.status_code)

    def test_links_begin_where_the_operator_says(self) -> None:
        self.stack.config.config(
            group="api", public_endpoint="https://images.example/build/"
        )
        answer = self.stack.client.simulate_get("/")
        self.assertEqual(
            "https://images.example/build/v1/",
            answer.json["versions"][0]["links"][0]["href"],
        )

    def test_links_keep_the_prefix_of_a_mount(self) -> None:
        answer = self.stack.client.simulate_get(
            "/", root_path="/image-build", host="images.example"
        )
        self.assertEqual(
            "http://images.example/image-build/v1/",
            answer.json["versions"][0]["links"][0]["href"],
        )

    def test_a_page_of_another_site_may_ask_when_allowed(self) -> None:
        # Known only once some application has been made.
        self.stack.config.register_opts(cors.CORS_OPTS, group="cors")
        self.stack.config.config(
            group="cors", allowed_origin=["https://horizon.example"]
        )
        answer = self.stack.client.simulate_options(
            "/v1/builds",
            headers={
                "Origin": "https://horizon.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "X-Auth-Token",
            },
        )
        self.assertEqual(
            "https://horizon.example",
            answer.headers["access-control-allow-origin"],
        )

    def fail_with(self, error: Exception) -> None:
        """Let the handler of /v1/elements meet this."""
        patch = mock.patch.object(
            element, "registered", autospec=True, side_effect=error
        )
        patch.start()
        self.addCleanup(patch.stop)
