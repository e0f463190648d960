"""What is in etc/: units, and configurations to start from."""

import configparser
import pathlib
import re
import subprocess
import tempfile
import unittest

from oslo_config import cfg
import yaml

from dib_service import conf, policies
from tests import options

ETC = options.ROOT / "etc"
UNITS = sorted((ETC / "systemd").glob("*.service"))
EXAMPLES = sorted((ETC / "dib-service/examples").glob("*.conf"))

# Where the operator's guide installs the service.
PREFIX = "/opt/dib-service"

# What uwsgi has of its own, beside our commands.
OTHERS = {"uwsgi"}


class UnitsTest(unittest.TestCase):
    """systemd reads them, and they start what there is."""

    def test_systemd_finds_no_fault(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copies = [installed(unit, folder) for unit in UNITS]
            self.assertEqual("", analyze("verify", "--man=no", *copies))

    def test_each_starts_a_program_of_ours_with_a_file_of_ours(self) -> None:
        commands = set(
            re.findall(
                r"^    (dib-[\w-]+) = dib_service\.cmd",
                (options.ROOT / "setup.cfg").read_text(),
                re.MULTILINE,
            )
        )
        for unit in UNITS:
            with self.subTest(unit.name):
                program, option, file = section(unit)["ExecStart"].split()
                self.assertEqual(f"{PREFIX}/bin", str(parent(program)))
                self.assertIn(pathlib.Path(program).name, commands | OTHERS)
                self.assertIn(option, ("--config-file", "--ini"))
                self.assertEqual("/etc/dib-service", str(parent(file)))

    def test_what_needs_no_rights_has_none(self) -> None:
        for name in ("dib-api", "dib-conductor"):
            with self.subTest(name):
                said = analyze(
                    "security",
                    *("--offline=true", "--threshold=20", "--no-pager"),
                    str(ETC / f"systemd/{name}.service"),
                )
                self.assertIn("OK", said)

    def test_a_builder_keeps_what_builds_need(self) -> None:
        for name in ("dib-builder", "dib-all-in-one"):
            with self.subTest(name):
                unit = section(ETC / f"systemd/{name}.service")
                self.assertEqual("yes", unit["Delegate"])
                self.assertNotIn("User", unit)
                self.assertEqual(
                    set(),
                    {
                        "DevicePolicy",
                        "NoNewPrivileges",
                        "PrivateDevices",
                        "ProtectClock",
                        "RestrictNamespaces",
                        "RestrictSUIDSGID",
                    }
                    & set(unit),
                )

    def test_logrotate_reads_its_file(self) -> None:
        done = run(
            "/usr/sbin/logrotate",
            *("--debug", str(ETC / "logrotate.d/dib-service")),
        )
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertNotIn("error:", done.stdout)


class ExamplesTest(unittest.TestCase):
    """Each option in them, commented out or not, is one that there is."""

    def test_there_is_one_for_each_kind_of_host(self) -> None:
        self.assertEqual(
            {"builder.conf", "controller.conf", "one-machine.conf"},
            {file.name for file in EXAMPLES},
        )

    def test_every_option_is_known_and_its_value_is_right(self) -> None:
        for file in EXAMPLES:
            text = re.sub(r"(?m)^# (?=\w+ = )", "", file.read_text())
            for group, name, value in options.written(text):
                with self.subTest(file.name, option=f"[{group}] {name}"):
                    option = options.known(group, name)
                    option.type(value)

    def test_the_service_reads_them(self) -> None:
        for file in EXAMPLES:
            with self.subTest(file.name):
                fresh = cfg.ConfigOpts()
                for module in conf.MODULES:
                    module.register_opts(fresh)
                fresh(["--config-file", str(file)], project=conf.PROJECT)
                self.assertTrue(
                    fresh.builder.id or fresh.glance.auth_type, file
                )

    def test_a_builder_has_no_database_and_no_credential(self) -> None:
        parser = configparser.ConfigParser(
            interpolation=None, default_section="none"
        )
        parser.read(ETC / "dib-service/examples/builder.conf")
        self.assertEqual(
            {"DEFAULT", "builder", "oslo_messaging_rabbit"},
            set(parser.sections()),
        )

    def test_the_policies_are_rules_that_there_are(self) -> None:
        file = ETC / "dib-service/examples/policy.yaml"
        text = re.sub(r'(?m)^# (?=")', "", file.read_text())
        named = yaml.safe_load(text)
        self.assertTrue(named)
        known = {rule.name for rule in policies.list_rules()}
        self.assertEqual(set(), set(named) - known)


def installed(unit: pathlib.Path, folder: str) -> str:
    """A copy of a unit whose programs are there."""
    copy = pathlib.Path(folder, unit.name)
    copy.write_text(
        re.sub(rf"{PREFIX}/bin/\S+", "/bin/true", unit.read_text())
    )
    return str(copy)


def section(unit: pathlib.Path) -> dict[str, str]:
    """The [Service] of a unit."""
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=["="]
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return dict(parser["Service"])


def parent(path: str) -> pathlib.Path:
    return pathlib.Path(path).parent


def analyze(*words: str) -> str:
    """What systemd-analyze says; nothing when all is well."""
    done = run("systemd-analyze", *words)
    if done.returncode != 0:
        raise AssertionError(f"{words}:\n{done.stdout}")
    return done.stdout


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A program that was run to its end."""
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
