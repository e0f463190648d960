"""What devuser writes for the user whom it makes."""

from tests.integration import test_global_content


class DevuserTest(test_global_content.InsideCase):
    programs = "bash dirname install mktemp rm"

    def test_sudo_reads_the_rule_whatever_the_name(self) -> None:
        for program in ("useradd", "visudo"):
            self.program(program, "")
        for name in ("jane", "jane.doe"):
            self.done(
                "devuser/install.d/50-devuser",
                DIB_DEV_USER_USERNAME=name,
                DIB_DEV_USER_GROUPS="",
                DIB_DEV_USER_SHELL="",
                DIB_DEV_USER_PWDLESS_SUDO="yes",
                DIB_DEV_USER_PASSWORD="",
            )
        # One with a dot in its name is none of sudo's.
        self.assertEqual(
            {
                "jane": "jane ALL=(ALL) NOPASSWD:ALL\n",
                "jane_doe": "jane.doe ALL=(ALL) NOPASSWD:ALL\n",
            },
            {
                path.name: path.read_text()
                for path in (self.root / "etc/sudoers.d").iterdir()
            },
        )
