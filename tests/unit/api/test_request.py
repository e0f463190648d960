"""JSON texts that two readers could read in two ways are not taken."""

import json
import unittest

import falcon
from falcon import testing

from dib_service import context, exception
from dib_service.api import request

BAD = {
    b"": "not JSON",
    b"{": "not JSON",
    b"nonsense": "not JSON",
    b"\xff\xfe": "not JSON",
    b'{"a": NaN}': "NaN is not a number",
    b'{"a": -Infinity}': "-Infinity is not a number",
    b'{"a": 1, "a": 1}': "given more than once",
    b'{"b": {"a": 1, "a": 2}}': "given more than once",
    b'{"a": "\\ud800"}': "not JSON",
    b'{"\\udfff": 1}': "not JSON",
    b'{"a": ' + b"9" * 5000 + b"}": "not JSON",
    b"[" * 100_000: "not JSON",
}


class ParsedTest(unittest.TestCase):
    """The table above."""

    def test_plain_json(self) -> None:
        value = {"a": [1, 2.5, "ü", None, True], "b": {"a": {}}}
        self.assertEqual(value, request.parsed(json.dumps(value).encode()))

    def test_all_else(self) -> None:
        for data, why in BAD.items():
            with self.subTest(data=data[:20]):
                with self.assertRaises(exception.BadRequest) as caught:
                    request.parsed(data)
                self.assertIn(why, caught.exception.message)
                self.assertLess(len(caught.exception.message), 220)


class QueryTest(unittest.TestCase):
    """Query parameters that nobody knows."""

    def test_one_without_a_name_is_named_all_the_same(self) -> None:
        raw = falcon.Request(testing.create_environ(query_string="=x"))
        raw.context.asker = context.RequestContext()
        with self.assertRaises(exception.BadRequest) as caught:
            request.Request(raw).query({"limit": str})
        self.assertEqual(
            "'': no such query parameter; known here: limit",
            caught.exception.message,
        )
