"""How the release notes are built."""

project = "dib-service release notes"
copyright = "dib-service contributors"

extensions = ["openstackdocstheme", "reno.sphinxext"]

html_theme = "openstackdocs"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
openstackdocs_use_storyboard = False
