"""How the documentation is built."""

from meltemi import __version__

project = "Meltemi"
author = "the Meltemi developers"
project_copyright = "the Meltemi developers, Apache-2.0"
release = __version__
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"Meltemi {release}"
exclude_patterns = ["_build"]
