"""What the devstack plugin leaves behind, with devstack's functions recorded.

The return code of a phase says little, so the files that it made are read.
"""

import configparser
import pathlib
import re
import tempfile
import unittest

from tests.devstack import host

PLUGIN = host.CHECKOUT / "devstack"
DOCUMENT = host.CHECKOUT / "doc/source/install/devstack.rst"

# Its answers are those of a host with a builder that lives.
OPENSTACK = """\
#!/bin/sh
echo "openstack $*" >>"$CALLS"
case "$*" in
    *"builder list"*) echo "here True" ;;
    *"element list"*) echo debian ;;
esac
"""

MANAGE = """\
#!/bin/sh
echo "dib-manage $*" >>"$CALLS"
cat "$2" >>"$CALLS"
case "$*" in *enrol*) echo builder-id its-secret;; esac
"""


class DevstackPluginTest(unittest.TestCase):
    """Each phase, run as stack.sh runs it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.host = self.made_host()
        self.program("dib-manage", MANAGE)
        self.program("openstack", OPENSTACK)

    def made_host(self, **variables: str) -> host.Host:
        """A host with this in its local.conf."""
        return host.Host(
            self.path,
            "recorded.bash",
            {"DIB_SERVICE_BUILDER": "here", **variables},
        )

    def program(self, name: str, text: str) -> None:
        """A command in the environment that devstack installs into."""
        file = self.path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def test_settings_enable_the_three_services(self) -> None:
        self.host.run("stack", "nothing")
        self.assertIn("define_plugin dib-service", self.called())
        self.assertIn(
            "enable_service dib-api dib-conductor dib-builder", self.called()
        )

    def test_settings_keep_to_what_local_conf_names(self) -> None:
        only = self.made_host(ENABLED_SERVICES="dib-builder")
        only.run("stack", "nothing")
        self.assertNotIn("enable_service", "\n".join(self.called()))

    def test_packages_are_those_of_a_builder_host(self) -> None:
        self.host.run("stack", "pre-install")
        packages = self.called()[-1].split()
        self.assertIn("qemu-utils", packages)
        self.assertNotIn("rabbitmq-server", packages)

    def test_the_uploader_is_a_member_of_staging_alone(self) -> None:
        self.host.run("stack", "post-config")
        roles = [line for line in self.called() if "role" in line]
        self.assertEqual(
            ["get_or_add_user_project_role member dib-upload dib-staging"],
            [" ".join(line.split()[:4]) for line in roles],
        )

    def test_the_builder_has_no_database_and_no_credential(self) -> None:
        self.host.run("stack", "post-config")
        builder = self.read("dib-builder.conf")
        self.assertEqual({"DEFAULT", "builder"}, set(builder))
        self.assertEqual("builder-id", builder["builder"]["id"])
        self.assertEqual("its-secret", builder["builder"]["secret"])
        self.assertIn("transport_url", builder["DEFAULT"])

    def test_the_builder_hides_what_has_passwords(self) -> None:
        self.host.run("stack", "post-config")
        hidden = self.read("dib-builder.conf")["builder"]["hide"].split(",")
        self.assertEqual(
            [
                str(self.path / name)
                for name in ("etc/dib-service", "etc/openstack", "devstack")
            ],
            hidden,
        )

    def test_own_elements_come_before_the_project_s(self) -> None:
        self.made_host(DIB_SERVICE_ELEMENT_PATH="/srv/mine").run(
            "stack", "post-config"
        )
        path = self.read("dib-builder.conf")["builder"]["element_path"]
        self.assertEqual(
            ["/srv/mine", str(host.CHECKOUT / "elements")],
            path.split(",")[:2],
        )

    def test_the_controller_has_both(self) -> None:
        self.host.run("stack", "post-config")
        conf = self.read("dib-service.conf")
        self.assertIn("connection", conf["database"])
        self.assertEqual("dib", conf["glance"]["username"])
        self.assertEqual("dib-upload", conf["glance_upload"]["username"])
        self.assertEqual("dib-staging", conf["glance_upload"]["project_name"])
        self.assertEqual("dib", conf["keystone_authtoken"]["username"])

    def test_what_holds_a_password_is_not_for_everybody(self) -> None:
        self.host.run("stack", "post-config")
        for name in ("dib-service.conf", "dib-builder.conf"):
            mode = (self.host.conf / name).stat().st_mode & 0o777
            self.assertEqual(0o640, mode, name)

    def test_messages_have_a_vhost_of_their_own(self) -> None:
        self.host.run("stack", "post-config")
        self.assertIn("rpc_backend_add_vhost dib-service", self.called())
        url = self.read("dib-builder.conf")["DEFAULT"]["transport_url"]
        self.assertEqual("rabbit://secret@broker/dib-service", url)

    def test_or_the_common_one(self) -> None:
        self.made_host(DIB_SERVICE_VHOST="/").run("stack", "post-config")
        self.assertNotIn("vhost", "\n".join(self.called()))
        url = self.read("dib-builder.conf")["DEFAULT"]["transport_url"]
        self.assertEqual("rabbit://secret@broker/", url)

    def test_a_host_that_only_builds_makes_nothing_in_the_cloud(self) -> None:
        only = self.made_host(ENABLED_SERVICES="dib-builder")
        only.run("stack", "post-config")
        self.assertEqual(
            ["dib-builder.conf"],
            [file.name for file in self.host.conf.iterdir()],
        )
        only.run("stack", "extra")
        only.run("unstack", UNSTACK_ALL="-1")
        only.run("clean")
        called = "\n".join(self.called())
        self.assertIn("builder enrol here --porcelain", called)
        self.assertIn("builder remove here", called.partition("enrol")[2])
        for word in ("create", "delete", "apache", "uwsgi"):
            self.assertNotIn(word, called)

    def test_what_enrols_is_told_the_database_and_then_forgets_it(
        self,
    ) -> None:
        self.made_host(ENABLED_SERVICES="dib-builder", TMPDIR=str(self.path))
        before = set(self.path.iterdir())
        only = self.made_host(
            ENABLED_SERVICES="dib-builder", TMPDIR=str(self.path)
        )
        only.run("stack", "post-config")
        self.assertIn("connection = postgresql://", "\n".join(self.called()))
        left = {file.name for file in set(self.path.iterdir()) - before}
        self.assertEqual({"etc", "data", "refused", "calls"}, left)

    def test_the_builder_runs_as_root(self) -> None:
        self.host.run("stack", "extra")
        builder = next(
            line for line in self.called() if "run_process dib-builder" in line
        )
        self.assertTrue(builder.endswith("dib-builder.conf root root"))

    def test_everything_started_is_ended(self) -> None:
        self.host.run("stack", "extra")
        self.host.run("unstack")
        words = [line.split() for line in self.called()]
        started = {w[1] for w in words if w[0] == "run_process"}
        ended = {w[1] for w in words if w[0] == "stop_process"}
        self.assertEqual({"dib-api", "dib-conductor", "dib-builder"}, started)
        self.assertEqual(started, ended)

    def test_unstack_keeps_what_the_servers_hold(self) -> None:
        self.host.run("unstack")
        for line in self.called():
            self.assertRegex(line, "^(define_|enable_|is_)|^stop_process")

    def test_unstack_all_removes_it(self) -> None:
        self.host.run("unstack", UNSTACK_ALL="-1")
        called = "\n".join(self.called())
        for said in (
            "service delete image-build",
            "image metadef namespace delete OS::DIB::Build",
            "user delete --domain Default dib dib-upload",
            "project delete --domain Default dib-staging",
            "rabbitmqctl delete_vhost dib-service",
            "psql -hdb -Uroot -dtemplate1 -c DROP DATABASE IF EXISTS "
            "dib_service",
        ):
            self.assertIn(said, called)

    def test_no_sample_unless_somebody_wants_one(self) -> None:
        self.host.run("stack", "test-config")
        self.assertNotIn("build create", "\n".join(self.called()))

    def test_the_sample(self) -> None:
        self.made_host(
            DIB_SERVICE_SAMPLE_IMAGE="sample",
            DIB_SERVICE_SAMPLE_OPTIONS="--skip-base --arch x86_64",
        ).run("stack", "test-config")
        self.assertIn(
            "openstack --os-cloud devstack image build create sample "
            "--element debian --element vm --element devstack-sample "
            "--skip-base --arch x86_64 --wait",
            self.called(),
        )

    def test_clean_leaves_nothing(self) -> None:
        self.host.run("stack", "post-config")
        self.host.run("clean")
        self.assertFalse(self.host.conf.exists())
        self.assertFalse(self.host.data.exists())

    def test_a_function_that_devstack_does_not_have_is_refused(self) -> None:
        # Otherwise none of these tests could fail.
        for script, refusal in (
            ("install_pakcage qemu-utils || true", "neither a program"),
            ("recreate_database || true", "takes 1 to 1 words"),
            ("echo $(run_process)", "takes 2 to 5 words"),
        ):
            with self.assertRaisesRegex(AssertionError, refusal):
                self.host.run("stack", f"nothing; {script}")
        with self.assertRaisesRegex(AssertionError, "not exist in unstack.sh"):
            self.host.run("unstack", "; rpc_backend_add_vhost dib || true")

    def test_every_variable_is_documented(self) -> None:
        settings = (PLUGIN / "settings").read_text()
        variables = re.findall(r"^(DIB_\w+)=", settings, re.MULTILINE)
        documented = re.findall(
            r"^   \* - ``(\w+)``", DOCUMENT.read_text(), re.MULTILINE
        )
        self.assertEqual(variables, documented)

    def called(self) -> list[str]:
        """The calls of devstack's functions, in their order."""
        return self.host.called()

    def read(self, name: str) -> dict[str, dict[str, str]]:
        """A configuration file, by section."""
        parser = configparser.ConfigParser(
            strict=False, interpolation=None, default_section="none"
        )
        parser.read(self.host.conf / name)
        return {name: dict(parser[name]) for name in parser.sections()}
