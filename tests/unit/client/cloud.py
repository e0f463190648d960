"""Glance, Ironic, Nova and Keystone in memory, as far as commands ask."""

import json
import re
import types
from typing import Any
import warnings

from keystoneauth1 import fixture
from openstack import config, connection
import requests_mock

from dib_service.client import plugin
from tests.unit.client import fake

KEYSTONE = "http://keystone.test/v3"
GLANCE = "http://glance.test"
IRONIC = "http://ironic.test"
NOVA = "http://nova.test/v2.1"

ENDPOINTS = {
    "identity": KEYSTONE,
    "image": GLANCE,
    "baremetal": IRONIC,
    "compute": NOVA,
    "image-build": fake.URL,
}


class Cloud:
    """What it has; ``patched`` are the changes that nodes were told."""

    def __init__(self, mocker: requests_mock.Mocker) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.members: dict[str, dict[str, str]] = {}
        self.nodes: list[dict[str, Any]] = []
        self.flavors: list[dict[str, Any]] = []
        self.projects: list[dict[str, Any]] | None = []
        self.patched: list[tuple[str, Any]] = []
        # Nodes that Ironic refuses to change, with what it says.
        self.refuses: dict[str, str] = {}
        self.mocker = mocker
        for method, pattern, answer in (
            ("GET", rf"{GLANCE}/?$", self._glance),
            ("GET", rf"{GLANCE}/v2/images/([^/?]+)/members$", self._members),
            ("GET", rf"{GLANCE}/v2/images/([^/?]+)$", self._image),
            ("GET", rf"{GLANCE}/v2/images(\?.*)?$", self._images),
            ("GET", rf"{IRONIC}(/v1)?/?$", self._ironic),
            ("GET", rf"{IRONIC}/v1/nodes/([^/?]+)$", self._node),
            ("PATCH", rf"{IRONIC}/v1/nodes/([^/?]+)$", self._patch),
            ("GET", rf"{IRONIC}/v1/nodes(/detail)?(\?.*)?$", self._nodes),
            ("GET", rf"{NOVA}/?$", self._nova),
            ("GET", rf"{NOVA}/flavors/([^/?]+)$", self._flavor),
            ("GET", rf"{NOVA}/flavors/([^/?]+)/os-extra_specs", self._specs),
            ("GET", rf"{NOVA}/flavors(/detail)?(\?.*)?$", self._flavors),
            ("GET", rf"{KEYSTONE}/projects/([^/?]+)", self._project),
            ("GET", rf"{KEYSTONE}/projects(\?.*)?$", self._projects),
        ):
            mocker.register_uri(method, re.compile(pattern), json=answer)

    def _last(self, request: Any) -> str:
        return str(request.path.rstrip("/").rsplit("/", 1)[1])

    def _missing(self, context: Any) -> Any:
        context.status_code = 404
        return {"error": "not found"}

    def _glance(self, request: Any, context: Any) -> Any:
        link = {"rel": "self", "href": f"{GLANCE}/v2/"}
        version = {"id": "v2.9", "status": "CURRENT", "links": [link]}
        return {"versions": [version]}

    def _images(self, request: Any, context: Any) -> Any:
        name = request.qs.get("name", [None])[0]
        return {
            "images": [
                image
                for image in self.images.values()
                if name in (None, image.get("name"))
            ]
        }

    def _image(self, request: Any, context: Any) -> Any:
        found = self.images.get(self._last(request))
        return found or self._missing(context)

    def _members(self, request: Any, context: Any) -> Any:
        members = self.members.get(request.path.split("/")[-2])
        if members is None:
            return self._missing(context)
        return {
            "members": [
                {"member_id": member, "status": status}
                for member, status in members.items()
            ]
        }

    def _ironic(self, request: Any, context: Any) -> Any:
        version = {
            "id": "v1",
            "status": "CURRENT",
            "min_version": "1.1",
            "version": "1.99",
            "links": [{"rel": "self", "href": f"{IRONIC}/v1/"}],
        }
        return {
            "id": "v1",
            "version": version,
            "default_version": version,
            "versions": [version],
            "links": version["links"],
        }

    def _found_node(self, request: Any) -> dict[str, Any] | None:
        name = self._last(request)
        for node in self.nodes:
            if name in (node.get("uuid"), str(node.get("name")).lower()):
                return node
        return None

    def _node(self, request: Any, context: Any) -> Any:
        return self._found_node(request) or self._missing(context)

    def _nodes(self, request: Any, context: Any) -> Any:
        return {"nodes": self.nodes}

    def _patch(self, request: Any, context: Any) -> Any:
        node = self._found_node(request)
        if node is None:
            return self._missing(context)
        refusal = self.refuses.get(node["uuid"])
        if refusal:
            context.status_code = 403
            return {"error_message": json.dumps({"faultstring": refusal})}
        self.patched.append((node["uuid"], request.json()))
        for change in request.json():
            _, field, key = change["path"].split("/")
            node[field][key] = change["value"]
        return node

    def _nova(self, request: Any, context: Any) -> Any:
        return {
            "version": {
                "id": "v2.1",
                "status": "CURRENT",
                "version": "2.100",
                "min_version": "2.1",
                "links": [{"rel": "self", "href": f"{NOVA}/"}],
            }
        }

    def _flavor(self, request: Any, context: Any) -> Any:
        for flavor in self.flavors:
            if flavor["id"] == self._last(request):
                return {"flavor": flavor}
        return self._missing(context)

    def _flavors(self, request: Any, context: Any) -> Any:
        return {"flavors": self.flavors}

    def _specs(self, request: Any, context: Any) -> Any:
        flavor = request.path.split("/")[-2]
        for each in self.flavors:
            if each["id"] == flavor:
                return {"extra_specs": each.get("extra_specs", {})}
        return self._missing(context)

    def _project(self, request: Any, context: Any) -> Any:
        if self.projects is None:
            context.status_code = 403
            return {"error": {"message": "no"}}
        for project in self.projects:
            if project["id"] == self._last(request):
                return {"project": project}
        return self._missing(context)

    def _projects(self, request: Any, context: Any) -> Any:
        if self.projects is None:
            context.status_code = 403
            return {"error": {"message": "no"}}
        name = request.qs.get("name", [None])[0]
        return {
            "projects": [
                project
                for project in self.projects
                if name in (None, project["name"])
            ]
        }


class CloudTestCase(fake.TerminalTestCase):
    """Commands with a whole cloud, as somebody with these roles."""

    roles: tuple[str, ...] = ("member",)

    def setUp(self) -> None:
        super().setUp()
        quiet = warnings.catch_warnings()
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)
        warnings.filterwarnings("ignore", module="openstack")
        mocker = requests_mock.Mocker()
        mocker.start()
        self.addCleanup(mocker.stop)
        self.api = fake.Api(mocker)
        self.cloud = Cloud(mocker)
        mocker.get(KEYSTONE, json=fixture.DiscoveryList(KEYSTONE))
        self.leave_out()

    def leave_out(self, *kinds: str) -> None:
        """Let the catalog be without services of these types."""
        self.cloud.mocker.post(
            f"{KEYSTONE}/auth/tokens",
            json=self._token(kinds),
            headers={"X-Subject-Token": fake.TOKEN},
        )

    def _token(self, left_out: tuple[str, ...]) -> fixture.V3Token:
        token = fixture.V3Token(project_id="mine")
        token.set_project_scope(id="mine")
        for role in self.roles:
            token.add_role(name=role)
        for kind, url in ENDPOINTS.items():
            if kind in left_out:
                continue
            service = token.add_service(kind)
            service.add_standard_endpoints(public=url, region="RegionOne")
        return token

    def connect(self) -> connection.Connection:
        region = config.get_cloud_region(
            load_yaml_config=False,
            load_envvars=False,
            region_name="RegionOne",
            auth_type="v3password",
            auth={
                "auth_url": KEYSTONE,
                "username": "demo",
                "password": "a-secret-password",
                "project_id": "mine",
                "user_domain_id": "default",
            },
        )
        return connection.Connection(config=region)

    def run_command(self, command: type[Any], *words: str) -> int:
        """The exit status; argparse's own is 2."""
        cloud = self.connect()
        self.addCleanup(cloud.close)
        manager = types.SimpleNamespace(
            sdk_connection=cloud, _api_version={"image_build": "1"}
        )
        manager.image_build = plugin.make_client(manager)
        return self.run_for(manager, command, *words)
