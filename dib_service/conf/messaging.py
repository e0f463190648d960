"""How the processes speak to each other; the rest is oslo.messaging's."""

from collections.abc import Sequence

from oslo_config import cfg

GROUP = "messaging"
OPTS = (
    cfg.FloatOpt(
        "call_timeout",
        default=30.0,
        min=1.0,
        help="Seconds a call waits for its answer.",
    ),
    cfg.FloatOpt(
        "heartbeat_timeout",
        default=5.0,
        min=0.1,
        help="Seconds a heartbeat waits for its answer.",
    ),
    cfg.FloatOpt(
        "doorbell_delay",
        default=0.1,
        min=0.0,
        help="Seconds over which rings of the doorbell become one.",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.messaging`` readable."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """The options by group, for the generator."""
    return [(GROUP, OPTS)]
