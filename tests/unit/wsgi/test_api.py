"""What a WSGI server loads is configured by files alone."""

import os
import pathlib
import subprocess
import sys

import fixtures
import testtools

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]

# As a server does: import, perhaps fork, then call.
SERVER = """
import json, sys
from wsgiref import util
from dib_service.wsgi import api
environ = {"PATH_INFO": "/"}
util.setup_testing_defaults(environ)
body = b"".join(api.application(environ, lambda status, headers: None))
print(json.loads(body)["versions"][0]["links"][0]["href"])
"""


class ApplicationTest(testtools.TestCase):
    """A process of its own: the options are global."""

    def test_the_folder_and_not_the_servers_arguments_are_read(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / "dib-service.conf").write_text(
            "[api]\nauth_strategy = noauth\n"
            "public_endpoint = https://seen.example\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SERVER, "--bind", ":80"],
            env={
                **os.environ,
                "OS_DIB_SERVICE_CONFIG_DIR": str(folder),
                "PYTHONPATH": str(CHECKOUT),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(
            "https://seen.example/v1/", done.stdout.strip(), done.stderr
        )
