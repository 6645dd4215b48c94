"""What a process wrote or read lately is not opened again, and is never stale."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from quimbi_assets import parquet_files
from quimbi_assets.axis_table import AxisTable, TableFacts, table_writer
from quimbi_assets.engines import DuckEngine
from quimbi_assets.errors import BadInputError


@pytest.fixture(params=["file", "memory"])
def place(request, tmp_path):
    folder = UPath(tmp_path) if request.param == "file" else UPath("memory://quimbi-tests") / tmp_path.name
    return folder / "t.parquet"


def write(place, *values):
    schema = pa.schema([("x", pa.int64())])
    with table_writer(place, schema, TableFacts(reason=f"{len(values)} rows")) as append:
        for value in values:
            append(pa.table({"x": pa.array([value], pa.int64())}))


def rows_of(place):
    with DuckEngine() as engine:
        engine.view("t", place)
        return engine.arrow("SELECT x FROM t ORDER BY x")["x"].to_pylist()


def test_what_was_written_is_not_opened_to_be_read(place, monkeypatch):
    write(place, 1, 2)
    monkeypatch.setattr(type(place), "read_bytes", lambda self: pytest.fail(f"opened {self}"))
    monkeypatch.setattr(type(place), "open", lambda self, mode: pytest.fail(f"opened {self}"))
    assert AxisTable(place).facts.reason == "2 rows"
    assert AxisTable(place).read()["x"].to_pylist() == [1, 2]
    assert rows_of(place) == [1, 2]


def test_another_process_s_file_is_noticed(place):
    write(place, 1, 2)
    assert rows_of(place) == AxisTable(place).read()["x"].to_pylist() == [1, 2]
    with place.open("wb") as file:
        pq.write_table(pa.table({"x": [3, 4]}), file)
    assert rows_of(place) == AxisTable(place).read()["x"].to_pylist() == [3, 4]
    place.unlink()
    with pytest.raises(FileNotFoundError):
        AxisTable(place).read()


def test_a_large_file_is_read_from_where_it_rests(place, monkeypatch):
    monkeypatch.setattr(parquet_files, "SMALL", 100)
    write(place, 1, 2)
    assert parquet_files.small_table(place) is None
    assert AxisTable(place).read()["x"].to_pylist() == [1, 2]
    assert rows_of(place) == [1, 2]
    assert not any(str(place) == path for path, _ in parquet_files._contents)


def test_rows_far_larger_than_their_file_are_not_kept(place):
    n_rows = parquet_files.KEPT // 8 + 1
    with table_writer(place, pa.schema([("x", pa.int64())]), TableFacts()) as append:
        append(pa.table({"x": np.full(n_rows, 7)}))
    assert len(parquet_files.small_table(place)) == n_rows
    assert not any(str(place) == path for path, _ in parquet_files._decoded)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"rubbish" * 1000], ids=["empty", "four bytes", "rubbish"])
def test_a_damaged_file_is_named_with_what_mends_it(place, content):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    for look in (lambda: AxisTable(place).facts, lambda: rows_of(place)):
        with pytest.raises(BadInputError, match=r"t.parquet is damaged \(.*\); make it anew: quimbi run"):
            look()
