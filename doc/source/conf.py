"""How the documentation is built; nothing here reaches for the network."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]

project = "dib-service"
copyright = "dib-service contributors"

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


def setup(app):
    """Make a page of each element's README before anything is read."""
    app.connect("builder-inited", _element_pages)


def _element_pages(app):
    pages = pathlib.Path(app.srcdir, "user/elements")
    readmes = {
        readme.parent.name: readme.read_text(encoding="utf-8")
        for readme in ROOT.glob("elements/*/README.rst")
    }
    for page in pages.glob("*/index.rst"):
        if page.parent.name not in readmes:
            page.unlink()
    for name, text in readmes.items():
        page = pages / name / "index.rst"
        page.parent.mkdir(exist_ok=True)
        # A page that has not changed is not read again.
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
