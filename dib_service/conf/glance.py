"""Two users of Glance: who publishes, and who may upload into staging."""

from collections.abc import Sequence

from keystoneauth1 import loading
from oslo_config import cfg

# The publisher: may change owner and visibility. Conductors only.
GROUP = "glance"
# The uploader: a member of the staging project and of nothing else.
UPLOAD_GROUP = "glance_upload"

OPTS = (
    cfg.StrOpt(
        "staging_project_id",
        help="The project that images belong to until they are published. "
        "Nothing else may use it: what is in it and not being built is "
        "deleted. Found from the [glance_upload] user when not set.",
    ),
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.glance`` and ``conf.glance_upload`` readable."""
    conf.register_opts(OPTS, group=GROUP)
    for group in (GROUP, UPLOAD_GROUP):
        loading.register_auth_conf_options(conf, group)
        loading.register_session_conf_options(conf, group)
        # Without the deprecated ones: with "interface", which devstack
        # writes for every service, valid_interfaces would be refused.
        loading.register_adapter_conf_options(
            conf, group, include_deprecated=False
        )
        conf.set_default("service_type", "image", group=group)
        conf.set_default("timeout", 30, group=group)
        conf.set_default("valid_interfaces", ["internal", "public"], group)


def list_opts() -> Sequence[tuple[str, Sequence[cfg.Opt]]]:
    """The options by group, for the generator."""
    keystone = (
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options("password"),
        *loading.get_session_conf_options(),
        *loading.get_adapter_conf_options(include_deprecated=False),
    )
    return [(GROUP, (*OPTS, *keystone)), (UPLOAD_GROUP, keystone)]
