"""One builder host; times in seconds."""

from collections.abc import Sequence
import platform
import shlex
import sys

from oslo_config import cfg

GROUP = "builder"
OPTS = (
    cfg.StrOpt(
        "id",
        help="The id that the operator got when this builder was enrolled.",
    ),
    cfg.StrOpt(
        "secret",
        secret=True,
        help="The secret that came with the id.",
    ),
    cfg.StrOpt(
        "state_path",
        default="/var/lib/dib-service/builder",
        help="Where builds happen. It belongs to one builder alone, which at "
        "its start ends, unmounts and deletes whatever an earlier one left "
        "in it.",
    ),
    cfg.StrOpt(
        "cache_path",
        help="What builds may keep for later ones; state_path/cache when not "
        "set.",
    ),
    cfg.IntOpt(
        "slots",
        default=1,
        min=1,
        help="Builds at the same time.",
    ),
    cfg.ListOpt(
        "architectures",
        default=[platform.machine()],
        sample_default=["x86_64"],
        help="What this host can build, in the words of uname -m.",
    ),
    cfg.StrOpt(
        "engine_command",
        default=f"{shlex.quote(sys.executable)} -P -m dib_service.engine",
        sample_default="dib-engine",
        help="The engine's program, in the words of a shell.",
    ),
    cfg.DictOpt(
        "engine_environment",
        default={},
        help="Variables that every element sees where the request does not "
        "set them, for example http_proxy or a mirror; only such names as a "
        "request could use. Nothing of the builder's own environment reaches "
        "an element.",
    ),
    cfg.ListOpt(
        "element_path",
        default=[],
        help="Folders of elements, first come, first found; the engine's own "
        "elements when empty.",
    ),
    cfg.ListOpt(
        "hide",
        default=["/etc/dib-service"],
        help="Files and folders that no element may see, beside the "
        "configuration files in use, the log folder and state_path.",
    ),
    cfg.FloatOpt(
        "poll_interval",
        default=5.0,
        min=0.01,
        help="How often to ask for work when nobody rings.",
    ),
    cfg.FloatOpt(
        "heartbeat_interval",
        default=10.0,
        min=0.01,
        help="How often to renew the leases of the builds.",
    ),
    cfg.FloatOpt(
        "fence_after",
        default=50.0,
        min=0.1,
        help="A build ends this long after the last heartbeat was sent that "
        "the conductor answered; never later than five sixths of its lease.",
    ),
    cfg.FloatOpt(
        "rescan_interval",
        default=60.0,
        min=0.1,
        help="How often to look for changed elements.",
    ),
    cfg.FloatOpt(
        "build_timeout",
        default=4 * 3600.0,
        min=1.0,
        help="A build that takes longer is ended and failed.",
    ),
    cfg.FloatOpt(
        "boot_test_timeout",
        default=300.0,
        min=1.0,
        help="What a machine with KVM may take to boot a finished image; one "
        "that is emulated has five times as long.",
    ),
    cfg.IntOpt(
        "boot_test_memory",
        default=1024,
        min=256,
        help="MiB of memory of each machine that a finished image is started "
        "in; 3072 at least for a deploy ramdisk. As many run side by side as "
        "there are processors and memory for.",
    ),
    cfg.BoolOpt(
        "boot_test_kvm",
        default=True,
        help="Use KVM for that where a machine is seen to run with it; else "
        "it is emulated.",
    ),
    cfg.IntOpt(
        "boot_test_uid",
        default=61000,
        min=1,
        help="The user and group that these machines run as. It needs no "
        "name, and nothing on this host may be its own.",
    ),
    cfg.FloatOpt(
        "upload_timeout",
        default=3600.0,
        min=0.0,
        help="How long to go on with an upload that a target does not take; "
        "each target has all of that time.",
    ),
    cfg.FloatOpt(
        "upload_pause",
        default=60.0,
        min=0.01,
        help="The longest wait between two tries of an upload.",
    ),
    cfg.FloatOpt(
        "upload_stuck",
        default=30.0,
        min=0.0,
        help="How long an image may be 'saving' after its upload broke off "
        "before it is uploaded under another id: a Glance that was killed "
        "leaves it so for ever.",
    ),
    cfg.StrOpt(
        "glance_cafile",
        help="Certificates to trust when uploading; the host's when not set.",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.builder`` readable."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """The options by group, for the generator."""
    return [(GROUP, OPTS)]
