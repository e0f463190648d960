"""What the cloud said before counts only while nothing newer can be read."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import tempfile
from typing import Any
import unittest
from unittest import mock

from tests.unit.elements import programs

PROGRAM = (
    pathlib.Path(__file__).parents[3]
    / "elements/cloud-init/static/usr/local/sbin/cloud-init-refresh"
)

OLD = "ssh-ed25519 AAAAold mine"
NEW = "ssh-ed25519 AAAAnew mine"
HERS = "ssh-ed25519 AAAAhers added by hand"
REFUSED = 'no-pty,command="echo \'Please login as the user \\"debian\\"\'" '


def program() -> Any:
    loader = importlib.machinery.SourceFileLoader("refresh", str(PROGRAM))
    spec = importlib.util.spec_from_loader("refresh", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    # It leaves no bytecode beside the program, which goes into images.
    with programs.importable():
        loader.exec_module(module)
    return module


class RefreshCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.refresh = program()
        self.refresh.ROOT = self.root
        self.refresh.run = self.run_there
        self.ran: list[tuple[str, ...]] = []
        self.said: list[str] = []
        self.refresh.say = self.said.append
        for path in (
            "run/cloud-init",
            "etc/cloud/cloud.cfg.d",
            "etc/ssh",
            "var/lib/cloud/data",
            "sys/class/dmi/id",
        ):
            (self.root / path).mkdir(parents=True)
        self.write("sys/class/dmi/id/product_uuid", "4D5E\n")

    def write(self, path: str, text: str) -> pathlib.Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def run_there(self, *words: str) -> str:
        self.ran.append(words)
        return ""

    def booted(self, source: str) -> pathlib.Path:
        """Be a machine that read its data before; return its link."""
        instance = self.root / "var/lib/cloud/instances/one"
        instance.mkdir(parents=True)
        (instance / "obj.pkl").write_bytes(b"")
        (instance / "datasource").write_text(f"{source}: {source} [net]\n")
        link = self.root / "var/lib/cloud/instance"
        link.symlink_to(instance)
        self.write("var/lib/cloud/data/instance-id", "one\n")
        self.write("var/lib/cloud/data/refresh-machine", "4d5e")
        return link

    def drive(self, content: str = '{"uuid": "one"}') -> None:
        self.write("config-drive/openstack/latest/meta_data.json", content)


class TestPrepare(RefreshCase):
    def forgotten(self, link: pathlib.Path) -> bool:
        return (
            not link.is_symlink()
            and not self.root.joinpath(
                "var/lib/cloud/data/instance-id"
            ).exists()
        )

    def trusted(self, link: pathlib.Path) -> bool:
        return (link / "manual-clean").exists()

    def test_a_first_boot_is_left_alone(self) -> None:
        self.refresh.prepare()
        self.assertEqual(["nothing has been read before"], self.said)
        self.assertEqual([], self.ran)

    def test_a_drive_is_read_again(self) -> None:
        link = self.booted("DataSourceConfigDrive")
        self.drive()
        self.refresh.prepare()
        self.assertTrue(self.forgotten(link))
        # What ran once for the instance is remembered there.
        self.assertTrue((self.root / "var/lib/cloud/instances/one").is_dir())

    def test_without_a_drive_what_was_read_is_trusted(self) -> None:
        for source in ("DataSourceConfigDrive", "DataSourceOpenStackLocal"):
            with self.subTest(source):
                self.setUp()
                link = self.booted(source)
                self.refresh.prepare()
                self.assertTrue(self.trusted(link))

    def test_a_drive_that_cannot_be_read_is_none(self) -> None:
        link = self.booted("DataSourceConfigDrive")
        self.drive("half of")
        self.refresh.prepare()
        self.assertTrue(self.trusted(link))

    def test_what_describes_no_machine_is_no_drive(self) -> None:
        for content in ("7", "[]", '["uuid"]', "{}"):
            with self.subTest(content):
                self.setUp()
                link = self.booted("DataSourceConfigDrive")
                self.drive(content)
                self.refresh.prepare()
                self.assertTrue(self.trusted(link))

    def test_a_drive_that_is_not_wanted_is_none(self) -> None:
        self.write("etc/cloud/cloud.cfg", "datasource_list: [ConfigDrive]\n")
        self.write(
            "etc/cloud/cloud.cfg.d/91-x.cfg", "datasource_list: [OpenStack]\n"
        )
        link = self.booted("DataSourceOpenStackLocal")
        self.drive()
        self.refresh.prepare()
        self.assertTrue(self.trusted(link))

    def test_a_drive_goes_before_what_was_asked(self) -> None:
        link = self.booted("DataSourceOpenStackLocal")
        self.drive()
        self.refresh.prepare()
        self.assertTrue(self.forgotten(link))

    def test_no_source_is_never_trusted(self) -> None:
        link = self.booted("DataSourceNone")
        self.refresh.prepare()
        self.assertTrue(self.forgotten(link))

    def test_other_sources_are_cloud_inits_affair(self) -> None:
        link = self.booted("DataSourceNoCloud")
        self.refresh.prepare()
        self.assertFalse(self.forgotten(link) or self.trusted(link))

    def test_another_machine_forgets_all(self) -> None:
        link = self.booted("DataSourceOpenStackLocal")
        key = self.write("etc/ssh/ssh_host_rsa_key", "secret")
        self.write("sys/class/dmi/id/product_uuid", "OTHER\n")
        self.refresh.prepare()
        self.assertTrue(self.forgotten(link))
        self.assertFalse(key.exists())
        self.refresh.prepare()
        self.assertEqual("nothing has been read before", self.said[-1])

    def test_the_same_machine_keeps_its_host_keys(self) -> None:
        self.booted("DataSourceConfigDrive")
        key = self.write("etc/ssh/ssh_host_rsa_key", "secret")
        self.drive()
        self.refresh.prepare()
        self.assertTrue(key.exists())


class TestKeys(RefreshCase):
    def setUp(self) -> None:
        super().setUp()
        owner = f"{os.getuid()}:{os.getgid()}"
        # Below the first person's number only root is anybody's.
        self.refresh.FIRST_PERSON = os.getuid()
        self.write(
            "etc/passwd",
            f"root:x:{owner}:root:/root:/bin/sh\n+::::::\n"
            f"debian:x:{owner}::/home/debian:/bin/bash\n"
            f"alice:x:{owner}::/home/alice:/bin/bash\n",
        )

    def file(self, *lines: str, user: str = "home/debian") -> pathlib.Path:
        text = "".join(f"{line}\n" for line in lines)
        return self.write(f"{user}/.ssh/authorized_keys", text)

    def listed(self, *keys: str) -> None:
        self.write(
            "run/cloud-init/instance-data.json",
            json.dumps({"v1": {"public_ssh_keys": keys}}),
        )

    def boot(
        self, *keys: str, per_instance: bool = False, works: bool = True
    ) -> None:
        """Boot with these keys listed, cloud-init doing what it does."""
        self.listed(*keys)
        self.refresh.prepare()

        def put() -> bool:
            if not works:
                return False
            for user, options in (("home/debian", ""), ("root", REFUSED)):
                path = self.root / user / ".ssh/authorized_keys"
                there = path.read_text() if path.exists() else ""
                new = [key for key in keys if key.split()[1] not in there]
                self.file(
                    *there.splitlines(),
                    *(options + key for key in new),
                    user=user,
                )
            return True

        if per_instance:
            put()
        with mock.patch.object(self.refresh, "put_in_place", put):
            self.refresh.keys()

    def test_the_old_key_goes_and_the_new_one_comes(self) -> None:
        self.boot(OLD, per_instance=True)
        self.boot(NEW)
        for user, lines in (
            ("home/debian", [NEW]),
            ("root", [REFUSED + NEW]),
        ):
            path = self.root / user / ".ssh/authorized_keys"
            self.assertEqual(lines, path.read_text().splitlines())

    def test_nobody_is_locked_out_by_a_failure(self) -> None:
        self.boot(OLD, per_instance=True)
        self.boot(NEW, works=False)
        path = self.root / "home/debian/.ssh/authorized_keys"
        self.assertEqual(f"{OLD}\n", path.read_text())
        self.assertIn("WARNING: no new key", self.said[-1])
        self.boot(NEW)
        self.assertEqual(f"{NEW}\n", path.read_text())

    def test_what_somebody_added_stays(self) -> None:
        self.file(HERS)
        self.boot(OLD, per_instance=True)
        with (self.root / "home/debian/.ssh/authorized_keys").open("a") as f:
            f.write("# mine\nssh-rsa AAAAlater\n")
        self.boot(NEW)
        self.boot()
        self.assertEqual(
            [HERS, "# mine", "ssh-rsa AAAAlater"],
            (self.root / "home/debian/.ssh/authorized_keys")
            .read_text()
            .splitlines(),
        )

    def test_a_comment_in_any_encoding_keeps_no_key(self) -> None:
        self.boot(OLD, per_instance=True)
        path = self.root / "home/debian/.ssh/authorized_keys"
        with path.open("ab") as file:
            file.write(b"# sch\xf6n\n")
        self.boot()
        self.assertEqual(b"# sch\xf6n\n", path.read_bytes())

    def test_a_first_key_comes_later(self) -> None:
        self.boot(per_instance=True)
        self.boot(NEW)
        self.boot()
        path = self.root / "home/debian/.ssh/authorized_keys"
        self.assertEqual("", path.read_text())

    def test_a_key_that_was_removed_comes_back(self) -> None:
        self.boot(OLD, per_instance=True)
        path = self.file()
        self.boot(OLD)
        self.assertEqual(f"{OLD}\n", path.read_text())

    def test_a_drive_that_cloud_init_refuses_takes_no_key(self) -> None:
        self.boot(OLD, per_instance=True)
        link = self.booted("DataSourceConfigDrive")
        self.drive()
        self.refresh.prepare()
        # What it could not make sense of, it has not read.
        link.symlink_to(self.root / "var/lib/cloud/instances/one")
        (link / "datasource").write_text("DataSourceNone: DataSourceNone\n")
        self.listed()
        self.refresh.keys()
        path = self.root / "home/debian/.ssh/authorized_keys"
        self.assertEqual(f"{OLD}\n", path.read_text())
        self.assertIn("WARNING: no data source", self.said[-1])

    def test_without_cloud_inits_word_no_key_is_taken(self) -> None:
        self.boot(OLD, per_instance=True)
        (self.root / "run/cloud-init/instance-data.json").unlink()
        self.refresh.prepare()
        self.refresh.keys()
        path = self.root / "home/debian/.ssh/authorized_keys"
        self.assertEqual(f"{OLD}\n", path.read_text())

    def test_nobodys_device_is_read_to_an_end_it_has_not(self) -> None:
        path = self.file(user="home/alice")
        path.unlink()
        path.symlink_to("/dev/null")
        self.file(HERS)
        self.assertEqual(
            {"/home/debian/.ssh/authorized_keys": [HERS]},
            self.refresh.authorized_keys(),
        )

    def test_no_pipe_holds_the_boot_up(self) -> None:
        path = self.file(user="home/alice")
        path.unlink()
        os.mkfifo(path)
        self.assertEqual({}, self.refresh.authorized_keys())

    def test_what_is_remembered_of_keys_is_nobody_elses(self) -> None:
        self.boot(OLD, per_instance=True)
        for path in ("run/cloud-init-refresh.json", self.refresh.GIVEN):
            mode = (self.root / path).stat().st_mode
            self.assertEqual(0o600, mode & 0o777, path)

    def test_where_nothing_changed_nothing_is_done(self) -> None:
        self.file(HERS, user="home/alice")
        self.boot(OLD, per_instance=True)
        self.listed(OLD)
        self.refresh.prepare()
        with mock.patch.object(self.refresh, "put_in_place") as put:
            self.refresh.keys()
        put.assert_not_called()

    def test_no_link_leads_out_of_the_home(self) -> None:
        """The user's rights count, and what is not a given line stays."""
        self.boot(OLD, per_instance=True)
        path = self.root / "home/debian/.ssh/authorized_keys"
        other = self.write("etc/other", f"{HERS}\n")
        path.unlink()
        path.symlink_to(other)
        self.listed()
        self.refresh.keys()
        self.assertEqual(f"{HERS}\n", other.read_text())

    def test_without_an_answer_all_stays(self) -> None:
        self.boot(OLD, per_instance=True)
        self.booted("DataSourceOpenStackLocal")
        self.refresh.prepare()
        self.refresh.settle()
        self.listed(NEW)
        self.refresh.keys()
        path = self.root / "home/debian/.ssh/authorized_keys"
        self.assertEqual(f"{OLD}\n", path.read_text())
        self.assertIn("WARNING: DataSourceOpenStackLocal", self.said[-1])

    def test_with_an_answer_the_keys_follow(self) -> None:
        self.boot(OLD, per_instance=True)
        self.booted("DataSourceOpenStackLocal")
        self.refresh.prepare()
        self.write("run/cloud-init/sem/apply_network_config.once", "")
        self.refresh.settle()
        self.listed()
        self.refresh.keys()
        path = self.root / "home/debian/.ssh/authorized_keys"
        self.assertEqual("", path.read_text())

    def test_nobody_asks_a_second_time_over_a_lease(self) -> None:
        once = self.root / "run/cloud-init/sem/apply_network_config.once"
        self.booted("DataSourceOpenStackLocal")
        self.refresh.prepare()
        self.refresh.settle()
        self.assertTrue(once.exists())

    def test_who_needs_the_network_is_asked_with_one(self) -> None:
        for source in ("DataSourceOpenStack", "DataSourceEc2"):
            with self.subTest(source):
                self.setUp()
                once = self.root / (
                    "run/cloud-init/sem/apply_network_config.once"
                )
                self.booted(source)
                self.refresh.prepare()
                self.assertTrue(once.exists())
                self.refresh.settle()
                self.assertFalse(once.exists())

    def test_the_old_name_leaves_hosts(self) -> None:
        name = "var/lib/cloud/data/set-hostname"
        hosts = self.write("etc/hosts", "127.0.1.1\tb.x b\n127.0.1.1 a.x a\n")
        self.write(name, '{"hostname": "a", "fqdn": "a.x"}')
        self.listed()
        self.refresh.prepare()
        self.write(name, '{"hostname": "b", "fqdn": "b.x"}')
        self.refresh.keys()
        self.assertEqual("127.0.1.1\tb.x b\n", hosts.read_text())

    def test_names_in_any_encoding_keep_no_key_and_no_name(self) -> None:
        with (self.root / "etc/passwd").open("ab") as file:
            file.write(b"hers:x:1001:1001:Sch\xf6n:/home/hers:/bin/sh\n")
        hosts = self.root / "etc/hosts"
        hosts.write_bytes(b"# Sch\xf6n\n127.0.1.1 a.x a\n")
        name = "var/lib/cloud/data/set-hostname"
        self.write(name, '{"hostname": "a", "fqdn": "a.x"}')
        self.listed()
        self.refresh.prepare()
        self.write(name, '{"hostname": "b", "fqdn": "b.x"}')
        self.refresh.keys()
        self.assertEqual(b"# Sch\xf6n\n", hosts.read_bytes())


class TestLines(unittest.TestCase):
    def test_the_key_in_a_line(self) -> None:
        key_of = program().key_of
        for line, key in (
            (OLD, "ssh-ed25519 AAAAold"),
            (REFUSED + OLD, "ssh-ed25519 AAAAold"),
            ("ssh-rsa AAAA+/==", "ssh-rsa AAAA+/=="),
            (
                "sk-ssh-ed25519@openssh.com  AAAA x",
                "sk-ssh-ed25519@openssh.com AAAA",
            ),
            ("ecdsa-sha2-nistp256\tAAAA", "ecdsa-sha2-nistp256 AAAA"),
            (f"# {OLD}", ""),
            ("", ""),
        ):
            with self.subTest(line):
                self.assertEqual(key, key_of(line))
