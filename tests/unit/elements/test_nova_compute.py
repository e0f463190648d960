"""What the cloud says of a compute node is its services' configuration."""

import contextlib
import dataclasses
import grp
import io
import os
import pathlib
import tempfile
import unittest

from oslo_config import cfg

from tests.unit.elements import programs

with programs.importable("metadata-reader", "last-mile", "nova-compute"):
    from last_mile.client import Machine, Refused
    from last_mile_clients import neutron_openvswitch_agent, nova_compute
    from metadata_reader import log

SECRET = 'p"$DEFAULT.x a$$" #\\'
AUTH = {
    "auth_url": "https://keystone.example.org/v3",
    "username": "nova",
    "password": SECRET,
}
NODE = {"transport_url": "rabbit://a:b@mq/", "auth": AUTH}


class Node(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name)
        self.file = self.place / "conf.d/50.conf"
        self.file.parent.mkdir()
        self.service = dataclasses.replace(
            nova_compute.SERVICE,
            file=self.file,
            group=grp.getgrgid(os.getegid()).gr_name,
        )
        self.machine = Machine(self.place / "mark", log.Log())

    def read(self, section: str, *options: str) -> list[str | None]:
        """What Nova reads, the image's own file being read before."""
        image = self.place / "nova.conf"
        image.write_text("[DEFAULT]\nmy_ip = 192.0.2.1\n")
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt(each) for each in options], section)
        conf(
            [f"--config-file={image}", f"--config-dir={self.file.parent}"],
            project="nova",
        )
        return [conf[section][each] for each in options]

    def test_every_section_has_the_account(self) -> None:
        self.service.configure(NODE, self.machine)
        for section in ("placement", "neutron", "cinder", "service_user"):
            self.assertEqual(
                ["password", AUTH["auth_url"], SECRET],
                self.read(section, "auth_type", "auth_url", "password"),
            )

    def test_options_count_most(self) -> None:
        options = {
            "DEFAULT": {"my_ip": "192.0.2.17", "debug": True, "n": 5},
            "placement": {"username": "other"},
        }
        self.service.configure({**NODE, "options": options}, self.machine)
        self.assertEqual(
            ["rabbit://a:b@mq/", "192.0.2.17", "true", "5"],
            self.read("DEFAULT", "transport_url", "my_ip", "debug", "n"),
        )
        self.assertEqual(["other"], self.read("placement", "username"))

    def test_nobody_else_reads_it(self) -> None:
        self.service.configure(NODE, self.machine)
        self.assertEqual(0o640, self.file.stat().st_mode & 0o777)

    def test_what_is_no_longer_said_is_gone(self) -> None:
        options = {"vnc": {"enabled": False}}
        self.service.configure({**NODE, "options": options}, self.machine)
        self.assertEqual(["false"], self.read("vnc", "enabled"))
        url = "rabbit://new:b@mq/"
        self.service.configure({**NODE, "transport_url": url}, self.machine)
        self.assertEqual([None], self.read("vnc", "enabled"))
        self.assertEqual([url], self.read("DEFAULT", "transport_url"))

    def test_without_a_word_it_has_no_file_and_says_what_is_missing(
        self,
    ) -> None:
        self.service.configure(NODE, self.machine)
        self.assertTrue(self.service.configured())
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.service.forget(self.machine)
        self.assertFalse(self.service.configured())
        self.assertIn("nova-compute is not started", said.getvalue())
        self.assertIn("[DEFAULT] transport_url", said.getvalue())
        self.assertIn("[placement] auth_url", said.getvalue())

    def test_what_is_missing_or_no_file_can_hold_is_refused(self) -> None:
        for wrong, why in (
            ({}, "transport_url, .placement. auth_url"),
            ({**NODE, "auth": {}}, "nobody says .placement. auth_url"),
            ({**NODE, "transport_url": ""}, "nobody says .DEFAULT."),
            ({**NODE, "transport-url": "rabbit:"}, "no transport-url"),
            ({**NODE, "transport_url": ["rabbit:"]}, "neither text"),
            ({**NODE, "transport_url": None}, "neither text"),
            ({**NODE, "auth": SECRET}, "auth is not an object"),
            (
                {**NODE, "auth": {**AUTH, "password": f"{SECRET}\n[vnc]"}},
                "not one line",
            ),
            ({**NODE, "options": {"vnc]\n[x": {}}}, "can be called"),
            ({**NODE, "options": {"vnc": {"a = b\nc": "d"}}}, "can be called"),
            ({**NODE, "options": {"vnc": "on"}}, "vnc is not an object"),
        ):
            with self.subTest(wrong):
                self.service.configure(NODE, self.machine)
                with self.assertRaisesRegex(Refused, why) as caught:
                    self.service.configure(wrong, self.machine)
                self.assertNotIn(SECRET, str(caught.exception))
                self.assertFalse(self.file.exists())

    def test_the_agent_needs_a_broker_alone(self) -> None:
        agent = dataclasses.replace(
            neutron_openvswitch_agent.SERVICE,
            file=self.file,
            group=self.service.group,
        )
        agent.configure({"transport_url": "rabbit://a:b@mq/"}, self.machine)
        self.assertEqual(
            ["rabbit://a:b@mq/"], self.read("DEFAULT", "transport_url")
        )
        with self.assertRaises(Refused):
            agent.configure({}, self.machine)
