"""What devstack asks of Keystone, by ``openstack``, in one process.

Each request is a line: a verb and its words with tabs between them. The
answer is "ok ID", or what went wrong.
"""

from collections.abc import Callable
import contextlib
import socketserver
import threading

import openstack.connection
from openstack.identity.v3 import _proxy as identity_v3

Verb = Callable[..., str]


class Identity(contextlib.AbstractContextManager["Identity"]):
    """A server on 127.0.0.1 that acts as the admin of a cloud."""

    def __init__(self, cloud: openstack.connection.Connection) -> None:
        # The SDK's type allows for a Keystone without the v3 API.
        assert isinstance(cloud.identity, identity_v3.Proxy)
        self._keystone = cloud.identity
        self._verbs: dict[str, Verb] = {
            "project": self._project,
            "user": self._user,
            "role": self._role,
            "service": self._service,
            "endpoint": self._endpoint,
        }
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line = self.rfile.readline().decode().rstrip("\n")
                self.wfile.write(server.answer(line).encode())

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Identity":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, line: str) -> str:
        """What to say to one request."""
        verb, *words = line.split("\t")
        try:
            return f"ok {self._verbs[verb](*words)}"
        except Exception as exc:
            return f"{line!r}: {exc!r}"

    def _project(self, name: str, domain: str) -> str:
        domain_id = self._domain(domain)
        project = self._keystone.find_project(
            name, domain_id=domain_id
        ) or self._keystone.create_project(name=name, domain_id=domain_id)
        return str(project.id)

    def _user(
        self, name: str, password: str, domain: str, email: str = ""
    ) -> str:
        domain_id = self._domain(domain)
        user = self._keystone.find_user(
            name, domain_id=domain_id
        ) or self._keystone.create_user(
            name=name, domain_id=domain_id, password=password, email=email
        )
        return str(user.id)

    def _role(
        self,
        name: str,
        user_name: str,
        project_name: str,
        user_domain: str = "Default",
        project_domain: str = "Default",
    ) -> str:
        role = self._keystone.find_role(name, ignore_missing=False)
        user = self._keystone.find_user(
            user_name,
            domain_id=self._domain(user_domain),
            ignore_missing=False,
        )
        project = self._keystone.find_project(
            project_name,
            domain_id=self._domain(project_domain),
            ignore_missing=False,
        )
        self._keystone.assign_project_role_to_user(project, user, role)
        return str(role.id)

    def _service(self, name: str, kind: str, description: str) -> str:
        service = next(
            self._keystone.services(type=kind), None
        ) or self._keystone.create_service(
            name=name, type=kind, description=description
        )
        return str(service.id)

    def _endpoint(
        self,
        kind: str,
        region: str,
        public: str,
        admin: str = "",
        internal: str = "",
    ) -> str:
        (service,) = self._keystone.services(type=kind)
        ids = [
            self._interface(service.id, region, interface, url)
            for interface, url in (
                ("public", public),
                ("admin", admin),
                ("internal", internal),
            )
            if url
        ]
        return ids[0]

    def _interface(
        self, service_id: str, region: str, interface: str, url: str
    ) -> str:
        known = next(
            self._keystone.endpoints(
                service_id=service_id, interface=interface, region_id=region
            ),
            None,
        )
        endpoint = known or self._keystone.create_endpoint(
            service_id=service_id,
            interface=interface,
            region_id=region,
            url=url,
        )
        return str(endpoint.id)

    def _domain(self, name: str) -> str:
        domain = self._keystone.find_domain(name, ignore_missing=False)
        return str(domain.id)
