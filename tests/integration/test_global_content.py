"""What holds in any cloud is so on every distribution, wherever it keeps it.

The trees are as distributions have them; sshd and systemctl are stand-ins, as
what is asked here is what is written where. Real ones are in
test_debian_suites.
"""

from pathlib import Path
import shutil
import subprocess

from tests.integration.test_element_hooks import ELEMENTS, TreeCase

TYPES = ("ecdsa", "ed25519", "rsa")
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"
SETTINGS = """\
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PermitRootLogin prohibit-password
"""
SAFE = """\
permitrootlogin without-password
passwordauthentication no
kbdinteractiveauthentication no
permitemptypasswords no
"""


class InsideCase(TreeCase):
    """A hook that is run in the tree."""

    programs = (
        "bash cat chmod cp grep install ln mkdir mktemp rm rmdir sed usermod"
    )

    def setUp(self) -> None:
        super().setUp()
        (self.root / "tmp").mkdir()
        self.file("etc/passwd", "root:x:0:0::/root:/bin/bash\n")
        self.program("systemctl", 'echo "$*" >>/asked')

    def file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def program(self, name: str, text: str) -> None:
        self.file(f"usr/bin/{name}", f"#!/bin/bash\n{text}\n").chmod(0o755)

    def unit(self, name: str) -> None:
        self.file(f"usr/lib/systemd/system/{name}.service", "")

    def text(self, name: str) -> str:
        return (self.root / name).read_text()

    def inside(
        self, hook: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        shutil.copy(ELEMENTS / hook, self.root / "hook")
        return subprocess.run(
            [shutil.which("chroot"), self.root, "/hook"],
            env={
                "PATH": "/usr/bin",
                "DIB_INIT_SYSTEM": "systemd",
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def done(self, hook: str, **environment: str) -> None:
        said = self.inside(hook, **environment)
        self.assertEqual((0, ""), (said.returncode, said.stderr))

    def refused(self, word: str, hook: str, **environment: str) -> None:
        said = self.inside(hook, **environment)
        self.assertNotEqual(0, said.returncode)
        self.assertIn(word, said.stderr)


class TestServer(InsideCase):
    hook = "openssh-server/post-install.d/50-openssh-server"

    def setUp(self) -> None:
        super().setUp()
        self.program("sshd", "echo no hostkeys available >&2; exit 1")

    def test_where_the_directory_is_read_first(self) -> None:
        # Debian, Fedora.
        for line in (INCLUDE, INCLUDE.replace("Include", "  include")):
            text = f"# A comment.\n\n{line}\nPermitRootLogin yes\n"
            self.file("etc/ssh/sshd_config", text)
            self.unit("sshd")
            self.done(self.hook)
            self.assertEqual(text, self.text("etc/ssh/sshd_config"))
        ours = self.root / "etc/ssh/sshd_config.d/00-dib.conf"
        self.assertTrue(ours.read_text().startswith(SETTINGS))
        self.assertIn("\nCiphers -", ours.read_text())
        self.assertEqual("enable sshd.service\n" * 2, self.text("asked"))

    def test_where_something_is_said_before_it(self) -> None:
        text = f"PasswordAuthentication yes\n{INCLUDE}\n"
        config = self.file("etc/ssh/sshd_config", text)
        config.chmod(0o600)
        self.unit("ssh")
        self.done(self.hook)
        self.assertEqual(f"{INCLUDE}\n{text}", config.read_text())
        self.assertEqual(0o600, config.stat().st_mode & 0o777)
        self.assertEqual("enable ssh.service\n", self.text("asked"))

    def test_where_it_lies_below_usr(self) -> None:
        # openSUSE.
        shipped = self.file("usr/etc/ssh/sshd_config", f"{INCLUDE}\nUsePAM no")
        own = self.root / "etc/ssh/sshd_config"
        self.done(self.hook)
        self.assertFalse(own.exists())
        self.assertIn(SETTINGS, self.text("etc/ssh/sshd_config.d/00-dib.conf"))
        shipped.write_text("UsePAM yes\n")
        self.done(self.hook)
        self.assertEqual(f"{INCLUDE}\nUsePAM yes\n", own.read_text())
        self.assertEqual("UsePAM yes\n", shipped.read_text())

    def test_where_the_server_has_one_file(self) -> None:
        # Before OpenSSH 8.2, as in RHEL 8.
        self.program(
            "sshd",
            "echo '/tmp/x: line 1: Bad configuration option: Include' >&2\n"
            "exit 255",
        )
        self.file("etc/ssh/sshd_config", "PasswordAuthentication yes\n")
        self.done(self.hook)
        text = self.text("etc/ssh/sshd_config")
        self.assertTrue(text.startswith(SETTINGS), text)
        self.assertTrue(text.endswith("\nPasswordAuthentication yes\n"), text)
        self.assertFalse((self.root / "etc/ssh/sshd_config.d").exists())

    def test_a_crypto_policy_counts(self) -> None:
        self.file("etc/ssh/sshd_config", f"{INCLUDE}\n")
        self.file("etc/crypto-policies/back-ends/opensshserver.config", "")
        self.done(self.hook)
        ours = self.text("etc/ssh/sshd_config.d/00-dib.conf")
        self.assertEqual(SETTINGS, ours)

    def test_host_keys_are_registered_as_state(self) -> None:
        self.file("etc/ssh/sshd_config", f"{INCLUDE}\n")
        self.done(self.hook)
        lines = self.text("usr/lib/persistent-state.d/openssh-server.conf")
        self.assertIn("\n/etc/ssh/ssh_host_*_key*\n", lines)

    def test_without_a_server_there_is_no_image(self) -> None:
        self.refused("neither /etc/ssh", self.hook)
        (self.root / "usr/bin/sshd").unlink()
        self.refused("no sshd", self.hook)


class TestHostKeys(InsideCase):
    """systemd says whether the unit would run, ssh-keygen what it makes."""

    unit_file = (
        ELEMENTS
        / "runtime-ssh-host-keys/init-scripts/systemd"
        / "runtime-ssh-host-keys.service"
    )
    names = tuple(f"ssh_host_{kind}_key" for kind in TYPES)

    def would_run(self) -> bool:
        conditions = [
            line.replace("/etc/ssh", f"{self.root}/etc/ssh")
            for line in self.unit_file.read_text().splitlines()
            if line.startswith("Condition")
        ]
        self.assertEqual(3, len(conditions))
        words = ["systemd-analyze", "condition", *conditions]
        return not subprocess.run(words, capture_output=True).returncode

    def test_what_is_missing_or_empty_is_made(self) -> None:
        for name in self.names:
            self.file(f"etc/ssh/{name}", "a key")
        self.assertFalse(self.would_run())
        for name in self.names:
            path = self.root / "etc/ssh" / name
            for empty in (False, True):
                with self.subTest(name, empty=empty):
                    path.unlink()
                    if empty:
                        path.touch()
                    self.assertTrue(self.would_run())
                    subprocess.run(
                        ["ssh-keygen", "-A", "-f", self.root],
                        check=True,
                        capture_output=True,
                    )
                    self.assertIn("PRIVATE KEY", path.read_text())
                    self.assertFalse(self.would_run())


class TestJudge(InsideCase):
    hook = "openssh-server/finalise.d/80-openssh-server"

    def answer(self, root: str, others: str = SAFE) -> None:
        """What sshd would do for root, and for others."""
        self.program("ssh-keygen", "")
        self.program(
            "sshd",
            f'case "$*" in\n*user=root,*) echo "{root}" ;;\n'
            f'*) echo "{others}" ;;\nesac',
        )

    def test_keys_only(self) -> None:
        self.answer(SAFE)
        (self.root / "run").mkdir()
        self.done(self.hook)
        self.assertEqual([], list((self.root / "run").iterdir()))
        self.assertEqual([], list((self.root / "tmp").iterdir()))

    def test_a_password_is_found_whoever_it_is_for(self) -> None:
        for name in (
            "passwordauthentication",
            "kbdinteractiveauthentication",
            "challengeresponseauthentication",
        ):
            takes = f"{SAFE}{name} yes\n"
            for given in ((takes, SAFE), (SAFE, takes)):
                with self.subTest(name, root=given[0] is takes):
                    self.answer(*given)
                    self.refused(f"{name} yes", self.hook)

    def test_for_others_it_may_be_asked_for(self) -> None:
        self.answer(SAFE, f"{SAFE}passwordauthentication yes\n")
        self.done(self.hook, DIB_OPENSSH_SERVER_PASSWORDS="1")
        for line in ("permitrootlogin yes", "permitemptypasswords yes"):
            self.answer(f"{SAFE}{line}\n")
            self.refused(line, self.hook, DIB_OPENSSH_SERVER_PASSWORDS="1")

    def test_a_password_is_found_that_some_may_use(self) -> None:
        self.answer(SAFE)
        block = "Match User backup\n    X11Forwarding no\n"
        for name in (
            "etc/ssh/sshd_config",
            "usr/etc/ssh/sshd_config.d/9.conf",
        ):
            for line in (
                "PasswordAuthentication yes",
                "\tkbdinteractiveauthentication=yes # tokens",
                'PermitRootLogin  "yes"',
            ):
                with self.subTest(name, line=line):
                    file = self.file(name, f"{block}{line}\n")
                    self.refused(line.strip(), self.hook)
                    file.unlink()
        # Outside of a block sshd itself says what counts.
        self.file(name, f"PasswordAuthentication yes\n{block}")
        self.done(self.hook)
        self.file(name, f"{block}#PasswordAuthentication yes\n")
        self.done(self.hook)
        self.file(name, f"{block}PasswordAuthentication yes\n")
        self.done(self.hook, DIB_OPENSSH_SERVER_PASSWORDS="1")

    def test_a_server_that_says_nothing_has_refused_nothing(self) -> None:
        self.answer(SAFE)
        self.program("sshd", "echo 'line 3: Bad option' >&2; exit 255")
        self.refused("Bad option", self.hook)


class TestTime(InsideCase):
    hook = "time-sync/post-install.d/50-time-sync"
    servers = "192.0.2.7,ntp.example.org"

    def test_chrony_wherever_it_is(self) -> None:
        for config, beside, unit in (
            ("etc/chrony/chrony.conf", "etc/chrony/sources.d/x.sources", ""),
            ("etc/chrony.conf", "etc/chrony.d/pool.conf", "d"),
        ):
            with self.subTest(config):
                self.file(config, "pool 2.pool.example.org iburst\nrtcsync\n")
                self.file(beside, "server 192.0.2.1\n")
                self.unit(f"chrony{unit}")
                self.done(
                    self.hook,
                    DIB_TIME_SYNC="chrony",
                    DIB_NTP_SERVERS=self.servers,
                )
                self.assertEqual(
                    "#pool 2.pool.example.org iburst\nrtcsync\n"
                    "server 192.0.2.7 iburst\nserver ntp.example.org iburst\n",
                    self.text(config),
                )
                self.assertEqual("#server 192.0.2.1\n", self.text(beside))
                self.assertEqual(
                    f"enable chrony{unit}.service\n", self.text("asked")
                )
            for path in (config, "asked", "usr/lib/systemd/system"):
                whole = self.root / path
                shutil.rmtree(whole) if whole.is_dir() else whole.unlink()

    def test_timesyncd(self) -> None:
        self.unit("systemd-timesyncd")
        drop_in = self.root / "etc/systemd/timesyncd.conf.d/10-dib.conf"
        asked = {"DIB_TIME_SYNC": "timesyncd"}
        self.done(self.hook, **asked, DIB_NTP_SERVERS="")
        self.assertFalse(drop_in.exists())
        self.done(self.hook, **asked, DIB_NTP_SERVERS=self.servers)
        self.assertEqual(
            "[Time]\nNTP=192.0.2.7 ntp.example.org\nFallbackNTP=\n",
            drop_in.read_text(),
        )

    def test_what_another_element_has_installed_stays(self) -> None:
        """The packages of such programs exclude each other."""
        self.program("install-packages", 'echo "$*" >>/asked')
        given = {"DIB_TIME_SYNC": "", "DIB_NTP_SERVERS": ""}
        self.unit("chrony")
        self.file("etc/chrony/chrony.conf", "pool pool.example.org iburst\n")
        self.done(self.hook, **given, DISTRO_NAME="debian")
        self.assertEqual("enable chrony.service\n", self.text("asked"))
        (self.root / "usr/lib/systemd/system/chrony.service").unlink()
        (self.root / "asked").unlink()
        self.unit("ntpsec")
        self.done(self.hook, **given, DISTRO_NAME="debian")
        self.gone("asked")
        self.refused(
            "kept by another program",
            self.hook,
            DIB_TIME_SYNC="",
            DIB_NTP_SERVERS=self.servers,
            DISTRO_NAME="debian",
        )

    def test_where_there_is_none_the_distributions_is_installed(self) -> None:
        for distribution, package, unit in (
            ("debian", "systemd-timesyncd", "systemd-timesyncd"),
            ("ubuntu", "systemd-timesyncd", "systemd-timesyncd"),
            ("fedora", "chrony", "chronyd"),
        ):
            with self.subTest(distribution):
                path = f"usr/lib/systemd/system/{unit}.service"
                self.program(
                    "install-packages",
                    f'echo "install $*" >>/asked; : >"/{path}"',
                )
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                self.done(
                    self.hook,
                    DIB_TIME_SYNC="",
                    DIB_NTP_SERVERS="",
                    DISTRO_NAME=distribution,
                )
                self.assertEqual(
                    f"install {package}\nenable {unit}.service\n",
                    self.text("asked"),
                )
                (self.root / path).unlink()
                (self.root / "asked").unlink()

    def test_the_time_is_utc(self) -> None:
        self.file("usr/share/zoneinfo/UTC", "")
        self.file("etc/timezone", "Europe/Berlin\n")
        self.file("etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n")
        self.done(self.hook, DIB_TIME_SYNC="none", DIB_NTP_SERVERS="")
        self.assertEqual(
            "/usr/share/zoneinfo/UTC",
            str((self.root / "etc/localtime").readlink()),
        )
        self.assertEqual("Etc/UTC\n", self.text("etc/timezone"))
        self.gone("etc/adjtime", "asked")

    def test_what_is_not_there_or_not_known(self) -> None:
        for program, word in (
            ("chrony", "no chrony"),
            ("timesyncd", "no timesyncd"),
            ("ntpd", "DIB_TIME_SYNC is 'ntpd'"),
        ):
            self.refused(
                word, self.hook, DIB_TIME_SYNC=program, DIB_NTP_SERVERS=""
            )

    def test_a_server_is_a_name_and_no_directive(self) -> None:
        self.unit("chrony")
        self.file("etc/chrony.conf", "")
        for server in ("x y;z", "a;b", "-x", "$(id)", "bind*", "x\n-y"):
            self.refused(
                "DIB_NTP_SERVERS",
                self.hook,
                DIB_TIME_SYNC="chrony",
                DIB_NTP_SERVERS=server,
            )


class TestRoot(InsideCase):
    hook = "global-content/finalise.d/90-lock-root"

    def test_a_password_is_taken_away(self) -> None:
        given = "root:$6$salt$hash:19000:0:99999:7:::\n"
        shadow = self.file("etc/shadow", given)
        self.done(self.hook, DIB_LOCK_ROOT="0")
        self.assertEqual(given, shadow.read_text())
        self.done(self.hook)
        self.assertEqual("!*", shadow.read_text().split(":")[1])
