"""dib-all-in-one: API, conductor and builder in one process.

For one machine, for trying and for testing: SQLite and in-process messaging,
unless the configuration names others.
"""

from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
import signal
import sys
import threading
from types import FrameType

from oslo_config import cfg
from oslo_log import log
import oslo_messaging
import sqlalchemy as sa

from dib_service import conf as conf_lib
from dib_service import exception, inprocess
from dib_service.api import server as api_server
from dib_service.builder import manager as builder_manager
from dib_service.conductor import manager as conductor_manager
from dib_service.db import migrations
from dib_service.objects.builder import Builder

LOG = log.getLogger(__name__)

ENROLMENT = "enrolment.json"


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    set_defaults(conf_lib.CONF)
    options = conf_lib.load(sys.argv[1:], prog="dib-all-in-one")
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with running(options):
        stopped.wait()
        LOG.info("stopping")


def set_defaults(options: cfg.ConfigOpts) -> None:
    """What differs from the defaults of services that run apart."""
    inprocess.register()
    # Parsing makes the option known.
    oslo_messaging.TransportURL.parse(options, inprocess.URL)
    options.set_default("transport_url", inprocess.URL)


@contextlib.contextmanager
def running(options: cfg.ConfigOpts) -> Iterator[None]:
    """All three at work; the builder may speak until it has said all."""
    _make_room(options)
    migrations.sync()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_conductor(options))
        stack.enter_context(_builder(options))
        stack.enter_context(_api(options))
        yield


@contextlib.contextmanager
def _conductor(options: cfg.ConfigOpts) -> Iterator[None]:
    service = conductor_manager.ConductorService(options.conductor.host)
    service.start()
    try:
        yield
    finally:
        service.stop()
        service.wait()


@contextlib.contextmanager
def _builder(options: cfg.ConfigOpts) -> Iterator[None]:
    service = builder_manager.BuilderService(
        options, credential=enrolled(options), hide=_database(options)
    )
    service.start()
    try:
        yield
    finally:
        service.stop()
        service.wait()


@contextlib.contextmanager
def _api(options: cfg.ConfigOpts) -> Iterator[None]:
    server = api_server.new_server(options)
    # The port is ours, or this fails here and not in a thread.
    server.prepare()
    LOG.info("the API listens on %s:%s", *server.bind_addr)
    thread = threading.Thread(target=server.serve, name="api", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(timeout=5.0)


def enrolled(options: cfg.ConfigOpts) -> tuple[str, str]:
    """Id and secret of this machine's builder, enrolled at its first start."""
    if options.builder.id and options.builder.secret:
        return options.builder.id, options.builder.secret
    file = pathlib.Path(options.builder.state_path, ENROLMENT)
    with contextlib.suppress(FileNotFoundError, exception.NotFound):
        kept = json.loads(file.read_text())
        # The file may be older than the database.
        Builder.get(kept["id"])
        return kept["id"], kept["secret"]
    builder, secret = _enrol(os.uname().nodename)
    _keep(file, {"id": builder.id, "secret": secret})
    LOG.info("builder %s enrolled as %s", builder.name, builder.id)
    return builder.id, secret


def _enrol(name: str) -> tuple[Builder, str]:
    """A new builder of that name, or the like: its secret may be lost."""
    number = 1
    while True:
        try:
            return Builder.enrol(name if number == 1 else f"{name}-{number}")
        except exception.Conflict:
            number += 1


def _keep(file: pathlib.Path, data: dict[str, str]) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(data, stream)
        stream.flush()
        os.fsync(descriptor)
    new.rename(file)


def _database(options: cfg.ConfigOpts) -> list[str]:
    """The files of an SQLite database, which no element may see."""
    url = sa.make_url(options.database.connection)
    if url.get_backend_name() != "sqlite" or not url.database:
        return []
    return [f"{url.database}{end}" for end in ("", "-wal", "-shm")]


def _make_room(options: cfg.ConfigOpts) -> None:
    for file in _database(options)[:1]:
        pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
