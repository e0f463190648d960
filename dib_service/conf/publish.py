"""Where images can be published; a request names one or several of these."""

from collections.abc import Sequence

from oslo_config import cfg

GROUP = "publish"

OPTS = (
    cfg.ListOpt(
        "targets",
        default=["glance"],
        help="Where images can be published: 'glance' is the Glance of this "
        "cloud; each other one has a section [publish:NAME]. Requests that "
        "name no target get the first. The API and the conductors need the "
        "same list.",
    ),
    cfg.StrOpt(
        "bare_metal_project_id",
        help="The project of this cloud whose images bare metal may deploy: "
        "that of Ironic's own user. A request that shares its image with "
        "'bare-metal' shares it with this project, and the conductor accepts "
        "it in its name.",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.publish`` readable."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """The options by group, for the generator."""
    return [(GROUP, OPTS)]
