"""Where images can be published; a request names one or several of these."""

from collections.abc import Sequence

from oslo_config import cfg, types

GROUP = "publish"

# The target that needs no section of its own: [glance] has its options.
THIS_CLOUD = "glance"

# What rows and requests have room for; it is the name of a section, too.
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

OPTS = (
    cfg.ListOpt(
        "targets",
        default=[THIS_CLOUD],
        item_type=types.String(regex=rf"^{NAME}\Z"),
        help="Where images can be published: 'glance' is the Glance of this "
        "cloud; each other one has a section [publish:NAME]. Requests that "
        "name no target get the first. The API and all conductors need the "
        "same list.",
    ),
    cfg.StrOpt(
        "bare_metal_project_id",
        help="The project of this cloud that Ironic's own user belongs to. A "
        "request that shares its image with 'baremetal' shares it with this "
        "project, and the conductor accepts it in its name. The API and all "
        "conductors need it.",
    ),
)

# What a further target is called in the sample configuration.
EXAMPLE = "west"

# Of each further target.
TARGET_OPTS = (
    cfg.StrOpt(
        "kind",
        default="cloud",
        choices=[
            ("cloud", "the Glance of another cloud or region"),
            ("directory", "files that a web server shows"),
        ],
        help="What this target is.",
    ),
    cfg.StrOpt(
        "cloud",
        help="Of a cloud: the entry of clouds.yaml for the user who may "
        "change the owner of images there.",
    ),
    cfg.StrOpt(
        "upload_cloud",
        help="Of a cloud: the entry of clouds.yaml for the user who uploads, "
        "a member of a staging project there that nothing else uses. "
        "Builders get tokens of this user.",
    ),
    cfg.StrOpt(
        "clouds_file",
        help="Of a cloud: where its clouds.yaml is; openstacksdk's own search "
        "when not set. Only conductors may be able to read it.",
    ),
    cfg.StrOpt(
        "region",
        help="Of a cloud: the region, where the entries do not say it.",
    ),
    cfg.StrOpt(
        "owner_project_id",
        help="Of a cloud: the project there that images belong to once they "
        "are published.",
    ),
    cfg.StrOpt(
        "visibility",
        choices=["private", "shared", "community", "public"],
        help="Of a cloud: the visibility of images there; that of the request "
        "when not set.",
    ),
    cfg.StrOpt(
        "bare_metal_project_id",
        help="Of a cloud: as in [publish], for that cloud.",
    ),
    cfg.StrOpt(
        "path",
        help="Of a directory: it holds 'staging', which nobody but conductors "
        "and builders may read, and 'images', which the web server shows; "
        "both on one file system, mounted in the same place on conductors "
        "and builders.",
    ),
    cfg.StrOpt(
        "url",
        help="Of a directory: where the web server shows 'images'.",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.publish`` readable."""
    conf.register_opts(OPTS, group=GROUP)


def check(conf: cfg.ConfigOpts) -> None:
    """Let pass what names places.

    Options are read when somebody asks for them; without this, it would be
    told of by the first request or by a build.

    :raises oslo_config.cfg.ConfigFileValueError: it does not.
    """
    names = conf[GROUP].targets
    if not names:
        raise cfg.ConfigFileValueError(
            f"[{GROUP}] targets names no place, and images need one"
        )
    if len(set(names)) < len(names):
        raise cfg.ConfigFileValueError(
            f"[{GROUP}] targets names a place twice: {', '.join(names)}"
        )


def options_of(conf: cfg.ConfigOpts, name: str) -> cfg.ConfigOpts.GroupAttr:
    """The section of that target."""
    group = f"{GROUP}:{name}"
    conf.register_opts(TARGET_OPTS, group=group)
    found: cfg.ConfigOpts.GroupAttr = conf[group]
    return found


def private_paths(conf: cfg.ConfigOpts) -> Sequence[str]:
    """The files and folders of all targets, which are no element's to see."""
    return [
        path
        for name in conf[GROUP].targets
        if name != THIS_CLOUD
        for options in [options_of(conf, name)]
        for path in (options.clouds_file, options.path)
        if path
    ]


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """The options by group, for the generator."""
    return [(GROUP, OPTS), (f"{GROUP}:{EXAMPLE}", TARGET_OPTS)]
