"""A database of its own for each test."""

import atexit
import functools
import pathlib
import shutil
import tempfile
import uuid

import fixtures
from oslo_config import fixture as config_fixture
import sqlalchemy as sa

from dib_service import context
from dib_service.conf import CONF
from dib_service.db import api as db
from dib_service.db import migrations, models
from dib_service.engine import catalogue
from dib_service.objects import element, lease, queue
from dib_service.objects.build import Build, Wanted
from dib_service.objects.builder import Builder

# Where the tables are; None: in a new SQLite file.
URL: str | None = None


class Database(fixtures.Fixture):
    """Empty tables."""

    def _setUp(self) -> None:
        self.config = self.useFixture(config_fixture.Config(CONF))
        if URL is None:
            self.config.config(
                connection=f"sqlite:///{self._copy()}", group="database"
            )
            db.forget_engine()
        else:
            self.config.config(connection=URL, group="database")
            db.forget_engine()
            migrations.sync()
            self._empty()
        self.addCleanup(db.forget_engine)

    def _copy(self) -> pathlib.Path:
        folder = self.useFixture(fixtures.TempDir()).path
        copy = pathlib.Path(folder, "test.sqlite")
        shutil.copy(_migrated(), copy)
        return copy

    def _empty(self) -> None:
        with db.writer() as connection:
            for table in reversed(models.METADATA.sorted_tables):
                connection.execute(sa.delete(table))


@functools.cache
def _migrated() -> pathlib.Path:
    # Migrating takes longer than most tests.
    folder = tempfile.mkdtemp(prefix="dib-test-")
    atexit.register(shutil.rmtree, folder)
    template = pathlib.Path(folder, "template.sqlite")
    CONF.set_override("connection", f"sqlite:///{template}", group="database")
    db.forget_engine()
    migrations.sync()
    # The last connection to close takes the write-ahead log with it.
    db.forget_engine()
    CONF.clear_override("connection", group="database")
    return template


ELEMENTS = {"base": "d-base", "debian": "d-debian"}


def asker(project: str = "project-1") -> context.RequestContext:
    """Somebody of that project."""
    return context.RequestContext(user_id="user-1", project_id=project)


def wanted(**changes: object) -> Wanted:
    """What a simple request asks for."""
    facts: dict[str, object] = {
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
    return Wanted.from_dict({**facts, **changes})


def new_build(project: str = "project-1", **changes: object) -> Build:
    """A queued build."""
    return Build.create(
        asker(project), wanted(**changes), ELEMENTS, name="debian"
    )


def new_builder(
    name: str = "builder-1",
    *,
    session: str = "session-1",
    elements: dict[str, str] | None = None,
) -> tuple[Builder, str]:
    """A builder that has registered, and its secret."""
    builder, secret = Builder.enrol(name)
    held = ELEMENTS if elements is None else elements
    builder.register(
        session=session,
        version="1",
        slots=1,
        architectures=["x86_64"],
        elements=held,
    )
    element.register(
        [
            catalogue.Element(name=name, digest=digest)
            for name, digest in held.items()
        ]
    )
    return Builder.get(builder.id), secret


def change_build(build: Build, **values: object) -> None:
    """Have the row say so, as if time had passed."""
    db.execute(
        sa.update(models.BUILDS)
        .where(models.BUILDS.c.uuid == build.id)
        .values(**values)
    )


def change_publications(build: Build, **values: object) -> None:
    """The same, of all images of the build."""
    db.execute(
        sa.update(models.PUBLICATIONS)
        .where(models.PUBLICATIONS.c.build_uuid == build.id)
        .values(**values)
    )


def holder(
    builder: Builder, secret: str, session: str = "session-1"
) -> lease.Holder:
    """The builder's process of that session."""
    return lease.Holder(
        builder_id=builder.id,
        name=builder.name,
        session=session,
        secret=secret,
    )


def claimed(build: Build, by: lease.Holder) -> lease.Proof:
    """The proof of who has taken the build."""
    for candidate in queue.candidates(by.builder_id, ["x86_64"], limit=50):
        if candidate.build_id == build.id:
            taken = lease.take(candidate, by, str(uuid.uuid4()))
            assert taken is not None
            return lease.Proof(build.id, taken.build.epoch, taken.secret)
    raise AssertionError(f"build {build.id} cannot be claimed")
