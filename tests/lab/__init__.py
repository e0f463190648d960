"""Real servers for tests, each started once in a test process.

    cloud = lab.cloud()          # Keystone and Glance, with accounts
    broker = lab.rabbitmq()      # .transport_url, .stop(), .start()
    database = lab.postgresql()  # .database("name") is a URL
    metal = lab.baremetal()      # Ironic beside that cloud, and machines
    compute = lab.compute()      # Nova beside that Ironic
    state = lab.new_state()      # of servers that are a test's own

They end with the process; their logs stay below ``.lab/``. What is missing
on the machine is an error and never a skipped test; ``tools/run-tests`` puts
it there.
"""

import atexit
import functools
import os
import pathlib
import shutil
import signal
import tempfile

from tools.lab import errors
from tools.lab.baremetal import Baremetal
from tools.lab.cloud import Cloud
from tools.lab.compute import Compute
from tools.lab.postgresql import PostgreSQL
from tools.lab.rabbitmq import RabbitMQ
from tools.lab.state import State

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LOGS = CHECKOUT / ".lab"


@functools.cache
def cloud() -> Cloud:
    """A running Keystone and Glance with the accounts of tools.lab."""
    running = Cloud(state(), services_venv())
    atexit.register(running.stop)
    running.start()
    return running


@functools.cache
def rabbitmq() -> RabbitMQ:
    """A running RabbitMQ."""
    running = RabbitMQ(state())
    atexit.register(running.stop)
    running.start()
    return running


@functools.cache
def postgresql() -> PostgreSQL:
    """A running PostgreSQL."""
    running = PostgreSQL(state())
    atexit.register(running.stop)
    running.start()
    return running


@functools.cache
def baremetal() -> Baremetal:
    """A running Ironic, in the catalog of ``cloud()``."""
    running = Baremetal(cloud(), services_venv())
    atexit.register(running.stop)
    running.start()
    return running


@functools.cache
def compute() -> Compute:
    """A running Nova whose machines are those of ``baremetal()``."""
    running = Compute(
        baremetal(),
        services_venv(),
        postgresql=postgresql(),
        rabbitmq=rabbitmq(),
    )
    atexit.register(running.stop)
    running.start()
    return running


@functools.cache
def state() -> State:
    """The folder of this process's cloud."""
    return new_state()


def new_state() -> State:
    """A folder, gone at the end of the process but for the logs."""
    # Where services have it, and not below /tmp, of which a build has its
    # own: whether a hook can read this is then no question.
    path = pathlib.Path(tempfile.mkdtemp(prefix="dib-lab-", dir="/var/lib"))
    atexit.register(_keep_logs_only, path)
    # Without this, a test run that is told to end leaves its servers; any
    # other exception would be the failure of one test, and the next begin.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return State(path)


def services_venv() -> pathlib.Path:
    """Where Keystone and Glance are installed.

    :raises LabError: nowhere.
    """
    named = os.environ.get("DIB_SERVICES_VENV")
    if not named or not pathlib.Path(named, "bin/keystone-manage").exists():
        raise errors.LabError(
            "DIB_SERVICES_VENV does not name a venv with Keystone and "
            "Glance; tools/run-tests makes one and sets it"
        )
    return pathlib.Path(named)


def _keep_logs_only(path: pathlib.Path) -> None:
    LOGS.mkdir(exist_ok=True)
    for log in path.rglob("*.log"):
        shutil.copy(log, LOGS / f"{os.getpid()}-{log.name}")
    shutil.rmtree(path)
