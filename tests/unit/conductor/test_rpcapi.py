"""What crosses the wire comes out as it went in."""

import json
import os

import testtools

from dib_service.conductor import rpcapi

UPLOAD = rpcapi.Upload(
    format="raw",
    target="glance",
    image_id="i",
    name="n",
    disk_format="raw",
    container_format="bare",
    properties={"a": "b"},
    min_disk=2,
    role="kernel",
    min_ram=512,
    tags=("a", "b"),
)
VALUES = (
    rpcapi.Offer(rpcapi.Credential("b", "s", "1"), "c", ("x86_64",), ("r",)),
    rpcapi.Claim("b", 1, "s", 60.0, {"version": 1}, {"base": "d"}),
    rpcapi.Lease("b", 1, "s"),
    rpcapi.Artefact("raw", 1, 2, "a", role="kernel"),
    rpcapi.UploadGrant("t", "http://g", 1.5, (UPLOAD,)),
)


class ValueTest(testtools.TestCase):
    """Dicts of JSON types, both ways."""

    def test_a_value_survives_the_wire(self) -> None:
        for value in VALUES:
            crossed = json.loads(json.dumps(value.to_dict()))
            self.assertEqual(value, type(value).from_dict(crossed))

    def test_a_newer_sides_field_is_left_alone(self) -> None:
        lease = rpcapi.Lease("b", 1, "s")
        self.assertEqual(
            lease, rpcapi.Lease.from_dict({**lease.to_dict(), "new": 1})
        )


class ChunkTest(testtools.TestCase):
    """Chunks of the log, packed."""

    def test_a_chunk_survives_the_wire(self) -> None:
        for data in (b"", b"text\n" * 10, os.urandom(rpcapi.LOG_CHUNK_BYTES)):
            self.assertEqual(data, rpcapi.unpacked(rpcapi.packed(data)))

    def test_a_bomb_is_refused_before_it_goes_off(self) -> None:
        bomb = rpcapi.packed(b"\0" * (rpcapi.LOG_CHUNK_BYTES + 1))
        self.assertLess(len(bomb), 1024)
        self.assertRaises(ValueError, rpcapi.unpacked, bomb)

    def test_rubbish_is_refused(self) -> None:
        for rubbish in ("?", "AAAA", rpcapi.packed(b"cut short")[:8]):
            self.assertRaises(ValueError, rpcapi.unpacked, rubbish)
