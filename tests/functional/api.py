"""The API for tests: its whole stack over a database with some builds."""

from collections.abc import Callable, Iterable, Mapping
import functools
import os
from typing import Any

import fixtures
from gabbi import fixture
from keystoneauth1 import fixture as keystoneauth_fixture
from keystonemiddleware import auth_token
from keystonemiddleware import fixture as auth_token_fixture
from oslo_config import fixture as config_fixture
import sqlalchemy as sa

from dib_service import conf, context, policies
from dib_service.api import app
from dib_service.conductor import rpcapi
from dib_service.db import api as db
from dib_service.db import models
from dib_service.engine import catalogue
from dib_service.objects import element, log
from dib_service.objects.build import Build, Wanted
from dib_service.objects.builder import Builder
from tests import database

ELEMENTS = (
    catalogue.Element(
        name="base",
        digest="0" * 64,
        summary="What every image has",
        hooks={"install.d": ("00-base",)},
    ),
    catalogue.Element(
        name="debian",
        digest="1" * 64,
        provides=("operating-system",),
        summary="Debian",
        hooks={"root.d": ("10-debian",), "install.d": ("9-early",)},
    ),
    catalogue.Element(
        name="ubuntu", digest="2" * 64, provides=("operating-system",)
    ),
    catalogue.Element(
        name="tools", digest="3" * 64, dependencies=("bootloader",)
    ),
    catalogue.Element(name="bootloader", digest="4" * 64),
    catalogue.Element(name="local-config", digest="6" * 64),
    catalogue.Element(
        name="broken", digest="5" * 64, dependencies=("nowhere",)
    ),
)

LOG = b"0123456789" * 10


class Service(fixture.GabbiFixture):
    """A service whose builder is idle and has its elements registered."""

    def start_fixture(self) -> None:
        self.database = database.Database()
        self.database.setUp()
        self.config = self.database.useFixture(
            config_fixture.Config(conf.CONF)
        )
        self.database.useFixture(fixtures.FakeLogger())
        # No file of this machine's has a say.
        conf.CONF([], default_config_files=[], default_config_dirs=[])
        self.config.config(group="api", auth_strategy="noauth")
        self.config.config(
            group="publish",
            targets=["glance", "west"],
            bare_metal_project_id="1" * 32,
        )
        # Nobody is behind the door.
        self.database.useFixture(
            fixtures.MockPatchObject(rpcapi, "ring", autospec=True)
        )
        policies.reset()
        self.fill()

    def stop_fixture(self) -> None:
        policies.reset()
        self.database.cleanUp()

    def fill(self) -> None:
        """Put into the database what the tests find there."""
        new_builder("builder-1", ("x86_64",))


class Guarded(Service):
    """A service that asks Keystone; a token is named after its role."""

    IMPLIED = ("admin", "manager", "member", "reader")

    def start_fixture(self) -> None:
        super().start_fixture()
        self.config.config(group="api", auth_strategy="keystone")
        for group, options in auth_token.list_opts():
            self.config.register_opts(options, group=group)
        self.config.config(
            group="keystone_authtoken",
            www_authenticate_uri="http://keystone.test/v3",
        )
        keystone = self.database.useFixture(
            auth_token_fixture.AuthTokenFixture()
        )
        for role in (*self.IMPLIED, "service"):
            keystone.add_token_data(
                token_id=role,
                user_id=f"a-{role}",
                project_id="mine",
                role_list=self.implied(role),
            )
        system = keystoneauth_fixture.V3Token()
        system.set_system_scope()
        system.add_role(name="admin")
        keystone.add_token(system, token_id="system-admin")

    def implied(self, role: str) -> list[str]:
        """The roles that Keystone gives with this one."""
        if role not in self.IMPLIED:
            return [role]
        return list(self.IMPLIED[self.IMPLIED.index(role) :])


class Empty(Service):
    """A service with which no builder has ever spoken."""

    def fill(self) -> None:
        pass


class Builds(Service):
    """Builds in several states, in two projects; ids in the environment."""

    def fill(self) -> None:
        super().fill()
        for state in ("queued", "building", "complete", "failed"):
            remember(state, new_build("mine", state=state))
        change(os.environ["BUILDING"], epoch=1, lease_expires_at=2.0**33)
        add_events(os.environ["BUILDING"])
        add_history(os.environ["COMPLETE"])
        remember("other", new_build("theirs", state="complete"))
        remember("other_queued", new_build("theirs"))
        remember("decided", new_build("mine", state="publishing"))
        change(os.environ["DECIDED"], release_decided=True)


class Matrix(Guarded):
    """A build of one's own and one of others, complete and queued."""

    def fill(self) -> None:
        builder = new_builder("builder-1", ("x86_64",))
        os.environ["BUILDER"] = builder.id
        for whose, project in (("OWN", "mine"), ("OTHER", "theirs")):
            for state in ("complete", "queued"):
                remember(f"{whose}_{state}", new_build(project, state=state))


def application() -> Callable[..., Iterable[bytes]]:
    """The stack, for gabbi to call.

    gabbi asks before a fixture has configured anything, so the stack is made
    by the first request.
    """
    stack = functools.cache(lambda: app.application(conf.CONF))

    def call(environ: Any, start_response: Any) -> Iterable[bytes]:
        return stack()(environ, start_response)

    return call


def new_builder(name: str, architectures: tuple[str, ...]) -> Builder:
    """An enrolled builder that has registered all ELEMENTS."""
    builder, _ = Builder.enrol(name)
    builder.register(
        session="session",
        version="1",
        slots=1,
        architectures=architectures,
        elements={row.name: row.digest for row in ELEMENTS},
    )
    element.register(ELEMENTS)
    os.environ[name.upper().replace("-", "_")] = builder.id
    return builder


def new_build(project_id: str, *, state: str = "queued") -> Build:
    """A build in some state."""
    build = Build.create(
        context.RequestContext(user_id="somebody", project_id=project_id),
        Wanted.from_dict(
            {
                "elements": ["debian"],
                "formats": ["qcow2"],
                "architecture": "x86_64",
                "environment": {},
                "disk_size": None,
                "skip_base": False,
                "image_name": "debian",
                "visibility": "private",
                "properties": {},
            }
        ),
        {row.name: row.digest for row in ELEMENTS[:2]},
        name=f"{project_id}-{state}",
    )
    change(build.id, state=state)
    if state in ("complete", "failed", "cancelled"):
        change(build.id, ended_at=1.5, epoch=1)
    return build


def change(build_id: str, **values: Any) -> None:
    """Write into a build's row what a conductor would."""
    db.execute(
        sa.update(models.BUILDS)
        .where(models.BUILDS.c.uuid == build_id)
        .values(**values)
    )


def remember(name: str, build: Build) -> None:
    """Let the tests find the build as ``$ENVIRON['NAME']``."""
    os.environ[name.upper()] = build.id


def add_history(build_id: str) -> None:
    """An attempt, an artefact, a publication, three events and a log."""
    same: Mapping[str, Any] = {"build_uuid": build_id, "epoch": 1}
    builder_id = os.environ["BUILDER_1"]
    add(
        models.ATTEMPTS,
        **same,
        builder_uuid=builder_id,
        builder_name="builder-1",
        started_at=0.25,
        ended_at=1.5,
        outcome="complete",
    )
    add(
        models.ARTEFACTS,
        **same,
        format="qcow2",
        size=10,
        virtual_size=20,
        sha512="a" * 128,
    )
    add(
        models.PUBLICATIONS,
        **same,
        image_id="11111111-1111-4111-8111-111111111111",
        format="qcow2",
        target="glance",
        state="published",
        updated_at=1.5,
    )
    add_events(build_id)
    log.append(build_id, 1, 0, LOG)


def add_events(build_id: str) -> None:
    """Three events of the first attempt."""
    for sequence, facts in enumerate(
        (
            {"phase": "root.d", "state": "start"},
            {"phase": "root.d", "state": "end", "seconds": 1.0},
            {"phase": "install.d", "state": "start"},
        )
    ):
        add(
            models.EVENTS,
            build_uuid=build_id,
            epoch=1,
            sequence=sequence,
            kind="phase",
            facts=facts,
            time=float(sequence),
        )


def add(table: sa.Table, **values: Any) -> None:
    """One row."""
    db.execute(sa.insert(table).values(**values))
