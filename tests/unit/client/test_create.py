"""Asking for a build on the command line, and waiting for it."""

import io

from dib_service.client import create
from tests.unit.client import fake


class TestCreate(fake.CommandTestCase):
    def create(self, *words):
        return self.run_command(create.CreateBuild, *words)

    def refused(self, *words):
        """What argparse says, when nothing was asked of the service."""
        with self.assertRaises(SystemExit) as caught:
            self.create(*words)
        self.assertEqual(2, caught.exception.code)
        self.assertEqual([], self.api.asked)
        return self.stderr.getvalue()

    def test_everything_that_can_be_asked_for(self):
        self.create(
            *("web", "--element", "debian", "--element", "vm"),
            *("--env", "DIB_RELEASE=bookworm", "--env", "EMPTY="),
            *("--env", "EQUALS=a=b c"),
            *("--arch", "aarch64", "--format", "qcow2", "--format", "raw"),
            *("--disk-size", "8", "--skip-base"),
            *("--image-name", "Web", "--visibility", "shared"),
            *("--property", "os_distro=debian", "-f", "json"),
            *("--member", "a" * 32, "--member", "baremetal"),
            *("--tag", "web", "--tag", "2026", "--protected"),
            *("--trait", "CUSTOM_GPU", "--target", "glance"),
            *("--target", "edge", "--no-boot-test"),
            *("--ssh-key", "ssh-ed25519 AAAA me", "--ssh-key", "ssh-rsa BB"),
            *("--proxy", "http://proxy.example.com:3128"),
            *("--no-proxy", ".example.com", "--no-proxy", "192.0.2.0/24"),
        )
        (body,) = self.api.bodies
        answer = self.printed_json()
        self.assertEqual(answer["id"], body.pop("id"))
        self.assertEqual("queued", answer["state"])
        self.assertEqual(
            {
                "name": "web",
                "elements": ["debian", "vm"],
                "skip_base": True,
                "boot_test": False,
                "formats": ["qcow2", "raw"],
                "architecture": "aarch64",
                "environment": {
                    "DIB_RELEASE": "bookworm",
                    "EMPTY": "",
                    "EQUALS": "a=b c",
                },
                "disk_size_gib": 8,
                "proxy": {
                    "http": "http://proxy.example.com:3128",
                    "https": "http://proxy.example.com:3128",
                    "no_proxy": [".example.com", "192.0.2.0/24"],
                },
                "ssh_keys": ["ssh-ed25519 AAAA me", "ssh-rsa BB"],
                "image": {
                    "name": "Web",
                    "visibility": "shared",
                    "properties": {"os_distro": "debian"},
                    "members": ["a" * 32, "baremetal"],
                    "protected": True,
                    "tags": ["web", "2026"],
                    "traits": ["CUSTOM_GPU"],
                    "targets": ["glance", "edge"],
                },
            },
            body,
        )

    def test_what_is_left_out_the_service_decides(self):
        self.create("--element", "debian")
        (body,) = self.api.bodies
        self.assertEqual({"id", "elements"}, set(body))

    def test_two_commands_share_nothing(self):
        self.create("--element", "debian", "--env", "A=1")
        self.create("--element", "debian", "--env", "B=2")
        self.assertEqual({"B": "2"}, self.api.bodies[1]["environment"])

    def test_bad_input_is_refused_before_any_request(self):
        for words, said in (
            (("--env", "FOO"), "'FOO' is not NAME=VALUE"),
            (("--env", "=x"), "'=x' is not NAME=VALUE"),
            (("--env", "A B=x"), "'A B' cannot be a variable's name"),
            (("--env", "1A=x"), "'1A' cannot be a variable's name"),
            (("--env", "A=1", "--env", "A=2"), "'A' is given twice"),
            (("--property", "os_distro"), "'os_distro' is not KEY=VALUE"),
            (("--property", "a=b\nc"), "control characters"),
            (("--disk-size", "0"), "'0' is not a whole number of GiB"),
            (("--disk-size", "1.5"), "'1.5' is not a whole number of GiB"),
            (("--visibility", "secret"), "invalid choice: 'secret'"),
            (("--proxy", "http://me:pw@proxy"), "user name or a password"),
            (("--ssh-key", "no-such-file"), "neither a public key nor a file"),
        ):
            with self.subTest(words):
                self.stderr.truncate(0)
                self.assertIn(said, self.refused("--element", "vm", *words))

    def test_an_element_is_required(self):
        self.assertIn("--element", self.refused("web"))

    def test_a_dry_run_makes_no_build(self):
        self.create("--element", "debian", "--dry-run")
        self.assertEqual(["POST /v1/builds?dry_run=true"], self.api.asked)
        self.assertIn("install.d (in the image)", self.printed())
        self.assertIn("  debian: 10-all", self.printed())
        self.assertEqual({}, self.api.builds)

    def test_a_dry_run_in_json_is_the_plan(self):
        self.create("--element", "debian", "--dry-run", "-f", "json")
        self.assertEqual(self.api.plan, self.printed_json())


class TestWait(fake.CommandTestCase):
    def wait(self):
        return self.run_command(
            create.CreateBuild,
            "--element", "debian", "--wait", "-f", "value", "-c", "state",
        )  # fmt: skip

    def build_goes(self, *states, **facts):
        """Each look at the build finds it one state further."""
        left = list(states)

        def step(name):
            if name.startswith("GET") and not name.endswith("events"):
                (build,) = self.api.builds.values()
                build["state"] = left.pop(0)
                if not left:
                    build.update(facts)

        self.api.meanwhile = step

    def test_a_build_that_becomes_complete(self):
        self.api.add_event("phase", phase="root.d", state="start")
        self.api.add_event("phase", phase="root.d", state="end", seconds=12.25)
        self.build_goes("queued", "building", "verifying", "complete")
        self.assertEqual(0, self.wait())
        self.assertEqual("complete\n", self.printed())
        self.assertEqual(
            [
                f"Build {next(iter(self.api.builds))}",
                "[00:00] queued",
                "[00:00] root.d …",
                "[00:00] root.d done in 12.2 s",
                "[00:02] building",
                "[00:04] verifying",
                "[00:06] complete",
            ],
            self.stderr.getvalue().splitlines(),
        )

    def test_a_failed_build_says_where_and_why(self):
        self.build_goes(
            "building",
            "failed",
            fault={
                "code": "element",
                "message": "element epel: install.d/10-epel exited 22",
                "element": "epel",
                "phase": "install.d",
                "hook": "10-epel",
                "exit_code": 22,
                "last_lines": ["curl: (22) \x1b[31m404", "bye"],
            },
        )
        self.assertEqual(1, self.wait())
        self.assertEqual("failed\n", self.printed())
        said = self.stderr.getvalue()
        for line in (
            "failed: element epel: install.d/10-epel exited 22",
            "  element:   epel",
            "  phase:     install.d",
            "  hook:      10-epel",
            "  exit code: 22",
            "    | curl: (22) \N{REPLACEMENT CHARACTER}[31m404",
            "    | bye",
        ):
            self.assertIn(f"{line}\n", said)

    def test_a_cancelled_build_is_not_success(self):
        self.build_goes("cancelled")
        self.assertEqual(1, self.wait())
        self.assertIn("was cancelled", self.stderr.getvalue())

    def test_an_outage_on_the_way_is_told_and_survived(self):
        self.build_goes("building", "complete")
        self.api.outages = [None, fake.CUT, (502, "gateway")]
        self.assertEqual(0, self.wait())
        said = self.stderr.getvalue()
        self.assertEqual(2, said.count("no answer from the API"))

    def test_ctrl_c_leaves_the_build_and_says_how_to_go_on(self):
        def interrupt(name):
            if name.startswith("GET"):
                raise KeyboardInterrupt

        self.api.meanwhile = interrupt
        self.assertEqual(130, self.wait())
        (build_id,) = self.api.builds
        said = self.stderr.getvalue()
        self.assertIn(f"image build log --follow {build_id}", said)
        self.assertIn(f"image build cancel {build_id}", said)
        self.assertEqual("queued", self.api.builds[build_id]["state"])

    def test_a_refusal_while_waiting_names_the_build(self):
        self.api.outages = [None, (403, "no more")]
        with self.assertRaisesRegex(Exception, "no more"):
            self.wait()
        (build_id,) = self.api.builds
        self.assertIn(build_id, self.stderr.getvalue())


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestWaitOnATerminal(TestWait):
    def setUp(self):
        super().setUp()
        self.stderr = Terminal()

    def test_a_build_that_becomes_complete(self):
        self.api.add_event(
            "hook", phase="root.d", element="debian", hook="10-a",
            state="start",
        )  # fmt: skip
        self.build_goes("building", "building", "complete")
        self.assertEqual(0, self.wait())
        said = self.stderr.getvalue()
        self.assertIn("\r\x1b[K[00:00] root.d: debian/10-a\r", said)
        self.assertIn("\r\x1b[K[00:02] root.d: debian/10-a\r", said)
        self.assertTrue(said.endswith("complete\r\x1b[K"), said[-40:])
