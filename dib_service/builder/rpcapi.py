"""The door to the builders: a bell, and nothing but a bell."""

from oslo_log import log
import oslo_messaging

LOG = log.getLogger(__name__)

TOPIC = "dib-builder"
VERSION = "1.0"


class BuilderAPI:
    """Tells the builders.

    1.0 - wake
    """

    def __init__(self, transport: oslo_messaging.Transport) -> None:
        # A cast that is not refused at once waits for a broker that is down
        # for longer than anybody who rings can wait.
        self._client = oslo_messaging.get_rpc_client(
            transport,
            oslo_messaging.Target(topic=TOPIC, version=VERSION),
            retry=0,
        )

    def wake(self, builder_id: str) -> None:
        """Have the builder look around now; a lost ring costs seconds."""
        try:
            self._client.prepare(server=builder_id).cast({}, "wake")
        except (oslo_messaging.MessagingException, OSError) as exc:
            LOG.info("no builder was woken: %s", exc)
