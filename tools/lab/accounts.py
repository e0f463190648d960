"""Who there is in the cloud: services, their users, and two tenants."""

import dataclasses

import openstack.connection
from openstack.identity.v3 import _proxy as identity_v3

from tools.lab.state import State

REGION = "RegionOne"
SERVICE_TYPE = "image-build"

# A user, its project and the roles it has there.
User = tuple[str, str, tuple[str, ...]]

# The users of any cloud here.
#
# dib: PATCHes the owner of finished images, which takes an admin's role, and
# validates tokens, which takes the service role.
# dib-upload: member of the staging project and of nothing else.
USERS: tuple[User, ...] = (
    ("glance", "service", ("service",)),
    ("dib", "service", ("admin", "service")),
    ("dib-upload", "dib-staging", ("member",)),
    ("demo", "demo", ("member",)),
    ("other", "other", ("member",)),
)

# Those of a cloud that has bare metal, too.
#
# ironic: reads images of its project, or shared with it, which takes a member.
# nova: acts for its users in Neutron, Glance, Placement and Ironic, and gives
# Ironic nodes away, which takes an admin's role.
BARE_METAL_USERS: tuple[User, ...] = (
    ("placement", "service", ("service",)),
    ("ironic", "service", ("service", "member")),
    ("neutron", "service", ("admin", "service")),
    ("nova", "service", ("admin", "service")),
)


@dataclasses.dataclass(frozen=True)
class Account:
    """A user in a project of the domain ``default``.

    Without a project it is one of the whole system.
    """

    auth_url: str
    username: str
    password: str
    project_name: str | None

    def connect(self) -> openstack.connection.Connection:
        """A connection as this user."""
        return openstack.connection.Connection(
            auth=dict(self.auth()),
            region_name=REGION,
            identity_interface="public",
        )

    def auth(self) -> dict[str, str]:
        """Options of keystoneauth's password plugin."""
        return {
            "auth_url": self.auth_url,
            "username": self.username,
            "password": self.password,
            "user_domain_id": "default",
            **self._scope(),
        }

    def _scope(self) -> dict[str, str]:
        if self.project_name is None:
            return {"system_scope": "all"}
        return {
            "project_name": self.project_name,
            "project_domain_id": "default",
        }

    def environment(self) -> dict[str, str]:
        """What ``openstack`` reads from an openrc file."""
        return {
            "OS_AUTH_TYPE": "password",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": REGION,
            **{f"OS_{k.upper()}": v for k, v in self.auth().items()},
        }


def account(state: State, auth_url: str, name: str) -> Account:
    """The account of any user above, or of ``admin``."""
    projects = {user: project for user, project, _ in USERS + BARE_METAL_USERS}
    return Account(
        auth_url=auth_url,
        username=name,
        password=state.password(name),
        project_name=projects.get(name, "admin"),
    )


def make(
    state: State,
    auth_url: str,
    endpoints: dict[str, str],
    *,
    users: tuple[User, ...] = USERS,
    region: str = REGION,
) -> None:
    """Make what is missing: projects, users, roles, services, endpoints.

    ``endpoints`` has a URL for each service type, in that region.
    """
    with account(state, auth_url, "admin").connect() as cloud:
        identity = cloud.identity
        # The SDK's type allows for a Keystone without the v3 API.
        assert isinstance(identity, identity_v3.Proxy)
        if identity.find_region(region) is None:
            identity.create_region(id=region)
        for name, project, roles in users:
            _user(identity, state, name, project, roles)
        for service_type, url in endpoints.items():
            _endpoint(identity, service_type, url, region)


def _user(
    identity: identity_v3.Proxy,
    state: State,
    name: str,
    project_name: str,
    roles: tuple[str, ...],
) -> None:
    project = identity.find_project(
        project_name, domain_id="default"
    ) or identity.create_project(name=project_name, domain_id="default")
    user = identity.find_user(
        name, domain_id="default"
    ) or identity.create_user(
        name=name, domain_id="default", password=state.password(name)
    )
    for role_name in roles:
        role = identity.find_role(role_name, ignore_missing=False)
        identity.assign_project_role_to_user(project, user, role)


def _endpoint(
    identity: identity_v3.Proxy, service_type: str, url: str, region: str
) -> None:
    service = next(
        identity.services(type=service_type), None
    ) or identity.create_service(name=service_type, type=service_type)
    for interface in ("public", "internal"):
        known = next(
            identity.endpoints(
                service_id=service.id, interface=interface, region_id=region
            ),
            None,
        )
        if known is None:
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                region_id=region,
                url=url,
            )
        elif known.url != url:
            identity.update_endpoint(known, url=url)
