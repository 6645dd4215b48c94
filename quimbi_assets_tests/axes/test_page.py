"""The page about the axes says what they declare."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_axes_declare():
    spec = importlib.util.spec_from_file_location("axes_page", DOCS / "axes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "write it again: .venv/bin/python docs/axes.py"
