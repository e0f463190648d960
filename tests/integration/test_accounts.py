"""The account and the folders that systemd makes of our files in etc/."""

import pathlib
import subprocess
import tempfile
import unittest

from tests import lab

ETC = lab.CHECKOUT / "etc"


class AccountsTest(unittest.TestCase):
    """On a machine that has nothing yet."""

    def test_the_service_can_read_its_folder_and_not_write_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "etc").mkdir()
            for program, place in (
                (["systemd-sysusers"], "sysusers.d"),
                (["systemd-tmpfiles", "--create"], "tmpfiles.d"),
            ):
                subprocess.run(
                    [
                        *(*program, f"--root={root}"),
                        str(ETC / place / "dib-service.conf"),
                    ],
                    check=True,
                )
            passwd = (root / "etc/passwd").read_text()
            fields = next(
                line.split(":")
                for line in passwd.splitlines()
                if line.startswith("dib:")
            )
            made = (root / "etc/dib-service").stat()
            self.assertEqual(0o750, made.st_mode & 0o7777)
            self.assertEqual((0, int(fields[3])), (made.st_uid, made.st_gid))
            # Whoever owns it could put another builder's state in its place.
            self.assertEqual(0, (root / "var/lib/dib-service").stat().st_uid)
