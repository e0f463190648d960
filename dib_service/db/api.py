"""The way to the database: readers, writers, its clock, and second tries."""

from collections.abc import Callable, Iterator
import contextlib
import os
import random
import threading
import time
from typing import Any, TypeVar

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import enginefacade, exc_filters
from oslo_log import log
import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import functions

from dib_service import exception

LOG = log.getLogger(__name__)

T = TypeVar("T")

TRIES = 12
PAUSE_SECONDS = 0.01
SQLITE_BUSY_SECONDS = 30
WRITER = "dib_writer"


def write(work: Callable[[sa.Connection], T]) -> T:
    """What ``work`` returns, once it has run and its transaction committed.

    It runs again, in a new transaction, when the database broke a tie against
    it or when it lost a compare-and-set: the old transaction would read its
    old snapshot again under MariaDB's REPEATABLE READ.

    :raises StateConflict: it lost every time.
    :raises Unavailable: the database does not answer.
    """
    for left in reversed(range(TRIES)):
        try:
            with writer() as connection:
                return work(connection)
        except exception.StateConflict:
            if not left:
                raise
        except (db_exc.DBDeadlock, sa.exc.OperationalError) as error:
            if not left:
                raise _unavailable(error) from error
        # Ties are broken by chance, or they would be met again.
        time.sleep(random.uniform(0, PAUSE_SECONDS * (TRIES - left)))  # noqa: S311
    raise AssertionError("unreachable")


def execute(statement: sa.Executable) -> int:
    """How many rows the one statement has written or deleted."""
    return write(lambda connection: connection.execute(statement).rowcount)


@contextlib.contextmanager
def writer() -> Iterator[sa.Connection]:
    """A transaction that may write; it commits when the block ends well.

    :raises Unavailable: the database does not answer.
    """
    with _answering(), engine().connect() as connection:
        connection = connection.execution_options(**{WRITER: True})
        with connection.begin():
            yield connection


@contextlib.contextmanager
def reader() -> Iterator[sa.Connection]:
    """A transaction that only reads: one snapshot for all of the block.

    :raises Unavailable: the database does not answer.
    """
    with (
        _answering(),
        engine().connect() as connection,
        connection.begin(),
    ):
        yield connection


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (
        db_exc.DBConnectionError,
        db_exc.DBNonExistentDatabase,
        sa.exc.OperationalError,
        sa.exc.TimeoutError,
    ) as error:
        if _may_pass(error):
            raise
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> exception.Unavailable:
    # Whoever asks is told no more than that: the text may have addresses.
    LOG.error("the database does not answer: %s", error)
    return exception.Unavailable("the database does not answer, try again")


class now(functions.FunctionElement[float]):
    """The database's clock: UTC, in seconds since the epoch."""

    type = sa.Double()
    inherit_cache = True


def clock() -> float:
    """What the database's clock says."""
    with reader() as connection:
        return float(connection.execute(sa.select(now())).scalar_one())


class _Engine:
    """The process's engine; a forked child makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        self._made_in = 0

    def get(self) -> sa.Engine:
        with self._lock:
            if self._engine is not None and self._made_in != os.getpid():
                # The parent goes on using these connections.
                self._engine.dispose(close=False)
                self._engine = None
            if self._engine is None:
                self._engine = _create_engine()
                self._made_in = os.getpid()
            return self._engine

    def forget(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None


_ENGINE = _Engine()
engine = _ENGINE.get
forget_engine = _ENGINE.forget


def _create_engine() -> sa.Engine:
    url = cfg.CONF.database.connection
    if sa.make_url(url).get_backend_name() == "sqlite":
        return _create_sqlite_engine(url)
    facade = enginefacade.transaction_context()
    facade.configure()
    made: sa.Engine = facade.writer.get_engine()
    return made


def _create_sqlite_engine(url: str) -> sa.Engine:
    """An engine whose writers queue at BEGIN, where SQLite lets them wait."""
    # Not oslo.db's: it emits a plain BEGIN. A transaction that reads first
    # and then writes is refused at once ("database is locked") if another has
    # written in between, busy_timeout or not.
    made = sa.create_engine(url, pool_size=10, max_overflow=-1)

    @sa.event.listens_for(made, "connect")
    def set_up(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None
        dbapi.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")
        dbapi.execute("PRAGMA journal_mode = WAL")
        dbapi.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(made, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(WRITER)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    exc_filters.register_engine(made)
    return made


def _may_pass(error: Exception) -> bool:
    return isinstance(error, db_exc.DBDeadlock) or "locked" in str(error)


@compiler.compiles(now, "sqlite")
def _now_in_sqlite(element: now, compile_: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiler.compiles(now, "postgresql")
def _now_in_postgresql(element: now, compile_: Any, **kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiler.compiles(now, "mysql")
@compiler.compiles(now, "mariadb")
def _now_in_mysql(element: now, compile_: Any, **kw: Any) -> str:
    # Not by way of the session's time zone: where the clocks are put back,
    # one hour of it comes twice, and both are read as the second one. It is
    # the time at which the statement began, and may have waited since; by
    # that, a lease ends too early at worst.
    return (
        "CAST(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))"
        " / 1000000 AS double)"
    )
