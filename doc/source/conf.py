"""How the documentation is built; nothing here reaches for the network."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]

project = "dib-service"
copyright = "dib-service contributors"  # noqa: A001

extensions = [
    "cliff.sphinxext",
    "openstackdocstheme",
    "oslo_config.sphinxconfiggen",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
]

config_generator_config_file = [
    (
        str(ROOT / "etc/dib-service/config-generator.conf"),
        "_static/dib-service",
    ),
]
sample_config_basename = None
policy_generator_config_file = str(
    ROOT / "etc/dib-service/policy-generator.conf"
)
sample_policy_basename = "_static/dib-service"

autoprogram_cliff_application = "openstack"

html_theme = "openstackdocs"
html_static_path = ["_static"]
pygments_style = "native"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
openstackdocs_use_storyboard = False
html_last_updated_fmt = ""
