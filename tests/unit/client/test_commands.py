"""Each command, from its words to what it prints, on a fake API."""

import csv
import io
import json

from osc_lib import exceptions as osc_exceptions
import yaml

from dib_service.client import commands
from tests.unit.client import fake


class TestList(fake.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.build_id = self.api.add_build(
            name="web",
            state="complete",
            elements=["debian", "vm"],
            image_ids=["img-1", "img-2"],
            boot_test=False,
            image={"targets": ["glance", "edge"]},
            created_at="2026-11-22T03:00:00Z",
        )

    def test_json_has_the_columns_that_scripts_rely_on(self):
        self.run_command(commands.ListBuilds, "-f", "json")
        self.assertEqual(
            [
                {
                    "ID": self.build_id,
                    "Name": "web",
                    "State": "complete",
                    "Image IDs": ["img-1", "img-2"],
                    "Created At": "2026-11-22T03:00:00Z",
                }
            ],
            self.printed_json(),
        )

    def test_yaml(self):
        self.run_command(commands.ListBuilds, "-f", "yaml")
        (build,) = yaml.safe_load(self.printed())
        self.assertEqual(["img-1", "img-2"], build["Image IDs"])

    def test_value(self):
        self.run_command(
            commands.ListBuilds, "-f", "value", "-c", "ID", "-c", "State"
        )
        self.assertEqual(f"{self.build_id} complete\n", self.printed())

    def test_csv(self):
        self.run_command(commands.ListBuilds, "-f", "csv", "--long")
        (build,) = csv.DictReader(io.StringIO(self.printed()))
        self.assertEqual("web", build["Name"])
        self.assertEqual("['debian', 'vm']", build["Elements"])

    def test_table(self):
        self.run_command(commands.ListBuilds, "--long")
        self.assertIn("| img-1, img-2 |", self.printed())
        self.assertIn("| debian, vm |", self.printed())
        self.assertRegex(self.printed(), r"\| False +\| glance, edge \|")

    def test_filters_reach_the_service(self):
        self.run_command(
            commands.ListBuilds,
            *("--all-projects", "--state", "complete", "--name", "web"),
            *("--marker", self.build_id, "--limit", "5"),
        )
        (asked,) = self.api.asked
        for part in (
            "all_projects=true",
            "state=complete",
            "name=web",
            f"marker={self.build_id}",
            "limit=5",
        ):
            self.assertIn(part, asked)

    def test_a_state_that_is_none_is_refused_before_any_request(self):
        with self.assertRaises(SystemExit):
            self.run_command(commands.ListBuilds, "--state", "done")
        self.assertIn("queued", self.stderr.getvalue())
        self.assertEqual([], self.api.asked)

    def test_a_limit_below_one_is_refused_before_any_request(self):
        for limit in ("0", "-1", "many", "1.5"):
            with self.subTest(limit), self.assertRaises(SystemExit):
                self.run_command(commands.ListBuilds, f"--limit={limit}")
        self.assertEqual([], self.api.asked)


class TestShow(fake.CommandTestCase):
    def test_a_fault_reads_well_and_stays_data(self):
        fault = {
            "message": "element epel: install.d/10-epel exited 22",
            "exit_code": 22,
            "last_lines": ["one", "two"],
        }
        build_id = self.api.add_build(state="failed", fault=fault)
        self.run_command(commands.ShowBuild, build_id)
        self.assertIn("exit_code: 22", self.printed())
        self.stdout = fake.Stdout()
        self.run_command(commands.ShowBuild, build_id, "-f", "json")
        self.assertEqual(fault, self.printed_json()["fault"])

    def test_a_table_leaves_out_what_is_not_there_and_most_of_a_digest(self):
        build_id = self.api.add_build(
            artefacts=[{"format": "raw", "sha512": "a" * 128}],
            attempts=[{"epoch": 1, "outcome": None}],
        )
        self.run_command(commands.ShowBuild, build_id)
        self.assertIn("| format=raw, sha512=aaaaaaaaaaaa… ", self.printed())
        self.assertIn("| epoch=1  ", self.printed())
        self.stdout = fake.Stdout()
        self.run_command(commands.ShowBuild, build_id, "-f", "json")
        self.assertEqual(
            "a" * 128, self.printed_json()["artefacts"][0]["sha512"]
        )

    def test_an_attempt_s_fault_is_its_sentence(self):
        fault = {"message": "it broke", "last_lines": ["long", "lines"]}
        build_id = self.api.add_build(attempts=[{"epoch": 1, "reason": fault}])
        self.run_command(commands.ShowBuild, build_id)
        self.assertIn("| epoch=1, reason=it broke  ", self.printed())

    def test_a_build_is_shown_by_name_with_all_its_details(self):
        build_id = self.api.add_build(name="web")
        self.run_command(commands.ShowBuild, "web", "-f", "json")
        shown = self.printed_json()
        self.assertEqual(build_id, shown["id"])
        self.assertIsNone(shown["fault"])
        self.assertEqual(f"GET /v1/builds/{build_id}", self.api.asked[-1])


class TestCancelAndDelete(fake.CommandTestCase):
    def test_several_builds_are_cancelled(self):
        ids = [self.api.add_build(), self.api.add_build(name="web")]
        self.assertEqual(
            0, self.run_command(commands.CancelBuild, ids[0], "web")
        )
        states = [build["state"] for build in self.api.builds.values()]
        self.assertEqual(["cancelled", "cancelled"], states)

    def test_one_that_fails_does_not_keep_the_others(self):
        ids = [
            self.api.add_build(state="building"),
            self.api.add_build(state="failed"),
        ]
        with self.assertRaises(osc_exceptions.CommandError) as caught:
            self.run_command(commands.DeleteBuild, "none", *ids)
        self.assertEqual([ids[0]], list(self.api.builds))
        said = str(caught.exception)
        self.assertIn("2 of 3 builds failed to delete", said)
        self.assertIn("it has not ended", said)
        self.assertIn("none: No Build found for none", said)


class TestLog(fake.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.build_id = self.api.add_build()

    def test_bytes_come_out_as_they_went_in(self):
        self.api.log = bytes(range(256)) * 9
        self.api.log_limit = 1000
        self.run_command(commands.ShowLog, self.build_id)
        self.assertEqual(self.api.log, self.stdout.bytes())

    def test_a_terminal_is_not_commanded_by_a_log(self):
        self.api.log = (
            "a\tb\r\nü€😀\x1b]0;title\x07\x9b2J\u202e\x00".encode()
            + b"\xff\x9b\xe2\x82"
        )
        for limit in (1, 2, 1000):
            with self.subTest(limit=limit):
                self.stdout = fake.Stdout()
                self.stdout.isatty = lambda: True
                self.api.log_limit = limit
                self.run_command(commands.ShowLog, self.build_id)
                self.assertEqual(
                    "a\tb\r\nü€😀\\x1b]0;title\\x07\\x9b2J\\u202e\\x00"
                    "\\xff\\x9b\\xe2\\x82",
                    self.printed(),
                )

    def test_following_survives_a_cut_and_says_so_on_stderr(self):
        self.api.log = b"0123456789"
        self.api.log_limit = 4
        self.api.outages = [None, None, fake.CUT, (503, "away")]
        self.run_command(commands.ShowLog, self.build_id, "--follow")
        self.assertEqual(self.api.log, self.stdout.bytes())
        self.assertIn("asking again", self.stderr.getvalue())

    def test_not_following_an_outage_is_an_error_at_once(self):
        self.api.outages = [None, (503, "away")]
        with self.assertRaisesRegex(Exception, "away"):
            self.run_command(commands.ShowLog, self.build_id)
        self.assertEqual([], self.slept)

    def test_an_offset(self):
        self.api.log = b"0123456789"
        self.run_command(commands.ShowLog, self.build_id, "--offset", "4")
        self.assertEqual(b"456789", self.stdout.bytes())


class TestOtherLists(fake.CommandTestCase):
    def test_events(self):
        build_id = self.api.add_build()
        self.api.add_event("phase", phase="install.d", state="start")
        self.api.add_event(
            "hook", phase="install.d", element="vm", hook="10-a",
            state="end", seconds=1.5, exit_code=0,
        )  # fmt: skip
        self.run_command(commands.ListEvents, build_id, "-f", "json", "--long")
        events = self.printed_json()
        self.assertEqual(["phase", "hook"], [each["Kind"] for each in events])
        self.assertEqual(
            ("install.d", "vm", "10-a", "end", 1.5, 0),
            tuple(
                events[1][title]
                for title in (
                    "Phase",
                    "Element",
                    "Hook",
                    "State",
                    "Seconds",
                    "Exit Code",
                )
            ),
        )
        self.assertEqual("10-a", events[1]["Facts"]["hook"])

    def test_events_go_on_after_a_marker(self):
        build_id = self.api.add_build()
        for _ in range(5):
            self.api.add_event("hook")
        self.run_command(
            commands.ListEvents, build_id, "--marker", "2", "--limit", "2",
            "-f", "value", "-c", "ID",
        )  # fmt: skip
        self.assertEqual("3\n4\n", self.printed())

    def test_builders(self):
        self.api.builders = [
            {
                "id": "b1",
                "name": "builder-1",
                "enabled": True,
                "alive": False,
                "architectures": ["x86_64"],
                "slots": 2,
                "running": 1,
            }
        ]
        self.run_command(commands.ListBuilders, "-f", "json")
        self.assertEqual(
            [
                {
                    "ID": "b1",
                    "Name": "builder-1",
                    "Enabled": True,
                    "Alive": False,
                    "Architectures": ["x86_64"],
                    "Slots": 2,
                    "Running": 1,
                }
            ],
            self.printed_json(),
        )

    def test_elements(self):
        self.api.elements = [
            {"name": "debian", "summary": "Debian", "digest": "d" * 64,
             "dependencies": ["base"], "provides": ["operating-system"]}
        ]  # fmt: skip
        self.run_command(commands.ListElements, "-f", "json")
        self.run_command(commands.ListElements, "-f", "json", "--long")
        short, full = self.printed().split("\n]\n")[:2]
        self.assertEqual(
            [{"Name": "debian", "Summary": "Debian"}],
            json.loads(short + "]"),
        )
        self.assertEqual(
            ["operating-system"], json.loads(full + "]")[0]["Provides"]
        )

    def test_no_token_is_ever_shown(self):
        build_id = self.api.add_build()
        self.api.outages = [(500, "broken")]
        with self.assertLogs(level="DEBUG") as logs:
            try:
                self.run_command(commands.ShowBuild, build_id)
            except Exception as exc:
                said = str(exc)
        self.assertIn("broken", said)
        everything = said + "".join(logs.output) + self.stderr.getvalue()
        self.assertNotIn(fake.TOKEN, everything + self.printed())
