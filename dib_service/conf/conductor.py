"""Leases, retries and the conductor's own rounds; times in seconds."""

from collections.abc import Sequence
import socket

from oslo_config import cfg

GROUP = "conductor"
OPTS = (
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="localhost",
        help="What this conductor is called; another one must not be.",
    ),
    cfg.FloatOpt(
        "lease_seconds",
        default=60.0,
        min=0.1,
        help="How long a builder holds a build without a heartbeat, by the "
        "clock of the database.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=3,
        min=1,
        help="Attempts that a build may have. One in which the builder never "
        "reported does not count.",
    ),
    cfg.FloatOpt(
        "retry_delay",
        default=5.0,
        min=0.0,
        help="Wait before the second attempt; doubled for each further one.",
    ),
    cfg.FloatOpt(
        "retry_delay_max",
        default=300.0,
        min=0.0,
        help="The longest wait between two attempts.",
    ),
    cfg.FloatOpt(
        "other_host_seconds",
        default=30.0,
        min=0.0,
        help="How long a retried build is kept for another host than the one "
        "it failed on, where another one is alive.",
    ),
    cfg.IntOpt(
        "candidates",
        default=50,
        min=1,
        help="The oldest queued builds that one claim looks at; where there "
        "are more, it looks at the oldest of each other project, too.",
    ),
    cfg.IntOpt(
        "log_head_bytes",
        default=32 * 1024 * 1024,
        min=1,
        help="Bytes of a build's log that are kept from its beginning.",
    ),
    cfg.IntOpt(
        "log_tail_bytes",
        default=32 * 1024 * 1024,
        min=1,
        help="Bytes of a build's log that are kept from its end, where it is "
        "longer than log_head_bytes.",
    ),
    cfg.FloatOpt(
        "reap_interval",
        default=5.0,
        min=0.05,
        help="Pause between two looks for leases that ran out.",
    ),
    cfg.FloatOpt(
        "publish_interval",
        default=2.0,
        min=0.05,
        help="Pause between two looks for builds to publish.",
    ),
    cfg.FloatOpt(
        "publish_lock_seconds",
        default=30.0,
        min=0.1,
        help="How long other conductors leave a build alone that one has "
        "begun to publish; begun anew while it reads the bytes of a large "
        "image.",
    ),
    cfg.FloatOpt(
        "publish_retry_max",
        default=60.0,
        min=0.0,
        help="The longest wait before a target is asked again.",
    ),
    cfg.FloatOpt(
        "publish_timeout",
        default=24 * 3600.0,
        min=0.0,
        help="How long a target that has the bytes may take to let them be "
        "published there. After that the publication has failed: what can "
        "be seen of it is deleted again.",
    ),
    cfg.FloatOpt(
        "sweep_interval",
        default=60.0,
        min=0.05,
        help="Pause between two sweeps of the staging project.",
    ),
    cfg.FloatOpt(
        "sweep_grace",
        default=3600.0,
        min=0.0,
        help="How long an upload that was granted to a lost builder may still "
        "arrive: the life of its token.",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.conductor`` readable."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """The options by group, for the generator."""
    return [(GROUP, OPTS)]
