"""Credentials of the metadata: what is taken, and what is not."""

import base64
import contextlib
import email.mime.multipart
import email.mime.text
import getpass
import grp
import gzip
import io
import json
import os
import pathlib
import unittest
from unittest import mock

from tests.unit.elements import programs

with programs.importable("metadata-reader", "last-mile"):
    from last_mile import asked, client, credentials, main
    from metadata_reader import data, drive, files, log, service

USER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"


def metadata(user_data=b"", **documents):
    """The metadata of a machine; the names have no ".json"."""
    return data.Metadata(
        "config-drive",
        {"meta_data.json": {}}
        | {f"{name}.json": each for name, each in documents.items()},
        user_data,
    )


class Asked(unittest.TestCase):
    def gathered(self, found, whole=True):
        self.told = []
        wanted, is_whole = asked.gathered(found, self.told.append)
        self.assertEqual(whole, is_whole, self.told)
        self.assertEqual(whole, not self.told)
        return wanted

    def test_from_each_place(self):
        wish = {"puppet": {"server": "x"}}
        plain = json.dumps({"last_mile": wish}).encode()
        for found in (
            metadata(vendor_data={"last_mile": wish}),
            metadata(vendor_data2={"last_mile": wish}),
            metadata(vendor_data2={"any": {"last_mile": wish}, "no": [1]}),
            metadata(meta_data={"meta": {"last_mile": json.dumps(wish)}}),
            metadata(plain),
            metadata(
                b"#cloud-config\n" + json.dumps({"last_mile": wish}).encode()
            ),
            metadata(b"#cloud-config\nlast_mile: {puppet: {server: x}}\n"),
            metadata(gzip.compress(plain)),
        ):
            self.assertEqual(wish, self.gathered(found), found)

    def test_from_a_part_of_a_message(self):
        message = email.mime.multipart.MIMEMultipart()
        message.attach(email.mime.text.MIMEText("#!/bin/sh\nlast_mile\n"))
        message.attach(
            email.mime.text.MIMEText(
                '#cloud-config\n{"last_mile": {"salt": {}}}', "cloud-config"
            )
        )
        self.assertEqual(
            {"salt": {}}, self.gathered(metadata(message.as_bytes()))
        )

    def test_nothing_of_ours(self):
        for text in (
            b"",
            b"#!/bin/sh\nlast_mile: x\n",
            b"#cloud-config\npackages: [x]\n",
            b"\x00\xff\xfe",
            b"MIME-Version: 1.0\n\nx",
        ):
            self.assertEqual({}, self.gathered(metadata(text)))

    def test_the_users_word_counts_more_and_files_are_those_of_all(self):
        wanted = self.gathered(
            metadata(
                json.dumps(
                    {"last_mile": {"puppet": {"server": "u"}, "files": [2]}}
                ).encode(),
                vendor_data={
                    "last_mile": {
                        "puppet": {"server": "v", "port": 1},
                        "salt": {},
                        "files": [1],
                    }
                },
            )
        )
        self.assertEqual(
            {"puppet": {"server": "u"}, "salt": {}, "files": [1, 2]}, wanted
        )

    def test_what_cannot_be_read_leaves_the_rest(self):
        vendor = {"last_mile": {"salt": {}}}
        for text in (
            b"{",
            b"#cloud-config\n{",
            b"#cloud-config\nlast_mile: [\n",
            b"#cloud-config\nlast_mile: 7\n",
            b"\x1f\x8bno gzip",
            gzip.compress(b"{}")[:10] + b"\xff" * 20,
        ):
            wanted = self.gathered(
                metadata(text, vendor_data=vendor), whole=False
            )
            self.assertEqual({"salt": {}}, wanted)

    def test_what_did_not_come_may_be_asked_for(self):
        found = data.Metadata(
            "metadata-service",
            {"meta_data.json": {}},
            broken={"user_data": "answers 500"},
        )
        self.assertEqual({}, self.gathered(found, whole=False))

    def test_yaml_without_the_module_for_it(self):
        text = b"#cloud-config\nlast_mile: {salt: {}}\n"
        with mock.patch.dict("sys.modules", {"yaml": None}):
            self.assertEqual({}, self.gathered(metadata(text), whole=False))
            self.assertIn("write it in JSON", self.told[0])
            # What is nothing of ours is nobody's loss.
            text = b"#cloud-config\npackages: [x]\n"
            self.assertEqual({}, self.gathered(metadata(text)))


class Files(programs.Place):
    def setUp(self):
        super().setUp()
        self.allowed = self.place / "credentials"
        self.allowed.mkdir()
        self.told = []

    def wanted(self, *described):
        self.told.clear()
        return credentials.wanted(
            list(described), [self.allowed], self.told.append
        )

    def file(self, name="x", **more):
        return {
            "path": f"{self.allowed}/{name}",
            "content": "secret\n",
            "owner": USER,
            **more,
        }

    def test_written_as_described(self):
        [file] = self.wanted(self.file("a/b"))
        self.assertTrue(credentials.write(file))
        self.assertFalse(credentials.write(file))
        path = self.allowed / "a/b"
        self.assertEqual("secret\n", path.read_text())
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        [file] = self.wanted(self.file("a/b", mode="0640"))
        credentials.write(file)
        self.assertEqual(0o640, path.stat().st_mode & 0o777)

    def test_bytes(self):
        content = base64.b64encode(b"\0\xff" * 100).decode()
        [file] = self.wanted(self.file(content=content, encoding="base64"))
        self.assertEqual(b"\0\xff" * 100, file.content)

    def test_roots_by_default(self):
        described = self.file()
        del described["owner"]
        [file] = self.wanted(described)
        self.assertEqual(((0, 0), 0o600), (file.owner, file.mode))

    def test_what_is_not_taken(self):
        outside = self.place / "outside"
        outside.mkdir()
        (self.allowed / "link").symlink_to(outside)
        (self.allowed / "directory").mkdir()
        for bad in (
            7,
            {},
            self.file(path="/etc/shadow"),
            self.file(path=f"{self.allowed}/../outside/x"),
            self.file(path=f"{self.place}/credentials-of-others/x"),
            self.file(path=str(self.allowed)),
            self.file(path=f"{self.allowed}/x/"),
            self.file(path=f"{self.allowed}/x\n/etc/y"),
            self.file(path="credentials/x"),
            self.file(path=["x"]),
            self.file("link/x"),
            self.file("x" * 300),
            self.file("directory"),
            self.file(mode="4755"),
            self.file(mode="0666"),
            self.file(mode=384),
            self.file(mode="rw"),
            self.file(owner="nobody-of-this-name"),
            self.file(owner="root:no-such-group"),
            self.file(owner=0),
            self.file(owner="a b"),
            self.file(content=None),
            self.file(content="***", encoding="base64"),
            self.file(encoding="rot13"),
            self.file(encoding=["base64"]),
        ):
            with self.subTest(bad):
                [good] = self.wanted(bad, self.file("good"))
                self.assertEqual("good", good.path.name)
                self.assertEqual(1, len(self.told))
                self.assertTrue(self.told[0].isprintable())
                self.assertNotIn("secret", self.told[0])

    def test_no_list(self):
        told = []
        for described in ({}, "x", [{}] * 1000):
            self.assertEqual(
                [], credentials.wanted(described, [], told.append)
            )
        self.assertEqual(3, len(told))

    def test_places_are_what_elements_say(self):
        folder = self.place / "places.d"
        folder.mkdir()
        (folder / "a").write_text("# keys\n/etc/credentials/\n\nrelative\n")
        (folder / "b").write_text("/etc/nova # compute\n")
        self.assertEqual(
            [pathlib.Path("/etc/credentials"), pathlib.Path("/etc/nova")],
            credentials.places(folder),
        )


class Boot(programs.Place):
    """Boots of a machine whose client is one of the test's."""

    def setUp(self):
        super().setUp()
        self.own_files(files)
        self.allowed = self.place / "credentials"
        self.allowed.mkdir()
        self.found = None
        self.client = mock.Mock(spec=["configure", "forget", "configured"])
        self.client.configured.return_value = False
        self.patch(main, "STATE", self.place / "state/state.json")
        self.patch(main, "READY", self.place / "run")
        self.patch(main, "seconds", lambda: 1.0)
        self.patch(main, "clients", lambda: [("mine", self.client)])
        self.patch(credentials, "places", lambda: [self.allowed])
        self.patch(data, "KEPT", self.place / "run/metadata.json")
        self.patch(drive, "read", lambda: None)
        self.patch(service, "read", lambda seconds, tell: self.found)

    def boot(self, **wish):
        """A boot with this wish; what was said in it."""
        return self.boot_with(
            metadata(vendor_data={"last_mile": wish}) if wish else metadata()
        )

    def boot_with(self, found):
        self.found = found
        for path in (self.place / "run").glob("*"):
            path.unlink()
        self.client.reset_mock()
        self.say = log.Log()
        with contextlib.redirect_stderr(io.StringIO()):
            main.run(self.say)

    def file(self, name, content="x"):
        return {
            "path": f"{self.allowed}/{name}",
            "content": content,
            "owner": USER,
        }

    def names(self):
        return sorted(path.name for path in self.allowed.iterdir())

    def ready(self):
        return (self.place / "run/mine").exists()

    def test_files_go_when_they_are_named_no_longer(self):
        (self.allowed / "other").write_text("somebody's")
        self.boot(files=[self.file("a"), self.file("b")])
        self.assertEqual(["a", "b", "other"], self.names())
        self.boot(files=[self.file("b", "new")])
        self.assertEqual(["b", "other"], self.names())
        self.assertEqual("new", (self.allowed / "b").read_text())
        self.boot()
        self.assertEqual(["other"], self.names())

    def test_nothing_goes_while_anything_is_unknown(self):
        self.boot(files=[self.file("a")])
        for found in (
            None,
            metadata(b"{"),
            metadata(vendor_data={"last_mile": 7}),
            metadata(vendor_data={"last_mile": {"files": [{}]}}),
            data.Metadata("x", {}, broken={"vendor_data.json": "is no JSON"}),
        ):
            self.boot_with(found)
            self.assertEqual(["a"], self.names(), found)
            self.assertTrue(self.say.errors or found is None)
        self.boot()
        self.assertEqual([], self.names())

    def test_what_cannot_be_written_does_not_stop_the_others(self):
        (self.allowed / "file").write_text("")
        self.boot(files=[self.file("file/x"), self.file("a")])
        self.assertEqual(["a", "file"], self.names())
        self.assertEqual(1, len(self.say.errors))

    def test_what_cannot_be_removed_is_not_forgotten(self):
        self.boot(files=[self.file("a"), self.file("b")], mine={"server": 1})
        (self.allowed / "a").unlink()
        (self.allowed / "a").mkdir()
        self.boot(mine={"server": 1})
        self.assertEqual(["a"], self.names())
        self.assertEqual(1, len(self.say.errors))
        self.assertTrue(self.ready())
        (self.allowed / "a").rmdir()
        (self.allowed / "a").write_text("x")
        self.boot()
        self.assertEqual([], self.names())

    def test_a_client_starts_with_a_server_only(self):
        self.boot(mine={"server": "x"})
        self.client.configure.assert_called_once()
        self.assertTrue(self.ready())
        self.boot()
        self.client.forget.assert_called_once()
        self.assertFalse(self.ready())

    def test_a_client_with_a_wish_that_is_none(self):
        self.client.configure.side_effect = client.Refused("no key")
        self.boot(mine={"server": "x"}, files=[self.file("a")])
        self.assertFalse(self.ready())
        self.assertEqual(["mine: no key: it is not started"], self.say.errors)
        self.assertEqual(["a"], self.names())
        self.boot(mine=7)
        self.assertFalse(self.ready())
        self.client.forget.assert_not_called()

    def test_a_client_goes_on_where_nobody_says_anything(self):
        for found in (None, metadata(b"{")):
            self.client.configured.return_value = False
            self.boot_with(found)
            self.assertFalse(self.ready())
            self.client.configured.return_value = True
            self.boot_with(found)
            self.assertTrue(self.ready())
            self.client.forget.assert_not_called()

    def test_a_section_that_nothing_is_about(self):
        self.boot(chef={})
        self.assertIn("chef", self.say.warnings[0])
        self.assertEqual([], self.say.errors)

    def test_a_section_whose_name_is_no_text(self):
        wish = f"files: [{json.dumps(self.file('a'))}], 7: x, null: y, chef: z"
        self.boot_with(
            metadata(f"#cloud-config\nlast_mile: {{{wish}}}\n".encode())
        )
        self.assertEqual(["a"], self.names())
        self.assertEqual(3, len(self.say.warnings))
        self.assertEqual([], self.say.errors)

    def test_what_was_read_earlier_in_this_boot_is_not_read_again(self):
        self.boot(files=[self.file("a")])
        self.patch(service, "read", mock.Mock(side_effect=AssertionError))
        with contextlib.redirect_stderr(io.StringIO()):
            main.run(log.Log())
        self.assertEqual(["a"], self.names())


if __name__ == "__main__":
    unittest.main()
