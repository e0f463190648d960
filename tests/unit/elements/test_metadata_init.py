"""What the metadata says becomes a user, a name and files; and no more."""

import contextlib
import io
import json
import os
import pwd
import unittest
from unittest import mock

from dib_service.engine import catalogue, elements, errors
from tests.unit.elements import programs

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import interfaces, machine, main, name, networkd, user
    from metadata_init.settings import Settings
    from metadata_reader import data, drive, files, log, service

MAC = "52:54:00:00:00:01"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExample one@x"
OTHER = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI two"
THIRD = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCexample third"


class Keys(programs.Place):
    def setUp(self):
        super().setUp()
        self.home = self.place / "home"
        self.home.mkdir()
        self.account = pwd.struct_passwd(
            ("me", "x", os.getuid(), os.getgid(), "", str(self.home), "/x")
        )
        self.path = self.home / ".ssh/authorized_keys"
        self.given = []

    def give(self, *keys):
        self.given = user.authorize(self.account, list(keys), self.given)

    def lines(self):
        return self.path.read_text().splitlines()

    def test_a_new_key_replaces_the_one_that_was_given(self):
        self.give(KEY)
        self.assertEqual([KEY], self.lines())
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)
        self.assertEqual(0o700, self.path.parent.stat().st_mode & 0o777)
        self.give(OTHER)
        self.assertEqual([OTHER], self.lines())
        self.give()
        self.assertEqual([], self.lines())

    def test_what_somebody_else_put_there_stays(self):
        self.give(KEY)
        with self.path.open("a") as file:
            file.write(f"# mine\n{THIRD}\n")
        self.give(OTHER)
        self.assertEqual(["# mine", THIRD, OTHER], self.lines())
        # It is named by the cloud, too, and not the cloud's to take.
        self.give(THIRD)
        self.assertEqual(["# mine", THIRD], self.lines())
        self.give()
        self.assertEqual(["# mine", THIRD], self.lines())

    def test_a_comment_in_any_encoding_keeps_no_key(self):
        self.give(KEY)
        with self.path.open("ab") as file:
            file.write(b"# sch\xf6n\n")
        self.give(OTHER)
        self.assertEqual(
            b"# sch\xf6n\n" + f"{OTHER}\n".encode(), self.path.read_bytes()
        )

    def test_what_is_no_plain_file_is_nobodys_keys(self):
        self.path.parent.mkdir(mode=0o700)
        self.path.symlink_to("/dev/null")
        with self.assertRaises(OSError):
            self.give(KEY)

    def test_what_the_metadata_names(self):
        for named, keys in (
            (None, []),
            ({}, []),
            ({"a": KEY, "b": f"\n{OTHER}\n{THIRD}\r\n"}, [KEY, OTHER, THIRD]),
            ([KEY, KEY], [KEY]),
            ({"a": f'from="192.0.2.1" {KEY}'}, [f'from="192.0.2.1" {KEY}']),
        ):
            found, problems = user.keys({"public_keys": named})
            self.assertEqual((keys, []), (found, problems))

    def test_what_is_no_key(self):
        for bad in (
            7,
            "x",
            f"{KEY}\0",
            f"{KEY}\x1b[2J",
            "ssh-ed25519 not-base64!",
            "ssh-ed25519",
            f"ssh-rsa {'A' * 20000}",
        ):
            with self.subTest(bad):
                found, problems = user.keys(
                    {"public_keys": {"bad": bad, "good": KEY}}
                )
                self.assertEqual([KEY], found)
                self.assertEqual(1, len(problems))
                self.assertTrue(problems[0].isprintable())

    def test_what_cannot_be_understood(self):
        for named in ("ssh-rsa", 7, [KEY] * 1000):
            with self.assertRaises(user.Malformed):
                user.keys({"public_keys": named})


class Name(unittest.TestCase):
    def test_with_and_without_a_domain(self):
        for text in ("node-1", "node-1.example.org", "A.b.c"):
            self.assertEqual(text, name.named({"hostname": text}))
        self.assertEqual("n", name.named({"name": "n"}))
        self.assertEqual("n.x", name.named({"hostname": "n.x."}))
        self.assertIsNone(name.named({}))

    def test_that_is_none(self):
        for text in (
            "a b",
            "a\n127.0.0.1 evil",
            "-a",
            "a..b",
            "a" * 64,
            ".".join(["a" * 60] * 5),
            ["a"],
            "../../etc/passwd",
        ):
            with self.subTest(text), self.assertRaises(name.Malformed):
                name.named({"hostname": text})

    def test_its_line_is_replaced_and_others_stay(self):
        before = "127.0.0.1 localhost\n127.0.1.1 debian\n192.0.2.1 mine\n"
        first = name.hosts(before, "n.example.org")
        self.assertEqual(
            "127.0.1.1 n.example.org n # metadata-init\n"
            "127.0.0.1 localhost\n192.0.2.1 mine\n",
            first,
        )
        self.assertEqual(
            "127.0.1.1 m # metadata-init\n"
            "127.0.0.1 localhost\n192.0.2.1 mine\n",
            name.hosts(first, "m"),
        )


class Machine(programs.Place):
    """A boot, with the machine's own files in a directory."""

    def setUp(self):
        super().setUp()
        home = self.place / "home"
        home.mkdir()
        self.account = pwd.struct_passwd(
            ("me", "x", os.getuid(), os.getgid(), "", str(home), "/x")
        )
        self.keys = home / ".ssh/authorized_keys"
        self.units = self.place / "units"
        self.found = None
        self.answer = None
        for where, attribute, value in (
            (machine, "DMI", self.place / "product_uuid"),
            (machine, "KNOWN", self.place / "state/machine"),
            (machine, "SSH", self.place / "ssh"),
            (main, "STATE", self.place / "state/state.json"),
            (main, "RESULT", self.place / "run/result.json"),
            (data, "KEPT", self.place / "run/metadata.json"),
            (networkd, "FOLDER", self.units),
            (networkd, "reload", mock.Mock()),
            (name, "HOSTNAME", self.place / "hostname"),
            (name, "HOSTS", self.place / "hosts"),
            (name.socket, "sethostname", mock.Mock()),
            (user, "ensure", lambda settings: self.account),
            (interfaces, "by_mac", lambda: {MAC: "ens3"}),
            (drive, "read", self.read_drive),
            (service, "read", lambda seconds, tell: self.answer),
        ):
            self.patch(where, attribute, value)
        self.own_files(files)

    def read_drive(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def boot(self):
        """A boot; what was said in it, and the result."""
        with contextlib.suppress(FileNotFoundError):
            data.KEPT.unlink()
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            for stage in ("machine", "local", "network"):
                say = log.Log()
                main.Machine(Settings(user="me", seconds=1.0), say).run(stage)
        self.result = json.loads(main.RESULT.read_text())
        return said.getvalue()

    def says(self, key=KEY, address="192.0.2.7", **changes):
        documents = {
            "meta_data.json": {
                "hostname": "node.example.org",
                "public_keys": {"a": key},
            },
            "network_data.json": {
                "links": [
                    {"id": "p", "type": "phy", "ethernet_mac_address": MAC}
                ],
                "networks": [
                    {
                        "id": "n",
                        "type": "ipv4",
                        "link": "p",
                        "ip_address": f"{address}/24",
                    }
                ],
            },
            **changes,
        }
        kept = {each: it for each, it in documents.items() if it is not None}
        return data.Metadata("config-drive", kept)

    def unit(self):
        [path] = self.units.iterdir()
        return path.read_text()

    def test_it_becomes_what_the_drive_says(self):
        self.found = self.says()
        self.boot()
        self.assertEqual(f"{KEY}\n", self.keys.read_text())
        self.assertEqual("node\n", (self.place / "hostname").read_text())
        self.assertIn("Address=192.0.2.7/24", self.unit())
        self.assertEqual(
            {"source": "config-drive", "errors": [], "warnings": []},
            self.result,
        )
        self.assertEqual(0o600, data.KEPT.stat().st_mode & 0o777)
        networkd.reload.assert_not_called()

    def test_a_comment_in_any_encoding_keeps_no_name(self):
        hosts = self.place / "hosts"
        hosts.write_bytes(b"# sch\xf6n\n127.0.1.1 old\n")
        self.found = self.says()
        self.boot()
        self.assertEqual([], self.result["errors"])
        self.assertEqual(
            b"127.0.1.1 node.example.org node # metadata-init\n# sch\xf6n\n",
            hosts.read_bytes(),
        )

    def test_the_next_boot_has_what_is_new_and_not_what_is_gone(self):
        self.found = self.says()
        self.boot()
        (self.units / "20-mine.network").write_text("mine")
        (self.units / "10-metadata-bond0.netdev").write_text("old")
        self.found = self.says(OTHER, "192.0.2.8")
        self.boot()
        self.assertEqual(f"{OTHER}\n", self.keys.read_text())
        self.assertEqual(
            ["10-metadata-ens3.network", "20-mine.network"],
            sorted(path.name for path in self.units.iterdir()),
        )
        self.assertIn(
            "192.0.2.8",
            (self.units / "10-metadata-ens3.network").read_text(),
        )

    def test_without_a_source_it_stays_what_it_was_and_says_so(self):
        self.found = self.says()
        self.boot()
        self.found = None
        said = self.boot()
        self.assertIn("everything stays as it was", said)
        self.assertEqual(f"{KEY}\n", self.keys.read_text())
        self.assertIn("Address=192.0.2.7/24", self.unit())
        self.assertEqual("none", self.result["source"])

    def in_machine(self, firmware):
        """A boot of a disk with host keys, in the machine of this name."""
        if firmware:
            machine.DMI.write_text(f"{firmware}\n")
        else:
            machine.DMI.unlink(missing_ok=True)
        machine.SSH.mkdir(exist_ok=True)
        for each in ("ssh_host_rsa_key", "ssh_host_rsa_key.pub"):
            (machine.SSH / each).touch()
        (machine.SSH / "sshd_config").touch()
        self.boot()
        return len(list(machine.SSH.iterdir()))

    def test_a_copy_of_the_disk_is_another_machine(self):
        self.found = self.says()
        self.assertEqual(3, self.in_machine("4C4C-1"))
        self.found = None
        # Some firmware changes its mind about capitals.
        self.assertEqual(3, self.in_machine("4c4c-1"))
        self.assertIn("Address=192.0.2.7/24", self.unit())
        # Nothing is known of a machine that says nothing.
        self.assertEqual(3, self.in_machine(""))
        self.assertEqual(1, self.in_machine("4C4C-2"))
        self.assertIn("DHCP=ipv4", self.unit())
        self.assertEqual(3, self.in_machine("4C4C-2"))

    def test_the_first_boot_without_a_source_lets_nobody_in(self):
        self.boot()
        self.assertFalse(self.keys.exists())
        self.assertIn("DHCP=ipv4", self.unit())

    def test_the_service_is_asked_and_its_network_taken(self):
        self.answer = self.says()
        self.boot()
        self.assertIn("Address=192.0.2.7/24", self.unit())
        networkd.reload.assert_called_once_with()
        # Nothing is new at the next boot.
        self.boot()
        networkd.reload.assert_called_once_with()

    def test_a_drive_that_cannot_be_read(self):
        self.found = self.says()
        self.boot()
        self.found = data.Unreadable("/dev/sr0: meta_data.json is not JSON")
        said = self.boot()
        self.assertIn("<3>error: config drive: /dev/sr0: meta_data", said)
        self.assertEqual(f"{KEY}\n", self.keys.read_text())

    def test_malformed_parts_stay_as_they_were(self):
        self.found = self.says()
        self.boot()
        self.found = self.says(
            **{
                "meta_data.json": {"public_keys": 7, "hostname": "a b"},
                "network_data.json": {"links": 7},
            }
        )
        self.boot()
        self.assertEqual(3, len(self.result["errors"]), self.result)
        self.assertEqual(f"{KEY}\n", self.keys.read_text())
        self.assertEqual("node\n", (self.place / "hostname").read_text())
        self.assertIn("Address=192.0.2.7/24", self.unit())

    def bond(self, **options):
        """A boot with a bond that has these options; what is wrong with it."""
        self.found = self.says(
            **{
                "network_data.json": {
                    "links": [
                        {
                            "id": "p",
                            "type": "phy",
                            "ethernet_mac_address": MAC,
                        },
                        {
                            "id": "b",
                            "type": "bond",
                            "bond_links": ["p"],
                            "bond_mode": "active-backup",
                            **options,
                        },
                    ]
                }
            }
        )
        self.boot()
        netdev = self.units / "10-metadata-bond0.netdev"
        self.assertIn("Mode=active-backup", netdev.read_text())
        return self.result["errors"], self.result["warnings"]

    def test_what_is_of_no_use_is_no_error(self):
        errors, warnings = self.bond(bond_num_grat_arp=3)
        self.assertEqual([], errors)
        self.assertEqual(1, len(warnings), warnings)
        errors, warnings = self.bond(bond_miimon="often")
        self.assertEqual(1, len(errors), errors)
        self.assertEqual([], warnings)

    def test_keys_of_which_none_is_one_lock_nobody_out(self):
        self.found = self.says()
        self.boot()
        self.found = self.says("ssh-ed25519 not-base64!")
        self.boot()
        self.assertIn("the keys stay", self.result["errors"][-1])
        self.assertEqual(f"{KEY}\n", self.keys.read_text())

    def test_without_network_data_it_asks_by_dhcp(self):
        self.found = self.says(**{"network_data.json": None})
        self.boot()
        self.assertIn("DHCP=ipv4", self.unit())

    def test_one_failure_does_not_keep_the_others_from_being_done(self):
        self.found = self.says()
        with mock.patch.object(name, "take", side_effect=OSError("full")):
            said = self.boot()
        self.assertIn("error: host name: full", said)
        self.assertEqual(f"{KEY}\n", self.keys.read_text())
        self.assertIn("Address=192.0.2.7/24", self.unit())

    def test_the_unit_fails_when_something_is_wrong(self):
        file = self.place / "settings.json"
        file.write_text(
            json.dumps(
                {
                    "user": "me",
                    "groups": [],
                    "comment": "Me",
                    "network": "networkd",
                    "seconds": 1,
                    "qualified": False,
                }
            )
        )
        settings = Settings.read(file)
        with (
            contextlib.redirect_stderr(io.StringIO()),
            mock.patch.object(Settings, "read", lambda: settings),
        ):
            self.found = self.says()
            self.assertEqual(0, main.main(["local"]))
            self.found = data.Unreadable("x")
            self.assertEqual(1, main.main(["local"]))
        with (
            contextlib.redirect_stderr(io.StringIO()),
            mock.patch.object(Settings, "read", side_effect=OSError("gone")),
        ):
            self.assertEqual(1, main.main(["local"]))


class Chosen(unittest.TestCase):
    """Which elements make an image with it."""

    def names(self, *wanted):
        shelf = elements.read([programs.ELEMENTS])
        return [
            element.name
            for element in catalogue.resolve(
                wanted, {name: each.element for name, each in shelf.items()}
            )
        ]

    def test_it_stands_in_for_cloud_init(self):
        found = self.names("debian", "metadata-init")
        self.assertIn("metadata-init", found)
        self.assertNotIn("cloud-init", found)
        self.assertIn("cloud-init", self.names("debian"))

    def test_it_is_refused_beside_another(self):
        for other in ("cloud-init", "simple-init"):
            with self.assertRaises(errors.AlreadyProvided):
                self.names("debian", "metadata-init", other)


if __name__ == "__main__":
    unittest.main()
