"""How the site is built: ``make docs``. Its reference is generated at each build out of the code, so never old."""

import os
import re
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


def name_files_of_the_repository(app: object, page: str, source: list[str]) -> None:
    """Say where a file is that a page links to and the site does not hold; a file that is nowhere stays a dead link."""
    folder = (HERE / page).parent

    def named(link: re.Match[str]) -> str:
        path = (folder / link[2].partition("#")[0]).resolve()
        if path.is_relative_to(HERE) or not path.exists():
            return link[0]
        where = f"`{path.relative_to(HERE.parent)}`"
        return where if link[1].strip("`") in where else f"{link[1]} ({where})"

    source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((\.\./[^)\s]+)\)", named, source[0])


def setup(app: object) -> None:
    """Have Sphinx call both."""
    app.connect("source-read", name_files_of_the_repository)  # type: ignore[attr-defined]
    app.connect("config-inited", lambda app, config: write_reference(app))  # type: ignore[attr-defined]
