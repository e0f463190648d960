"""Credentials and servers of the metadata: what is taken, and what is not."""

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
import subprocess
import tempfile
import unittest
from unittest import mock

from tests import signer
from tests.unit.elements import programs

ELEMENTS = (
    *("metadata-reader", "last-mile"),
    *("puppet-agent", "salt-minion", "ansible-pull"),
)

with programs.importable(*ELEMENTS):
    from last_mile import asked, client, credentials, main
    from last_mile_clients import ansible_pull, puppet, salt
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

    def test_yaml_without_the_module_for_it(self):
        text = b"#cloud-config\nlast_mile: {salt: {}}\n"
        with mock.patch.dict("sys.modules", {"yaml": None}):
            self.assertEqual({}, self.gathered(metadata(text), whole=False))
            self.assertIn("write it in JSON", self.told[0])
            # What is nothing of ours is nobody's loss.
            text = b"#cloud-config\npackages: [x]\n"
            self.assertEqual({}, self.gathered(metadata(text)))


class Place(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = pathlib.Path(holder.name).resolve()

    def patch(self, where, attribute, value):
        patch = mock.patch.object(where, attribute, value)
        patch.start()
        self.addCleanup(patch.stop)

    def own_files(self):
        """Have files written as the test's own user's, whoever runs it."""
        write = files.write
        self.patch(
            files,
            "write",
            lambda *args, owner=None, **more: write(
                *args, owner=(os.getuid(), os.getgid()), **more
            ),
        )


class Files(Place):
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


class Boot(Place):
    """Boots of a machine whose client is one of the test's."""

    def setUp(self):
        super().setUp()
        self.own_files()
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

    def test_what_was_read_earlier_in_this_boot_is_not_read_again(self):
        self.boot(files=[self.file("a")])
        self.patch(service, "read", mock.Mock(side_effect=AssertionError))
        with contextlib.redirect_stderr(io.StringIO()):
            main.run(log.Log())
        self.assertEqual(["a"], self.names())


class Client(Place):
    def setUp(self):
        super().setUp()
        self.own_files()
        self.machine = client.Machine(self.place / "mark", mock.Mock())

    def refused(self, module, section, word=""):
        with (
            self.subTest(section),
            self.assertRaises(client.Refused) as caught,
        ):
            module.configure(section, self.machine)
        self.assertIn(word, str(caught.exception))


class Puppet(Client):
    def setUp(self):
        super().setUp()
        self.patch(puppet, "OWN", self.place / "no")
        self.patch(puppet, "CONFIGURATION", (self.place / "puppet", None))
        self.patch(puppet, "SSL", (self.place / "ssl", None))
        self.configuration = self.place / "puppet/puppet.conf"
        self.authority = self.place / "ssl/certs/ca.pem"
        self.one, self.other = certificate("one"), certificate("other")

    def test_a_server_with_its_authority(self):
        puppet.configure(
            {
                "server": "puppet.example.org",
                "port": 8141,
                "ca_certificate": self.one,
                "environment": "production",
                "certname": "node-7",
            },
            self.machine,
        )
        self.assertEqual(
            [
                *("[main]", f"ssldir = {self.place}/ssl", "", "[agent]"),
                "server = puppet.example.org",
                "serverport = 8141",
                "certname = node-7",
                "environment = production",
            ],
            self.configuration.read_text().splitlines()[1:],
        )
        self.assertEqual(self.one, self.authority.read_text())
        self.assertTrue(puppet.configured(self.machine))
        puppet.forget(self.machine)
        self.assertFalse(puppet.configured(self.machine))
        self.assertFalse(self.authority.exists())

    def test_another_authority_ends_what_the_first_one_signed(self):
        section = {"server": "p", "ca_certificate": self.one}
        puppet.configure(section, self.machine)
        key = self.place / "ssl/private_keys/me.pem"
        key.parent.mkdir()
        for path in (
            key,
            self.place / "ssl/crl.pem",
            self.place / "ssl/certs/me.pem",
        ):
            path.write_text("x")
        puppet.configure(section, self.machine)
        self.assertTrue((self.place / "ssl/crl.pem").exists())
        puppet.configure(
            {**section, "ca_certificate": self.other}, self.machine
        )
        self.assertEqual(self.other, self.authority.read_text())
        self.assertFalse((self.place / "ssl/crl.pem").exists())
        self.assertFalse((self.place / "ssl/certs/me.pem").exists())
        self.assertTrue(key.exists())

    def test_an_authority_that_was_forgotten_between_is_the_first_one(self):
        section = {"server": "p", "ca_certificate": self.one}
        puppet.configure(section, self.machine)
        signed = self.place / "ssl/certs/me.pem"
        signed.write_text("x")
        puppet.forget(self.machine)
        puppet.configure(
            {**section, "ca_certificate": self.other}, self.machine
        )
        self.assertFalse(signed.exists())

    def test_without_a_key_it_has_to_be_asked_for(self):
        self.refused(puppet, {"server": "p"}, "ca_certificate")
        self.assertFalse(self.configuration.exists())
        puppet.configure(
            {"server": "p", "trust_on_first_use": True}, self.machine
        )
        self.assertTrue(self.configuration.exists())

    def test_what_is_refused(self):
        good = {"server": "p", "ca_certificate": self.one}
        for changes in (
            {"server": None},
            {"server": "a b"},
            {"server": "x\n[main]\nhttp_proxy_host = y"},
            {"port": "8140"},
            {"port": 0},
            {"port": True},
            {"environment": "../x"},
            {"certname": "a\nb"},
            {"certname": "../../x"},
            {"ca_certificate": "x"},
            {"ca_certificate": ""},
            {"ca_certificate": self.one[:200] + "\n-----END CERTIFICATE-----"},
            {"ca_certificate": f"{self.one}\nx"},
            {"trust_on_first_use": "yes", "ca_certificate": None},
        ):
            self.refused(puppet, {**good, **changes})
            self.assertFalse(self.configuration.exists())


class Salt(Client):
    KEY = (
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n"
        "-----END PUBLIC KEY-----\n"
    )
    FINGER = ":".join(["ab"] * 32)

    def setUp(self):
        super().setUp()
        self.configuration = self.place / "minion.d/90.conf"
        self.key = self.place / "pki/minion_master.pub"
        self.patch(salt, "CONFIGURATION", self.configuration)
        self.patch(salt, "MASTER_KEY", self.key)

    def settings(self):
        lines = self.configuration.read_text().splitlines()[1:]
        return {
            name: json.loads(value)
            for name, _, value in (line.partition(": ") for line in lines)
        }

    def test_a_master_with_its_key(self):
        salt.configure(
            {"master": "salt", "master_pub": self.KEY, "id": "node-7"},
            self.machine,
        )
        self.assertEqual(
            {"master": "salt", "master_port": 4506, "id": "node-7"},
            self.settings(),
        )
        self.assertEqual(self.KEY, self.key.read_text())
        salt.forget(self.machine)
        self.assertFalse(self.key.exists())
        self.assertFalse(self.configuration.exists())

    def test_a_fingerprint_and_no_key_that_was_known_before(self):
        self.key.parent.mkdir()
        self.key.write_text("old")
        salt.configure(
            {"master": "salt", "master_finger": self.FINGER}, self.machine
        )
        self.assertEqual(self.FINGER, self.settings()["master_finger"])
        self.assertFalse(self.key.exists())

    def test_a_key_that_was_believed_stays_for_that_master_alone(self):
        blind = {"master": "salt", "trust_on_first_use": True}
        salt.configure(blind, self.machine)
        self.key.parent.mkdir()
        self.key.write_text("believed")
        salt.configure(blind, self.machine)
        self.assertEqual("believed", self.key.read_text())
        salt.configure({**blind, "master": "other"}, self.machine)
        self.assertFalse(self.key.exists())

    def test_what_is_refused(self):
        good = {"master": "salt", "master_pub": self.KEY}
        self.refused(salt, {"master": "salt"}, "master_pub")
        for changes in (
            {"master": ""},
            {"master": "x: y\n"},
            {"id": "../x"},
            {"id": "a\nopen_mode: true"},
            {"master_finger": "ab"},
            {"master_pub": "ssh-rsa x"},
            {"master_pub": f"{self.KEY}open_mode: true\n"},
            {"port": 70000},
        ):
            self.refused(salt, {**good, **changes})


class AnsiblePull(Client):
    HOSTS = "git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample\n"

    def setUp(self):
        super().setUp()
        for name in (
            *("SETTINGS", "KNOWN_HOSTS", "AUTHORITY"),
            *("DEPLOY_KEY", "KEYRING"),
        ):
            self.patch(ansible_pull, name, self.place / name.lower())

    def command(self, **section):
        ansible_pull.configure(section, self.machine)
        return ansible_pull.command()

    def test_over_https(self):
        words, environment = self.command(
            url="https://git.example.org/site.git", checkout="v1.2"
        )
        self.assertEqual("local.yml", words[-1])
        self.assertIn("https://git.example.org/site.git", words)
        self.assertEqual("v1.2", words[words.index("--checkout") + 1])
        self.assertNotIn("GIT_SSL_CAINFO", environment)
        words, environment = self.command(
            url="https://git.example.org/site.git",
            ca_certificate=certificate("one"),
        )
        self.assertEqual(
            str(self.place / "authority"), environment["GIT_SSL_CAINFO"]
        )

    def test_over_ssh_with_the_servers_key(self):
        for url in ("git@git.example.org:site.git", "ssh://git.example.org/x"):
            _, environment = self.command(url=url, known_hosts=self.HOSTS)
            ssh = environment["GIT_SSH_COMMAND"]
            self.assertIn("StrictHostKeyChecking=yes", ssh)
            self.assertIn(f"UserKnownHostsFile={self.place}/known_hosts", ssh)
            self.assertEqual(
                0o600, (self.place / "known_hosts").stat().st_mode & 0o777
            )

    def test_signed_commits_prove_what_no_transport_does(self):
        key = signer.create(self.place / "signer").public_key
        words, environment = self.command(
            url="git://git.example.org/site.git", signing_key=key
        )
        self.assertIn("--verify-commit", words)
        self.assertEqual(str(self.place / "keyring"), environment["GNUPGHOME"])
        ansible_pull.forget(self.machine)
        self.assertFalse((self.place / "keyring").exists())
        self.assertFalse(ansible_pull.configured(self.machine))

    def test_without_proof_it_has_to_be_asked_for(self):
        for url in (
            "http://git.example.org/x",
            "git://git.example.org/x",
            "git@git.example.org:x",
        ):
            self.refused(ansible_pull, {"url": url}, "signing_key")
        # Known hosts prove nothing where ssh is not asked.
        self.refused(
            ansible_pull,
            {"url": "http://g.example.org/x", "known_hosts": self.HOSTS},
        )
        self.refused(
            ansible_pull,
            {"url": "http://g.example.org/x", "trust_on_first_use": True},
        )
        _, environment = self.command(
            url="git@git.example.org:x", trust_on_first_use=True
        )
        self.assertIn("accept-new", environment["GIT_SSH_COMMAND"])

    def test_no_message_has_a_key_or_a_password_in_it(self):
        for changes in (
            {"deploy_key": "-----BEGIN EC PRIVATE KEY-----\nSECRET\n"},
            {"url": "https://me:SECRET@git.example.org/ x"},
        ):
            with self.assertRaises(client.Refused) as caught:
                ansible_pull.configure(
                    {"url": "https://git.example.org/x", **changes},
                    self.machine,
                )
            self.assertNotIn("SECRET", str(caught.exception))

    def test_what_is_refused(self):
        good = {"url": "git@git.example.org:x", "known_hosts": self.HOSTS}
        for changes in (
            {"url": None},
            {"url": "ext::sh -c id"},
            {"url": "-oProxyCommand=id:x"},
            {"url": "file:///etc"},
            {"url": "/srv/x"},
            {"url": "https://x/ --upload-pack=id"},
            {"checkout": "--upload-pack=x"},
            {"checkout": "a b"},
            {"playbook": "/etc/x.yml"},
            {"playbook": "../x.yml"},
            {"playbook": "--extra-vars=x.yml"},
            {"playbook": "x"},
            {"known_hosts": "x"},
            {"known_hosts": 7},
            {"known_hosts": ""},
            {"deploy_key": "x"},
            {"signing_key": "x"},
            {
                "signing_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxx\n"
                "-----END PGP PUBLIC KEY BLOCK-----\n"
            },
        ):
            self.refused(ansible_pull, {**good, **changes})
            self.assertFalse(ansible_pull.configured(self.machine))


def certificate(name):
    """A certificate in PEM, signed by itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "cert")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "9"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-subj", f"/CN={name}", "-keyout", "/dev/null"),
                *("-out", path),
            ],
            check=True,
            capture_output=True,
        )
        return path.read_text()


if __name__ == "__main__":
    unittest.main()
