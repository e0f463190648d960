"""What tempest has to know of the cloud: sections of ``tempest.conf``."""

from oslo_config import cfg

service_option = cfg.BoolOpt(
    "image_build",
    default=True,
    help="Whether the cloud has dib-service.",
)

image_build_group = cfg.OptGroup(
    name="image_build", title="Options of dib-service, which builds images"
)

IMAGE_BUILD_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "catalog_type",
        default="image-build",
        help="The type of the service in the catalog.",
    ),
    cfg.StrOpt(
        "region",
        default="",
        help="The region of the endpoint; [identity] region when empty.",
    ),
    cfg.StrOpt(
        "endpoint_type",
        default="public",
        choices=["public", "admin", "internal"],
        help="Which endpoint of the service is asked.",
    ),
    cfg.IntOpt(
        "build_timeout",
        default=3600,
        min=1,
        help="Seconds for which a test waits for the end of a build.",
    ),
    cfg.IntOpt(
        "build_interval",
        default=5,
        min=1,
        help="Seconds between two looks at a build.",
    ),
    cfg.ListOpt(
        "elements",
        default=["debian", "vm"],
        help="The elements of the image that the tests ask for; one of them "
        "brings an operating system.",
    ),
    cfg.BoolOpt(
        "skip_base",
        default=False,
        help="Leave the element 'base' out of that image.",
    ),
    cfg.BoolOpt(
        "boot_test",
        default=True,
        help="That image is booted before it is published. Asking for no such "
        "test takes a policy that the defaults give to managers only "
        "(build:create:untested).",
    ),
]

feature_group = cfg.OptGroup(
    name="image_build_feature_enabled",
    title="What dib-service offers in this cloud",
)

FEATURE_OPTIONS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "scenario",
        default=True,
        help="Run the scenario, which downloads the image that was built.",
    ),
]
