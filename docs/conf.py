"""How the site is built: ``make docs``. Its reference is generated at each build out of the code, so never old."""

import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "quimbi_assets"
version = release = metadata.version("quimbi_assets")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "quimbi_assets"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_copyright = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # two hyphens are an option, no dash
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
linkcheck_anchors = False


def write_reference(app: object) -> None:
    """Write the pages that are generated, before Sphinx looks which there are."""
    import reference_pages

    if "QUIMBI_HOME" in os.environ or "DATABASE_URL" in os.environ:
        reference_pages.write(HERE / "reference" / "generated")
        return
    with tempfile.TemporaryDirectory(prefix="quimbi-docs-") as home:
        os.environ["QUIMBI_HOME"] = home
        reference_pages.write(HERE / "reference" / "generated")


def setup(app: object) -> None:
    """Have Sphinx call it."""
    app.connect("config-inited", lambda app, config: write_reference(app))  # type: ignore[attr-defined]
