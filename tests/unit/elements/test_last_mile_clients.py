"""Servers of the metadata: whom a client believes, and what it is told."""

import json
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
    from last_mile import client
    from last_mile_clients import ansible_pull, puppet, salt
    from metadata_reader import files


class Client(programs.Place):
    def setUp(self):
        super().setUp()
        self.own_files(files)
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
