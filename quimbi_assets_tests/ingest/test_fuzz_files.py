"""Damaged and made-up files, a few of those that ``benchmarks/fuzz_files.py`` reads by the thousand."""

import importlib.util
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.files import open_table


@pytest.fixture(scope="module")
def files():
    path = Path(__file__).parents[2] / "benchmarks" / "fuzz_files.py"
    spec = importlib.util.spec_from_file_location("fuzz_files", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_files"] = module
    spec.loader.exec_module(module)
    return module


def test_every_file_to_begin_with_is_taken(files, tmp_path):
    for name, content, spec in {name: (name, content, spec) for name, content, spec in files.seeds()}.values():
        path = tmp_path / name
        path.write_bytes(content)
        assert files.outcome(path, spec) == "taken", name


def test_a_damaged_file_is_taken_or_refused_in_one_line(files, tmp_path):
    outcomes, examples = files.fuzz(60, 7, tmp_path)
    assert examples == {}
    assert set(outcomes) == {"taken", "refused"}
    assert outcomes.total() == 60


def test_made_up_files_lose_no_row_and_merge_no_customer(files, tmp_path):
    outcomes = files.make(40, 7, tmp_path)
    assert outcomes["taken"] > 20


def test_what_loses_a_row_or_merges_customers_is_seen(files, tmp_path, monkeypatch):
    rows = [("1", "ann", "2024-01-05", "10"), ("2", "bob", "2024-01-05", "10")]
    path = files.written(rows, "csv", tmp_path)
    assert files.hold(path, 2) == "taken"
    with pytest.raises(AssertionError, match="3 rows given, 2 accounted for"):
        files.hold(path, 3)
    judge = files.judge
    monkeypatch.setattr(files, "judge", lambda path: (judge(path)[0], {0: ("ann", "x"), 1: ("bob", "x")}))
    with pytest.raises(AssertionError, match="merged or split"):
        files.hold(path, 2)


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.map_(pa.string(), pa.string())], ids=["list", "map"])
def test_ids_that_are_lists_are_refused_by_name(files, tmp_path, kind):
    cells = [["a", "b"], ["c", "d"]] if pa.types.is_list(kind) else [[("id", "a")], [("id", "b")]]
    columns = {"order_id": ["1", "2"], "customer_id": pa.array(cells, kind), "total_price": [1.0, 2.0]}
    pq.write_table(pa.table({**columns, "order_date": ["2024-01-05"] * 2}), tmp_path / "orders.parquet")
    with pytest.raises(BadInputError, match=r"orders.parquet: customer_id holds a list in each cell"):
        files.judge(tmp_path / "orders.parquet")


def test_a_column_whose_name_is_no_text_is_refused_by_the_file(tmp_path):
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"zzzz": ["1"]}), path)
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"\xd0zzz"))
    with pytest.raises(BadInputError, match=r"cannot read .*orders.parquet as Parquet"), open_table(path):
        pass
