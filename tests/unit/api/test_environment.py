"""Which variables may be set, and to what."""

import time
import unittest

from dib_service import exception
from dib_service.api import environment

# Each may be set to this.
GOOD = {
    "DIB_RELEASE": "bookworm",
    "DIB_CLOUD_INIT_DATASOURCES": "ConfigDrive, OpenStack",
    "DIB_DISTRIBUTION_MIRROR": "http://mirror.example/debian",
    "DIB_BOOTLOADER_DEFAULT_CMDLINE": "console=tty0 console=ttyS0,115200",
    "DIB_INSTALLTYPE_pip_and_virtualenv": "package",
    "DIB_REPOREF_nova": "stable/2026.1",
    "DIB_DEV_USER_USERNAME": "dev",
    "DIB_DEV_USER_SHELL": "/bin/bash",
    "DIB_GROWVOLS_ARGS": "/=80% /home=20%",
    "DIB_DEBUG_TRACE": "1",
    "DIB_OPENSSH_SERVER_PASSWORDS": "yes",
    "DIB_EMPTY": "",
    "DIB_UNICODE": "größer",
    "GENTOO_PROFILE": "default/linux/amd64",
}

# A name that is refused, and a word of why.
BAD_NAMES = {
    "PATH": "programs",
    "LD_PRELOAD": "programs",
    "LD_LIBRARY_PATH": "programs",
    "PYTHONPATH": "programs",
    "PYTHONSTARTUP": "programs",
    "PERL5LIB": "programs",
    "BASH_ENV": "programs",
    "BASH_FUNC_ls": "programs",
    "ENV": "programs",
    "IFS": "programs",
    "PS4": "programs",
    "SHELLOPTS": "programs",
    "GIT_SSH": "programs",
    "HOME": "programs",
    "break": "programs",
    "break_cmd": "programs",
    "http_proxy": "operator",
    "HTTPS_PROXY": "operator",
    "DIB_HTTP_PROXY": "operator",
    "DIB_LOCAL_CONFIG_HTTPS_PROXY": "build.proxy",
    "DIB_LOCAL_CONFIG_NO_PROXY": "build.proxy",
    "DIB_LOCAL_CONFIG_SSH_KEYS": "build.ssh_keys",
    "no_proxy": "operator",
    "TMPDIR": "service decides",
    "TMP_MOUNT_PATH": "service decides",
    "ELEMENTS_PATH": "service decides",
    "_LIB": "service decides",
    "DIB_IMAGE_CACHE": "service decides",
    "DIB_ROOT_LABEL": "service decides",
    "DIB_IMAGE_SIZE": "service decides",
    "DIB_BLOCK_DEVICE_CONFIG": "service decides",
    "DIB_LOCAL_IMAGE": "files",
    "DIB_CLOUD_IMAGE_KEYRING": "files",
    "DIB_CLOUD_IMAGE_KEY_NAMES": "files",
    "DIB_APT_SOURCES": "files",
    "DIB_RPM_GPG_KEYS": "files",
    "DIB_RPM_KEY_NAMES": "files",
    "DIB_YUM_REPO_CONF": "files",
    "DIB_YUM_MINIMAL_EXTRA_REPOS": "files",
    "DIB_DEV_USER_AUTHORIZED_KEYS": "files",
    "DIB_MANIFEST_SAVE_DIR": "files",
    "DIB_PYTHON_EXEC": "program",
    "DIB_GZIP_BIN": "program",
    "DIB_CONTAINERFILE_RUNTIME": "program",
    "DIB_DEBIAN_DEBOOTSTRAP_SCRIPT": "program",
    "DIB_DEBOOTSTRAP_EXTRA_ARGS": "program",
    "DIB_MY_COMMAND": "program",
    "DIB_SOME_HOOK": "program",
    "DIB_DEV_USER_PASSWORD": "secret",
    "DIB_RHSM_PASSWORD": "secret",
    "DIB_SAT_KEY": "secret",
    "DIB_API_TOKEN": "secret",
    "DIB_CLIENT_SECRET": "secret",
    "DIB_REPOLOCATION_nova": "code",
    "DIB_REPOTYPE_nova": "code",
    "DIB_GITREPOBASE": "code",
    "DIB_DISTRIBUTION_MIRROR_UBUNTU_INSECURE": "check",
    "DIB_CLOUD_IMAGE_SHA256": "check",
    "RELEASE": "DIB_ followed",
    "dib_release": "DIB_ followed",
    "DIB_": "DIB_ followed",
    "DIB_release": "DIB_ followed",
    "DIB-RELEASE": "DIB_ followed",
    "DIB_RELEASE\n": "DIB_ followed",
    "DIB_" + "A" * 252: "255 characters",
    "DIB_A=B": "DIB_ followed",
    "": "DIB_ followed",
    "ＤIB_RELEASE": "DIB_ followed",  # noqa: RUF001
}

# A value that is refused under an innocent name, and a word of why.
BAD_VALUES = {
    "a\nb": "control",
    "a\0b": "control",
    "a\x1b[31m": "control",
    "a\u2028b": "control",
    "x" * 4097: "4096 bytes",
    "ü" * 2049: "4096 bytes",
    "-----BEGIN OPENSSH PRIVATE KEY-----": "secret",
    "-----BEGIN PRIVATE KEY----- MIIE": "secret",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n": "secret",
    "-----BEGIN RSA PRIVATE KEY-----" + "x" * 5000: "4096 bytes",
    "a-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln": "secret",
    "gAAAAABlQ0Zc7eU1hXm5q9rT2yV4wZ8a": "secret",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln": "secret",
    "AKIAIOSFODNN7EXAMPLE": "secret",
    "ghp_" + "a" * 36: "secret",
    "glpat-abcdefghij0123456789": "secret",
    "http://user:hunter2@mirror.example/": "secret",
    "http://:hunter2@mirror.example/": "secret",
    "$(id)": "substitution",
    "`id`": "substitution",
    "${HOME}": "substitution",
    "deb [trusted=yes] http://mirror.example stable main": "check",
    "gpgcheck=0": "check",
    "/etc/shadow": "files",
    "  /etc/shadow": "files",
    "\N{NO-BREAK SPACE}~/.ssh/id_rsa": "files",
    " file:///etc/shadow": "files",
    "~/.ssh/id_rsa": "files",
    "file:///etc/shadow": "files",
    "FILE:/etc/shadow": "files",
}

SECRETS = [value for value, why in BAD_VALUES.items() if why == "secret"]


class EnvironmentTest(unittest.TestCase):
    """The tables above, row by row."""

    def test_what_elements_read_may_be_set(self) -> None:
        for name, value in GOOD.items():
            with self.subTest(name=name):
                environment.check({name: value})

    def test_names_that_reach_further_are_refused(self) -> None:
        for name, why in BAD_NAMES.items():
            with self.subTest(name=name):
                error = self.refused({name: "1"})
                self.assertIn("build.environment.", error.facts["field"])
                self.assertIn(why, error.message)

    def test_values_that_reach_further_are_refused(self) -> None:
        for value, why in BAD_VALUES.items():
            with self.subTest(value=value):
                error = self.refused({"DIB_INNOCENT": value})
                self.assertEqual(
                    "build.environment.DIB_INNOCENT", error.facts["field"]
                )
                self.assertIn(why, error.message)

    def test_a_secret_is_not_repeated(self) -> None:
        for value in SECRETS:
            with self.subTest(value=value):
                error = self.refused({"DIB_INNOCENT": value})
                self.assertNotIn(value[:10], error.message)
                self.assertNotIn("value", error.facts)
        # It may be one, with more behind it.
        error = self.refused({"DIB_INNOCENT": SECRETS[0] + "x" * 5000})
        self.assertNotIn(SECRETS[0][:10], error.message)
        error = self.refused({"DIB_DEV_USER_PASSWORD": "hunter2"})
        self.assertNotIn("hunter2", error.message)

    def test_what_is_far_too_long_is_refused_in_no_time(self) -> None:
        for name, value in (
            ("DIB_A", "eyJ-" * 25_000),
            ("DIB_A", "://" + "a:" * 50_000),
            ("DIB_" + "_LOGGING_" * 10_000 + "!", "1"),
            ("PASSWORD" * 10_000 + "!", "1"),
        ):
            with self.subTest(name=name[:20], value=value[:20]):
                began = time.process_time()
                self.refused({name: value})
                self.assertLess(time.process_time() - began, 1.0)

    def test_kernel_arguments_are_words(self) -> None:
        for value in ("quiet; reboot", 'a="b"', "{x}", "a\\b", "größer"):
            with self.subTest(value=value):
                error = self.refused({"DIB_X_CMDLINE": value})
                self.assertIn("kernel arguments", error.message)

    def test_the_operator_may_allow_names(self) -> None:
        environment.check({"ACME_RELEASE": "1"}, extra=["ACME_RELEASE"])

    def test_but_not_those_that_reach_further(self) -> None:
        for name in ("PATH", "LD_PRELOAD", "ACME_PASSWORD"):
            with (
                self.subTest(name=name),
                self.assertRaises(exception.BadRequest),
            ):
                environment.check({name: "1"}, extra=[name])

    def refused(self, values: dict[str, str]) -> exception.BadRequest:
        """The error that these variables get."""
        with self.assertRaises(exception.BadRequest) as caught:
            environment.check(values)
        return caught.exception
