"""What the cloud says of a compute node is its services' configuration."""

import contextlib
import grp
import io
import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from oslo_config import cfg

from tests.unit.elements import programs

with programs.importable("metadata-reader", "nova-compute"):
    from metadata_reader import data, drive, service
    from nova_compute import main

SECRET = 'p"$DEFAULT.x a$$" #\\'
AUTH = {
    "auth_url": "https://keystone.example.org/v3",
    "username": "nova",
    "password": SECRET,
}
NODE = {"transport_url": "rabbit://a:b@mq/", "auth": AUTH}
NAME = "nova-compute"
AGENT = "neutron-openvswitch-agent"


class Node(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)
        self.file = self.root / "etc/nova/nova.conf.d/50-cloud.conf"
        self.file.parent.mkdir(parents=True)
        own = grp.getgrgid(os.getegid())
        self.enterContext(
            mock.patch.object(main.grp, "getgrnam", return_value=own)
        )

    def boot(self, found: data.Metadata | None, status: int = 0) -> str:
        """What is said at a boot in which this is what the cloud says."""
        with (
            mock.patch.object(main.data, "kept", return_value=None),
            mock.patch.object(drive, "read", return_value=found),
            mock.patch.object(service, "read", return_value=None),
            contextlib.redirect_stderr(io.StringIO()) as said,
        ):
            self.assertEqual(status, main.main(self.root))
        return said.getvalue()

    def told(self, node: object, status: int = 0) -> str:
        return self.boot(metadata({"fleet": {NAME: node}}), status)

    def read(self, section: str, *options: str) -> list[str]:
        """What Nova reads, the image's own file being read before."""
        image = self.root / "nova.conf"
        image.write_text("[DEFAULT]\nmy_ip = 192.0.2.1\n")
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt(each) for each in options], section)
        conf(
            [
                f"--config-file={image}",
                f"--config-dir={self.file.parent}",
            ],
            project="nova",
        )
        return [conf[section][each] for each in options]


class Configured(Node):
    def test_every_section_has_the_account(self) -> None:
        self.told(NODE)
        for section in ("placement", "neutron", "cinder", "service_user"):
            self.assertEqual(
                ["password", AUTH["auth_url"], SECRET],
                self.read(section, "auth_type", "auth_url", "password"),
            )
        self.assertEqual(
            ["true"], self.read("service_user", "send_service_user_token")
        )

    def test_options_count_most(self) -> None:
        self.told(
            {
                **NODE,
                "options": {
                    "DEFAULT": {"my_ip": "192.0.2.17", "debug": True},
                    "placement": {"username": "other"},
                },
            }
        )
        self.assertEqual(
            ["rabbit://a:b@mq/", "192.0.2.17", "true"],
            self.read("DEFAULT", "transport_url", "my_ip", "debug"),
        )
        self.assertEqual(["other"], self.read("placement", "username"))

    def test_nobody_else_reads_it(self) -> None:
        self.told(NODE)
        self.assertEqual(0o640, self.file.stat().st_mode & 0o777)

    def test_what_is_no_longer_said_is_gone(self) -> None:
        self.told({**NODE, "options": {"vnc": {"enabled": False}}})
        self.assertEqual(["false"], self.read("vnc", "enabled"))
        self.told({**NODE, "transport_url": "rabbit://new:b@mq/"})
        self.assertEqual([None], self.read("vnc", "enabled"))
        self.assertEqual(
            ["rabbit://new:b@mq/"], self.read("DEFAULT", "transport_url")
        )
        self.told({})
        self.assertFalse(self.file.exists())

    def test_a_service_that_is_not_in_the_image_has_no_file(self) -> None:
        agent = self.root / "etc/neutron/neutron.conf.d"
        found = metadata({AGENT: {"transport_url": "rabbit://a:b@mq/"}})
        self.assertNotIn(AGENT, self.boot(found))
        agent.mkdir(parents=True)
        self.boot(found)
        self.assertIn(
            'transport_url = "rabbit://a:b@mq/"',
            (agent / "50-cloud.conf").read_text(),
        )


class Unconfigured(Node):
    def test_what_is_missing_is_said(self) -> None:
        said = self.boot(metadata({}))
        self.assertIn("nova-compute is not started", said)
        self.assertIn("[DEFAULT] transport_url", said)
        self.assertIn("[placement] auth_url", said)
        self.assertFalse(self.file.exists())

    def test_without_a_source_the_last_file_stays(self) -> None:
        self.assertIn("nova-compute is not started", self.boot(None))
        self.told(NODE)
        self.assertIn("goes on with what was said last", self.boot(None))
        self.assertTrue(self.file.exists())

    def test_a_source_of_no_use_leaves_the_last_file(self) -> None:
        self.told(NODE)
        with (
            mock.patch.object(main.data, "kept", return_value=None),
            mock.patch.object(drive, "read", side_effect=data.Unreadable("x")),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            self.assertEqual(1, main.main(self.root))
        self.assertTrue(self.file.exists())

    def test_what_no_file_can_hold_is_refused(self) -> None:
        for wrong in (
            "text",
            {**NODE, "transport-url": "rabbit:"},
            {**NODE, "transport_url": ["rabbit:"]},
            {**NODE, "transport_url": None},
            {**NODE, "auth": SECRET},
            {**NODE, "auth": {**AUTH, "password": f"{SECRET}\n[vnc]"}},
            {**NODE, "options": {"vnc]\n[x": {}}},
            {**NODE, "options": {"vnc": {"a = b\nc": "d"}}},
            {**NODE, "options": {"vnc": "enabled"}},
        ):
            with self.subTest(wrong):
                self.told(NODE)
                said = self.told(wrong, status=1)
                self.assertIn("nova-compute is not started", said)
                self.assertNotIn(SECRET, said)
                self.assertFalse(self.file.exists())


class Layers(unittest.TestCase):
    def named(self, found: data.Metadata) -> object:
        with contextlib.redirect_stderr(io.StringIO()):
            return main.named(found, main.Log()).get(NAME)

    def test_the_nearest_counts(self) -> None:
        both = {
            "vendor_data.json": {NAME: "cloud"},
            "vendor_data2.json": {"fleet": {NAME: "target"}},
        }
        for expected, documents, user in (
            ("cloud", {"vendor_data.json": {NAME: "cloud"}}, b""),
            ("target", both, b""),
            ("top", {**both, "vendor_data2.json": {NAME: "top"}}, b""),
            ("user", both, json.dumps({NAME: "user"}).encode()),
            ("user", both, f"#cloud-config\n{NAME}: user\n".encode()),
            ("target", both, b"#!/bin/sh\necho 'x: [\n"),
            ("target", both, b"\x1f\x8b\x08\x00\xff"),
        ):
            with self.subTest(user):
                self.assertEqual(
                    expected,
                    self.named(data.Metadata("x", documents, user)),
                )


def metadata(dynamic: dict[str, object]) -> data.Metadata:
    """What a drive says with this vendor_data2.json."""
    return data.Metadata(
        "config-drive",
        {"meta_data.json": {}, "vendor_data2.json": dynamic},
    )
