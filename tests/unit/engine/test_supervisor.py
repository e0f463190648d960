"""What the outer process passes on of what the inner one says."""

import errno
import os
import unittest

from dib_service.engine import errors, events, supervisor


class Relay(unittest.TestCase):
    def setUp(self):
        self.told: list[events.Event] = []
        self.relay = supervisor._Relay(self.told.append)

    def copy(self, *said: events.Event, rest: bytes = b"") -> None:
        ears, mouth = os.pipe()
        for event in said:
            os.write(mouth, event.to_json().encode() + b"\n")
        os.write(mouth, rest)
        os.close(mouth)
        self.relay.copy(ears)
        os.close(ears)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.told]

    def test_artefacts_wait_until_they_are_in_their_place(self):
        self.copy(
            events.Event.now("artefact", path="/x"),
            events.Event.now("manifest", manifest={}),
            events.Event.now("line", text="x"),
        )
        self.assertEqual(["line"], self.kinds())
        self.relay.release()
        self.assertEqual(["line", "artefact", "manifest"], self.kinds())

    def test_there_is_one_fault_at_most(self):
        self.copy(events.Event.now("fault", code="hook"))
        self.relay.fault(errors.Died(-9))
        self.assertEqual(["fault"], self.kinds())
        self.assertEqual("hook", self.told[0].facts["code"])

    def test_half_a_line_is_not_passed_on(self):
        self.copy(events.Event.now("line", text="x"), rest=b'{"kind": "li')
        self.assertEqual(["line"], self.kinds())

    def test_what_is_no_event_is_output(self):
        self.copy(rest=b"warning: \xff\n")
        self.assertEqual(["line"], self.kinds())
        self.assertEqual(r"warning: \xff", self.told[0].facts["text"])

    def test_what_is_only_half_an_event_is_output(self):
        # A hook in the same PID namespace can write to our pipe.
        for line in (
            b'{"kind": "line"}',
            b'{"kind": "line", "time": null}',
            b'{"kind": "line", "time": "soon"}',
            b'{"kind": ["line"], "time": 1}',
            b"[" * 50_000,
        ):
            with self.subTest(line[:40]):
                self.told.clear()
                self.copy(rest=line + b"\n")
                self.assertEqual(["line"], self.kinds())
                self.assertIn("text", self.told[0].facts)

    def test_a_listener_that_went_away_is_no_second_error(self):
        def gone(event: events.Event) -> None:
            raise BrokenPipeError

        supervisor._Relay(gone).fault(errors.Died(-9))


class Faults(unittest.TestCase):
    def test_no_room_there_is_said(self):
        # As cp says it of a device that is always full.
        said = errors.CommandError(
            ["cp"], 1, stderr="cp: error writing 'x': No space left on device"
        )
        self.assertTrue(errors.says_full(said))
        self.assertFalse(errors.says_full(errors.CommandError(["cp"], 1)))

    def test_no_space_is_the_operators_turn(self):
        fault = errors.of_os(OSError(errno.ENOSPC, "No space", "/x"))
        self.assertEqual("disk-full", fault.to_dict()["code"])
        self.assertEqual("operator", fault.to_dict()["turn"])

    def test_facts_travel_beside_the_sentence(self):
        cause = errors.CommandError(["x"], 3, last_lines=["a", "why"])
        fault = errors.HookFailed("e", "install.d", "10-x", cause)
        self.assertEqual(
            {
                "code": "hook",
                "turn": "element",
                "message": "element e: install.d/10-x exited 3: why",
                "element": "e",
                "phase": "install.d",
                "hook": "10-x",
                "exit_code": 3,
                "last_lines": ["a", "why"],
            },
            fault.to_dict(),
        )
