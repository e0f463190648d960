"""An image build API in memory, and the openstack command's side of it."""

from collections.abc import Callable
import io
import json
import re
import types
from typing import Any
import unittest
from unittest import mock
import urllib.parse
import uuid
import warnings

from openstack import config, connection
import requests
import requests_mock

from dib_service.client import plugin, sdk

URL = "http://image-build.test"
TOKEN = "gAAAA-a-secret-token"

Refusal = tuple[int, str]


class Api:
    """Answers as the service does; every request is kept in ``asked``."""

    def __init__(self, mocker: requests_mock.Mocker) -> None:
        self.builds: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.builders: list[dict[str, Any]] = []
        self.elements: list[dict[str, Any]] = []
        self.log = b""
        self.log_complete = True
        self.log_limit = 1 << 20
        self.page = 1000
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        # Each is taken by one request before it is answered; an exception
        # that comes after it is an answer that got lost.
        self.outages: list[Exception | Refusal | None] = []
        self.lose_answers: list[Exception] = []
        # Called with the name of each request that is answered, before that.
        self.meanwhile: Callable[[str], None] = lambda name: None
        mocker.register_uri(
            requests_mock.ANY, re.compile(re.escape(URL)), content=self.answer
        )

    def answer(self, request: Any, context: Any) -> bytes:
        parts = urllib.parse.urlsplit(request.url)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path.strip("/") in ("", "v1"):
            return self.discovery(context)
        name = f"{request.method} {parts.path}"
        self.asked.append(name + (f"?{parts.query}" if query else ""))
        self.headers.append(dict(request.headers))
        trouble = self.outages.pop(0) if self.outages else None
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return self.refuse(context, *trouble)
        self.meanwhile(name)
        path = parts.path.removeprefix("/v1/").split("/")
        method = getattr(self, f"{request.method.lower()}_{path[0]}")
        answer: bytes = method(request, context, path[1:], query)
        if self.lose_answers:
            raise self.lose_answers.pop(0)
        return answer

    def discovery(self, context: Any) -> bytes:
        version = {
            "id": "v1",
            "status": "CURRENT",
            "min_version": "1.0",
            "max_version": "1.0",
            "links": [{"rel": "self", "href": f"{URL}/v1/"}],
        }
        return self.json(context, {"versions": [version]})

    def json(self, context: Any, body: Any, status: int = 200) -> bytes:
        context.status_code = status
        context.headers["Content-Type"] = "application/json"
        return json.dumps(body).encode()

    def refuse(self, context: Any, status: int, message: str) -> bytes:
        fault = {
            "code": status,
            "title": "Refused",
            "message": message,
            "request_id": "req-1",
        }
        return self.json(context, {"error": fault}, status)

    def post_builds(
        self, request: Any, context: Any, path: list[str], query: Any
    ) -> bytes:
        if path[1:] == ["cancel"]:
            return self.cancel(context, path[0])
        wanted = request.json()["build"]
        self.bodies.append(wanted)
        if query.get("dry_run"):
            return self.json(context, {"plan": self.plan})
        build_id = wanted.get("id") or str(uuid.uuid4())
        if build_id in self.builds:
            return self.refuse(context, 409, f"build {build_id} exists")
        self.builds[build_id] = {
            "id": build_id,
            "name": "",
            "state": "queued",
            **wanted,
        }
        return self.json(context, {"build": self.builds[build_id]}, 202)

    plan: dict[str, Any] = {  # noqa: RUF012
        "elements": [
            {"name": "debian", "digest": "d" * 64, "summary": "Debian"}
        ],
        "phases": [
            {
                "phase": "install.d",
                "inside": True,
                "hooks": [{"element": "debian", "hook": "10-all"}],
            }
        ],
    }

    def cancel(self, context: Any, build_id: str) -> bytes:
        build = self.builds[build_id]
        if build["state"] in sdk.ENDED:
            return self.refuse(context, 409, f"build {build_id} has ended")
        build["state"] = "cancelled"
        return self.json(context, {"build": build}, 202)

    def get_builds(
        self, request: Any, context: Any, path: list[str], query: Any
    ) -> bytes:
        if not path:
            found = [
                build
                for build in self.builds.values()
                if query.get("name") in (None, build["name"])
                and query.get("state") in (None, build["state"])
            ]
            return self.listing(context, "builds", found, query)
        if path[0] not in self.builds:
            return self.refuse(context, 404, f"build {path[0]} not found")
        if path[1:] == ["log"]:
            return self.get_log(context, int(query.get("offset", 0)))
        if path[1:] == ["events"]:
            after = int(query.get("marker", 0))
            new = [event for event in self.events if event["id"] > after]
            return self.json(context, {"events": new[: self.page]})
        return self.json(context, {"build": self.builds[path[0]]})

    def listing(
        self, context: Any, noun: str, found: list[Any], query: Any
    ) -> bytes:
        ids = [each["id"] for each in found]
        start = ids.index(query["marker"]) + 1 if "marker" in query else 0
        size = min(self.page, int(query.get("limit", self.page)))
        page = found[start : start + size]
        body: dict[str, Any] = {noun: page}
        if start + size < len(found):
            more = urllib.parse.urlencode({**query, "marker": page[-1]["id"]})
            href = f"{URL}/v1/{noun}?{more}"
            body[f"{noun}_links"] = [{"rel": "next", "href": href}]
        return self.json(context, body)

    def get_log(self, context: Any, offset: int) -> bytes:
        data = self.log[offset : offset + self.log_limit]
        context.headers["Content-Type"] = "text/plain"
        context.headers["X-Log-Next-Offset"] = str(offset + len(data))
        context.headers["X-Log-Complete"] = str(self.log_complete).lower()
        return data

    def delete_builds(
        self, request: Any, context: Any, path: list[str], query: Any
    ) -> bytes:
        if self.builds[path[0]]["state"] not in sdk.ENDED:
            return self.refuse(context, 409, "it has not ended")
        del self.builds[path[0]]
        context.status_code = 204
        return b""

    def get_builders(
        self, request: Any, context: Any, path: list[str], query: Any
    ) -> bytes:
        return self.json(context, {"builders": self.builders})

    def get_elements(
        self, request: Any, context: Any, path: list[str], query: Any
    ) -> bytes:
        return self.json(context, {"elements": self.elements})

    def add_build(self, **facts: Any) -> str:
        build_id = str(uuid.uuid4())
        build = {"id": build_id, "name": "", "state": "queued", **facts}
        self.builds[build_id] = build
        return build_id

    def add_event(self, kind: str, **facts: Any) -> None:
        number = len(self.events) + 1
        event = {"id": number, "epoch": 1, "kind": kind, "time": 1.5 * number}
        self.events.append({**event, **facts})


class TestCase(unittest.TestCase):
    """A client on a fake API; time passes only where somebody sleeps."""

    def setUp(self) -> None:
        # The SDK warns of its own future, to its own developers.
        quiet = warnings.catch_warnings()
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)
        warnings.filterwarnings("ignore", module="openstack")
        mocker = requests_mock.Mocker()
        mocker.start()
        self.addCleanup(mocker.stop)
        self.api = Api(mocker)
        self.slept: list[float] = []
        clock = types.SimpleNamespace(
            sleep=self.slept.append, monotonic=lambda: sum(self.slept)
        )
        for room in ("patience", "progress"):
            patch = mock.patch(f"dib_service.client.{room}.time", clock)
            patch.start()
            self.addCleanup(patch.stop)
        region = config.get_cloud_region(
            load_yaml_config=False,
            load_envvars=False,
            auth_type="admin_token",
            auth={"endpoint": URL, "token": TOKEN},
            image_build_endpoint_override=URL,
        )
        self.connection = connection.Connection(config=region)
        self.client = plugin.make_client(
            types.SimpleNamespace(
                sdk_connection=self.connection,
                _api_version={"image_build": "1"},
            )
        )


class Stdout(io.TextIOWrapper):
    """A stdout in memory, with bytes below its text."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def bytes(self) -> bytes:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue()


class TerminalTestCase(unittest.TestCase):
    """Runs commands as the openstack program does, without starting it."""

    def setUp(self) -> None:
        super().setUp()
        self.stdout = Stdout()
        self.stderr = io.StringIO()

    def run_for(self, manager: Any, command: type[Any], *words: str) -> int:
        """The exit status; argparse's own is 2."""
        app = types.SimpleNamespace(
            client_manager=manager,
            command_manager=types.SimpleNamespace(namespace=None),
            stdout=self.stdout,
            stderr=self.stderr,
        )
        with (
            mock.patch("sys.stdout", self.stdout),
            mock.patch("sys.stderr", self.stderr),
        ):
            it = command(app, None, cmd_name="openstack image build")
            parser = it.get_parser("openstack image build")
            status: int = it.run(parser.parse_args(list(words)))
        return status

    def printed(self) -> str:
        return self.stdout.bytes().decode()

    def printed_json(self) -> Any:
        return json.loads(self.printed())


class CommandTestCase(TerminalTestCase, TestCase):
    """Commands that ask the image build API, and nobody else."""

    def run_command(self, command: type[Any], *words: str) -> int:
        """The exit status; argparse's own is 2."""
        manager = types.SimpleNamespace(image_build=self.client)
        return self.run_for(manager, command, *words)


CUT = requests.exceptions.ConnectionError("Connection reset by peer")
