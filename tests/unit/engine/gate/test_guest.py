"""What a machine is asked, and what is made of its answers."""

from pathlib import Path
import subprocess
import tempfile
import unittest

from dib_service.engine import errors
from dib_service.engine.gate import console, guest
from dib_service.engine.gate.faults import Found


class Answers(unittest.TestCase):
    def heard(self, *lines):
        said = guest.Said()
        for line in lines:
            said.hear(line)
        return said

    def test_words_by_what_was_asked(self):
        said = self.heard(
            "Last login: today",
            "dib:state running",
            "dib:root /dev/vda3 2000 10 10 1% /",
            "dib:least 500123",
            'dib:cloud-init-result {"v1": {"errors": []}}',
            "dib:log a.service: \x1b[31mred",
        )
        self.assertEqual("running", said.text("state"))
        self.assertEqual(2000 * 1024, said.root_bytes)
        self.assertEqual(500123, said.number("least"))
        self.assertEqual(
            {"v1": {"errors": []}}, said.json("cloud-init-result")
        )
        self.assertEqual(["a.service: red"], said.log)
        self.assertEqual("", said.text("failed"))

    def test_what_is_not_understood_was_not_said(self):
        for line in (
            "dib:least -1",
            "dib:least " + "9" * 400,
            "dib:least 1e9",
            "dib:least ²",
        ):
            self.assertEqual(0, self.heard(line).number("least"), line)
        for line in ("dib:x [1]", "dib:x {", "dib:x " + "[" * 100000):
            self.assertEqual({}, self.heard(line).json("x"))
        for root in ("a", "a b", "a 99999999999999999999", ""):
            self.assertEqual(0, self.heard(f"dib:root {root}").root_bytes)

    def test_nobody_keeps_all_of_a_long_answer(self):
        said = self.heard(
            "dib:state " + "x" * (1 << 20),
            *(f"dib:log line {number}" for number in range(1000)),
        )
        self.assertLessEqual(len(said.words["state"]), guest.LONGEST_VALUE)
        self.assertEqual(errors.LAST_LINES, len(said.log))
        self.assertEqual("line 999", said.log[-1])

    def test_the_questions_are_answered_by_any_shell(self):
        # No systemd, no cloud-init and no sudo: still the end is reached.
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for name in ("cat", "cut", "df", "od", "sed", "tail", "tr"):
                found = subprocess.check_output(
                    ["/bin/sh", "-c", f"command -v {name}"], text=True
                )
                (place / name).symlink_to(found.strip())
            (place / "hostname").write_text("#!/bin/sh\necho here\n")
            (place / "hostname").chmod(0o755)
            for kind in ("ssh-rsa", "ssh-ed25519"):
                (place / f"ssh_host_{kind}_key.pub").write_text(
                    f"{kind} AAAA{kind} root@machine\n"
                )
            script = guest.QUESTIONS
            for ours, other in (
                ("/run/systemd/system", f"{folder}/none"),
                (":/usr/local/sbin:/usr/sbin:/sbin", ""),
                ("/etc/ssh", folder),
            ):
                self.assertIn(ours, script)
                script = script.replace(ours, other)
            done = subprocess.run(
                ["/bin/sh", "-c", script],
                env={"PATH": folder},
                capture_output=True,
                text=True,
                check=True,
            )
        said = self.heard(*done.stdout.splitlines())
        self.assertEqual("yes", said.text("done"))
        self.assertEqual("none", said.text("state"))
        self.assertEqual("here", said.text("host-name"))
        self.assertGreater(said.root_bytes, 0)
        self.assertGreater(said.number("least"), 0)
        self.assertNotIn("cloud-init", said.words)
        self.assertEqual(
            {"ssh-rsa": "AAAAssh-rsa", "ssh-ed25519": "AAAAssh-ed25519"},
            said.host_keys,
        )


class Hardware:
    accelerator = "kvm"
    port = 2200


class Machine:
    """What a guest needs to know of its machine."""

    age = 80.0
    left = 5.0

    def __init__(self, text=""):
        self.hardware = Hardware()
        self.console = console.Console(lambda line: None)
        self.console.feed(text.encode())

    def found(self, code, problem):
        return Found(code, problem, self.console.tail(20))


class Refused(unittest.TestCase):
    """Why a machine that is up does not let its key in."""

    def code(self, text, refused):
        reached = guest.Guest(Machine(text), key=Path("key"), user="debian")
        try:
            reached._check_patience(refused)
        except Found as exc:
            return exc.code
        return None

    def test_who_gets_the_key_late_is_waited_for(self):
        now = guest.time.monotonic()
        self.assertIsNone(self.code("", now))
        self.assertEqual(
            "boot-no-login", self.code("", now - guest.PATIENCE_SECONDS - 1)
        )

    def test_cloud_init_is_to_blame(self):
        now = guest.time.monotonic()
        for text in (
            "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start cloud-init.service"
            " - Initial cloud-init job\n",
            "[   30.1] cloud-init[500]: Cloud-init v. 22.4.2 finished at X. "
            "Datasource DataSourceNone.  Up 30 seconds\n",
        ):
            self.assertEqual("boot-cloud-init", self.code(text, now), text)

    def test_metadata_init_is_to_blame(self):
        text = "[FAILED] Failed to start metadata-init-local.service - x\n"
        self.assertEqual(
            "boot-metadata-init", self.code(text, guest.time.monotonic())
        )


class Hanging(unittest.TestCase):
    def test_what_it_waits_for_is_named(self):
        reached = guest.Guest(Machine(), key=Path("key"), user="debian")
        for words, code in (
            ({"jobs": "slow.service "}, "boot-unit-hangs"),
            ({"jobs": "", "state": "running"}, "boot-cloud-init"),
            ({}, "boot-timeout"),
        ):
            found = reached._hanging(guest.Said(dict(words)))
            self.assertEqual(code, found.code)
        found = reached._hanging(guest.Said({"jobs": "slow.service "}))
        self.assertIn("slow.service", found.problem)
        self.assertIn("80 s", found.problem)
