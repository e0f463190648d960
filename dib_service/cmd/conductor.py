"""dib-conductor: one conductor of any number."""

import signal
import sys
import threading
from types import FrameType

from oslo_log import log

from dib_service import conf
from dib_service.conductor import manager

LOG = log.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    conf.load(sys.argv[1:], prog="dib-conductor")
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    service = manager.ConductorService(conf.CONF.conductor.host)
    service.start()
    stopped.wait()
    LOG.info("stopping")
    service.stop()
    service.wait()
