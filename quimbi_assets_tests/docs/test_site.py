"""The site is built without a warning, its links lead somewhere, and it tells of every setting and metric."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("docs")
ROOT = Path(__file__).parents[2]
READ = re.compile(r"""environ(?:\.get\(|\.pop\(|\[)\s*"([A-Z][A-Z0-9_]+)"|_VARIABLE\b[^=\n]*= "([A-Z0-9_]+)\"""")
OF_LIBRARIES = {
    "DAGSTER_DISABLE_TELEMETRY",
    "PYTHONWARNINGS",
    "PYSPARK_SUBMIT_ARGS",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
}
"""Set by the package for programs that it starts; nobody else has to."""


def test_it_is_built_without_a_warning(database, tmp_path):
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-d", tmp_path / "tree"]
    done = subprocess.run([*command, "docs", tmp_path / "site"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {str(path.relative_to(tmp_path / "site").with_suffix("")) for path in (tmp_path / "site").rglob("*.html")}
    assert {"index", "tutorials/shopify", "reference/generated/tables", "reference/python", "adr/0001-layout"} <= pages
    assert "customer_segments_wide" in (tmp_path / "site/reference/generated/tables.html").read_text()


def test_settings_are_those_that_the_package_reads():
    read = {
        name
        for path in (ROOT / "quimbi_assets").rglob("*.py")
        for pair in READ.findall(path.read_text())
        for name in pair
    }
    told = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs/reference/settings.md").read_text()))
    assert read - {""} - OF_LIBRARIES - told == set()
    assert {name for name in told if name.startswith("QUIMBI_")} <= read


def test_metrics_are_those_that_runs_log(database):
    from sqlalchemy import create_engine, text

    engine = create_engine(database.mlflow_url)
    with engine.connect() as connection:
        logged = {name for (name,) in connection.execute(text("SELECT DISTINCT key FROM metrics"))}
    engine.dispose()
    told = re.findall(r"`([a-z<*._][\w<>*.]*)`", (ROOT / "docs/reference/metrics.md").read_text())
    whole = ["<axis>" + name if name.startswith(".") else name for name in told]  # short for what stands before it
    forms = [re.escape(name).replace(r"\*", r"\w+").replace("<axis>", r"\w+") for name in whole]
    known = re.compile(rf"(?:{'|'.join(forms)})(?:\.low|\.high|\.by_cut)?")
    assert logged, "no run was made before: tests of this folder are one group, commands first"
    assert [name for name in sorted(logged) if not known.fullmatch(name)] == []
