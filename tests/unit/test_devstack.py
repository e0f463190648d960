"""What the devstack plugin leaves behind, with devstack's functions stubbed.

The return code of a phase says little, so the files that it made are read.
"""

import configparser
import getpass
import pathlib
import subprocess
import tempfile
import unittest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

# Functions of devstack: those that answer something answer, and all of them
# are written down.
STUBS = r"""
set -eu
for name in create_service_user get_or_create_project get_or_create_user \
    get_or_add_user_project_role get_or_create_service \
    get_or_create_endpoint install_package setup_develop setup_logging \
    recreate_database run_process stop_process wait_for_service \
    define_plugin enable_service remove_uwsgi_config; do
    eval "function $name { echo \"$name \$*\" >>\"$CALLS\"; }"
done
function sudo { "$@"; }
function is_service_enabled { true; }
function get_python_exec_prefix { echo "$DEST/bin"; }
function get_transport_url { echo rabbit://secret@broker/; }
function database_connection_url { echo "mysql+pymysql://secret@db/$1"; }
function iniset {
    printf '[%s]\n%s = %s\n' "$2" "$3" "$4" >>"$1"
}
function configure_keystoneauth {
    iniset "$1" "$3" username "$2"
    iniset "$1" "$3" password secret
    iniset "$1" "$3" project_name service
}
function configure_keystone_authtoken_middleware {
    configure_keystoneauth "$1" "$2" keystone_authtoken
}
function write_uwsgi_config {
    iniset "$1" uwsgi module "$2"
}
function openstack { echo debian; }
"""


class DevstackPluginTest(unittest.TestCase):
    """Each phase, run as stack.sh runs it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.conf = self.path / "etc"
        self.calls = self.path / "calls"
        self.calls.touch()
        commands = self.path / "bin"
        commands.mkdir()
        manage = commands / "dib-manage"
        manage.write_text(
            '#!/bin/sh\ncase "$*" in *enrol*) echo builder-id its-secret;; '
            "esac\n"
        )
        manage.chmod(0o755)

    def test_settings_enable_the_three_services(self) -> None:
        self.run_plugin("stack nothing")
        self.assertIn("define_plugin dib-service", self.called())
        self.assertIn(
            "enable_service dib-api dib-conductor dib-builder", self.called()
        )

    def test_packages_are_those_of_a_builder_host(self) -> None:
        self.run_plugin("stack pre-install")
        packages = self.called()[-1].split()
        self.assertIn("qemu-utils", packages)
        self.assertNotIn("rabbitmq-server", packages)

    def test_the_uploader_is_a_member_of_staging_alone(self) -> None:
        self.run_plugin("stack post-config")
        roles = [line for line in self.called() if "role" in line]
        self.assertEqual(
            ["get_or_add_user_project_role member dib-upload dib-staging"],
            [" ".join(line.split()[:4]) for line in roles],
        )

    def test_the_builder_has_no_database_and_no_credential(self) -> None:
        self.run_plugin("stack post-config")
        builder = self.read("dib-builder.conf")
        self.assertEqual({"DEFAULT", "builder"}, set(builder))
        self.assertEqual("builder-id", builder["builder"]["id"])
        self.assertEqual("its-secret", builder["builder"]["secret"])
        self.assertIn("transport_url", builder["DEFAULT"])

    def test_the_controller_has_both(self) -> None:
        self.run_plugin("stack post-config")
        conf = self.read("dib-service.conf")
        self.assertIn("connection", conf["database"])
        self.assertEqual("dib", conf["glance"]["username"])
        self.assertEqual("dib-upload", conf["glance_upload"]["username"])
        self.assertEqual("dib-staging", conf["glance_upload"]["project_name"])
        self.assertEqual("dib", conf["keystone_authtoken"]["username"])

    def test_what_holds_a_password_is_not_for_everybody(self) -> None:
        self.run_plugin("stack post-config")
        for name in ("dib-service.conf", "dib-builder.conf"):
            mode = (self.conf / name).stat().st_mode & 0o777
            self.assertEqual(0o640, mode, name)

    def test_the_builder_runs_as_root(self) -> None:
        self.run_plugin("stack extra")
        builder = next(
            line for line in self.called() if "run_process dib-builder" in line
        )
        self.assertTrue(builder.endswith("dib-builder.conf root root"))

    def test_everything_started_is_ended(self) -> None:
        self.run_plugin("stack extra")
        self.run_plugin("unstack")
        words = [line.split() for line in self.called()]
        started = {w[1] for w in words if w[0] == "run_process"}
        ended = {w[1] for w in words if w[0] == "stop_process"}
        self.assertEqual({"dib-api", "dib-conductor", "dib-builder"}, started)
        self.assertEqual(started, ended)

    def test_clean_leaves_nothing(self) -> None:
        self.run_plugin("stack post-config")
        self.run_plugin("clean")
        self.assertFalse(self.conf.exists())
        self.assertFalse((self.path / "data/dib-service").exists())

    def run_plugin(self, phase: str) -> None:
        """Source settings and plugin.sh with errexit, as devstack does."""
        script = (
            f"{STUBS}\n"
            f"source {CHECKOUT}/devstack/settings\n"
            f"source {CHECKOUT}/devstack/plugin.sh {phase}\n"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.path),
                "CALLS": str(self.calls),
                "DEST": str(self.path),
                "DATA_DIR": str(self.path / "data"),
                "DIB_SERVICE_DIR": str(CHECKOUT),
                "DIB_SERVICE_CONF_DIR": str(self.conf),
                "STACK_USER": getpass.getuser(),
                "SERVICE_PROTOCOL": "http",
                "SERVICE_HOST": "controller",
                "SERVICE_PASSWORD": "secret",
                "SERVICE_DOMAIN_NAME": "Default",
                "SERVICE_TIMEOUT": "5",
                "REGION_NAME": "RegionOne",
                "ENABLE_DEBUG_LOG_LEVEL": "True",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stdout)

    def called(self) -> list[str]:
        """The calls of devstack's functions, in their order."""
        return self.calls.read_text().splitlines()

    def read(self, name: str) -> dict[str, dict[str, str]]:
        """A configuration file, by section."""
        parser = configparser.ConfigParser(
            strict=False, interpolation=None, default_section="none"
        )
        parser.read(self.conf / name)
        return {name: dict(parser[name]) for name in parser.sections()}
