"""What the package's structure promises, counted as ``benchmarks/structure.py`` prints it."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def structure():
    path = Path(__file__).parents[1] / "benchmarks" / "structure.py"
    spec = importlib.util.spec_from_file_location("structure", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_frame_carries_attributes(structure):
    assert structure.attrs() == []


def test_functions_are_short(structure):
    assert structure.long_functions() == []


def test_names_that_say_nothing_become_fewer(structure):
    assert len(structure.names_that_say_nothing()) <= structure.AT_MOST["names that say nothing"]


def test_modules_of_defs_are_about_dagster(structure):
    assert structure.defs_without_dagster() == []


def test_no_module_imports_itself_by_way_of_others(structure):
    assert structure.import_cycles() == []


FRAMES = {
    "axes/_extraction.py": "features of a part of the customers, or of a sample",
    "axes/_reference.py": "one row a product or category",
    "backtest/hold_out.py": "a bounded sample of the customers",
    "clustering/abstention.py": "a bounded sample of the customers",
    "commands/over_time.py": "one row an axis",
    "commands/demo.py": "a data set of known size",
    "defs/models.py": "one row a product or category",
    "defs/profiles.py": "a batch at a time",
    "defs/raw.py": "a batch at a time",
    "history.py": "whatever the caller of `frames` bounded: callers are listed here too",
    "profiles/alignment.py": "one row a segment",
    "profiles/assemble.py": "the customers whom the caller asks for",
    "resources/pages.py": "one row an axis",
    "resources/policy_effects.py": "one row a rule",
    "resources/postgres/copy.py": "ids, a batch at a time",
    "resources/profiling.py": "one row a product or category",
    "simulation/effects.py": "a block of a store that is made up",
    "simulation/store.py": "a store that is made up",
    "weekly/rows.py": "a part of the customers",
}
"""Modules outside ``ingest`` that may make pandas frames of rows, and why these are never a whole store's."""


def test_no_store_is_ever_whole_in_pandas(structure):
    assert structure.pandas_frames() == sorted(FRAMES)


def test_what_is_counted(structure, monkeypatch):
    long = "\n".join(["def f(a):", '    """Two', '    lines."""', "", "    # why", *["    a += 1  # once more"] * 40])
    text = f'"""Charter."""\nimport dagster as dg\nframe.attrs["x"] = ".attrs"\n\n\n{long}\n'
    monkeypatch.setattr(structure, "modules", lambda: {"quimbi_assets/defs/a.py": text, "quimbi_assets/defs/b.py": "1"})
    assert structure.attrs() == ["quimbi_assets/defs/a.py:3"]
    assert structure.long_functions() == ["quimbi_assets/defs/a.py:6 f: 41 lines"]
    assert structure.defs_without_dagster() == ["quimbi_assets/defs/b.py"]
    text = "class A:\n    def f(self, t):\n        t['id'].to_pandas()\n        return t.read().to_pandas()\n"
    paths = ["quimbi_assets/ingest/a.py", "quimbi_assets/weekly/a.py"]
    monkeypatch.setattr(structure, "modules", lambda: dict.fromkeys(paths, text))
    assert structure.pandas_frames() == ["weekly/a.py"]


def test_which_names_say_nothing(structure, monkeypatch):
    text = "def _found(own):\n    given, n = own\n    if (kept := n) and found:\n        finding = kept\n"
    monkeypatch.setattr(structure, "modules", lambda: {"a.py": text})
    assert structure.names_that_say_nothing() == ["a.py:1 _found", "a.py:2 given", "a.py:3 kept"]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_openings_are_counted_whoever_opens(structure, tmp_path):
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = tmp_path / "raw" / "t.parquet"
    place.parent.mkdir()
    with structure.Openings(tmp_path) as openings:
        pq.write_table(pa.table({"n": [1]}), place)
        with duckdb.connect() as connection:
            connection.sql(f"SELECT * FROM '{place}'").fetchall()
        (tmp_path / "raw" / "facts.json").write_text("{}")
    assert openings.writes == {"raw/t.parquet": 1}
    assert set(openings.reads) == {"raw/t.parquet"}
