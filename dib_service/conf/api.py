"""[api]: where the API listens, who it believes, and how much it answers."""

from oslo_config import cfg

GROUP = "api"

OPTS = [
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            ("keystone", "Every request carries a token of Keystone's."),
            (
                "noauth",
                "Nobody is asked who they are: the headers X-Project-Id, "
                "X-User-Id and X-Roles are believed, and without them the "
                "asker is an admin. For one person on one machine.",
            ),
        ],
        help="How the API knows who asks.",
    ),
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="The address on which dib-api listens. A WSGI server that "
        "loads dib_service.wsgi.api has its own.",
    ),
    cfg.PortOpt(
        "port",
        default=9393,
        help="The port on which dib-api listens.",
    ),
    cfg.IntOpt(
        "threads",
        default=10,
        min=1,
        help="How many requests dib-api answers at a time.",
    ),
    cfg.URIOpt(
        "public_endpoint",
        schemes=["http", "https"],
        help="What links in answers begin with, when that is not what the "
        "request was sent to: behind a proxy that rewrites addresses.",
    ),
    cfg.IntOpt(
        "max_limit",
        default=1000,
        min=1,
        help="The most rows that one answer has, whatever is asked for; "
        "also the number when nothing is asked for.",
    ),
    cfg.IntOpt(
        "max_disk_size_gib",
        default=2048,
        min=1,
        max=2048,
        help="The largest image that may be asked for, in GiB. A partition "
        "table with a boot sector ends at 2 TiB.",
    ),
    cfg.ListOpt(
        "allowed_variables",
        default=[],
        help="Names of variables that requests may set besides DIB_*: those "
        "that the site's own elements read. Names that would change how "
        "programs on the builder run stay refused.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make [api] known to ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for the sample file."""
    return [(GROUP, OPTS)]
