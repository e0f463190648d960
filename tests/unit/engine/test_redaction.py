"""Secrets: which variables have one, and that it is not said."""

import unittest

from dib_service.engine import redaction


class Names(unittest.TestCase):
    def test_what_a_name_says(self):
        for name in (
            "DIB_DEV_USER_PASSWORD",
            "REG_ACTIVATION_KEY",
            "DIB_SAT_KEY",
            "OS_TOKEN",
            "os_auth_token",
            "MY_SECRET_THING",
            "DIB_CREDENTIAL",
            "DIB_CREDENTIALS",
        ):
            self.assertTrue(redaction.is_secret(name), name)

    def test_what_is_a_place_or_a_choice(self):
        for name in (
            "DIB_DEV_USER_AUTHORIZED_KEYS",
            "DIB_APT_KEYRING",
            "DIB_ADD_APT_KEYS",
            "DIB_DEV_USER_PWDLESS_SUDO",
            "PWD",
            "MONKEY",
            "TOKENS",
        ):
            self.assertFalse(redaction.is_secret(name), name)


class Teller(unittest.TestCase):
    def setUp(self):
        self.said = []
        self.teller = redaction.Teller(
            lambda kind, **facts: self.said.append((kind, facts))
        )

    def line(self, text, **environment):
        self.teller.learn(environment)
        self.teller("line", text=text)
        return self.said[-1][1]["text"]

    def test_a_secret_is_not_said(self):
        self.assertEqual(
            "+ usermod -p '***' root",
            self.line("+ usermod -p 'open sesame' root", A_KEY="open sesame"),
        )

    def test_what_was_learned_before_is_remembered(self):
        self.line("", A_PASSWORD="first one")
        self.assertEqual(
            "*** and ***", self.line("first one and second", B_TOKEN="second")
        )

    def test_the_longest_goes_first(self):
        self.assertEqual(
            "***", self.line("abcdefgh", A_KEY="abcd", B_KEY="abcdefgh")
        )

    def test_each_line_of_a_secret(self):
        key = "-----BEGIN-----\nMIIBdata\n"
        self.assertEqual("is ***", self.line("is MIIBdata", A_KEY=key))

    def test_as_a_tracing_shell_quotes_it(self):
        self.assertEqual(
            "+ A='***'", self.line("+ A='it'\\''s mine'", A_KEY="it's mine")
        )

    def test_a_password_in_a_url(self):
        self.assertEqual(
            "proxy is http://me:***@proxy:3128/",
            self.line(
                "proxy is http://me:hidden@proxy:3128/",
                http_proxy="http://me:hidden@proxy:3128/",
            ),
        )

    def test_what_is_too_short_or_a_choice_hides_nothing(self):
        self.assertEqual(
            "root true", self.line("root true", A_KEY="oo", B_TOKEN="true")
        )

    def test_a_fault_says_none_either_and_keeps_its_names(self):
        self.teller.learn({"A_KEY": "install"})
        self.teller(
            "fault",
            phase="install.d",
            message="install: failed",
            last_lines=["a", "do install"],
            exit_code=3,
        )
        [(kind, facts)] = self.said
        self.assertEqual("fault", kind)
        self.assertEqual(
            {
                "phase": "install.d",
                "message": "***: failed",
                "last_lines": ["a", "do ***"],
                "exit_code": 3,
            },
            facts,
        )
