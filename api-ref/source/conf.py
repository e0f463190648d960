"""How the API reference is built."""

project = "dib-service API reference"
copyright = "dib-service contributors"

extensions = ["openstackdocstheme"]

html_theme = "openstackdocs"
html_theme_options = {"sidebar_mode": "toc"}
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
openstackdocs_use_storyboard = False
