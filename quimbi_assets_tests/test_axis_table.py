"""Tables at rest: typed facts, batches, whole or not at all."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from quimbi_assets import axis_table
from quimbi_assets.axis_table import (
    FACTS_FILE,
    AxisTable,
    TableFacts,
    side_by_side,
    table_writer,
    write_table,
    written_in_parts,
)
from quimbi_assets.store import OrderPolicy, Store

FACTS = TableFacts(
    at=pd.Timestamp("2025-02-01 03:00"),
    status="weak",
    reason="too few",
    recorded=frozenset({"orders.source"}),
    model_version="3",
    segment_ids=("a_1", "a_2"),
    store=Store("mine", "Europe/Berlin", "EUR", OrderPolicy(drop_guests=False), {"opens": 8}),
    changed_at=pd.Timestamp("2025-02-03 04:05:06.000007", tz="UTC"),
)


def rows(start, stop):
    return pa.table(
        {"customer_id": [f"c{i:03d}" for i in range(start, stop)], "x": [float(i) for i in range(start, stop)]}
    )


@pytest.fixture(params=["file", "memory"])
def place(request, tmp_path):
    if request.param == "file":
        return UPath(tmp_path) / "features" / "mine.parquet"
    return UPath("memory://quimbi-tests") / tmp_path.name / "mine.parquet"


def test_facts_and_rows_come_back_as_they_were(place):
    write_table(place, [rows(0, 3), rows(3, 7)], FACTS)
    found = AxisTable(place)
    assert found.facts == FACTS
    assert found.n_rows == 7
    assert found.read().equals(rows(0, 7))
    assert found.read(["x"]).column_names == ["x"]
    assert FACTS.inactive_reason is None
    assert TableFacts.inactive("no tickets").inactive_reason == "no tickets"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_are_of_the_size_asked_for_whatever_was_written(place, size):
    write_table(place, [rows(0, 3), rows(3, 4), rows(4, 7)], FACTS)
    batches = list(AxisTable(place).batches(rows=size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert pa.concat_tables(batches).equals(rows(0, 7))


def test_an_empty_table_has_its_columns(place):
    write_table(place, [], FACTS, rows(0, 1).schema)
    (batch,) = AxisTable(place).batches()
    assert batch.schema == rows(0, 1).schema
    assert len(batch) == 0


def test_rows_are_taken_by_place(place):
    write_table(place, [rows(0, 5), rows(5, 9)], FACTS)
    assert AxisTable(place).take(np.array([0, 4, 5, 8]))["x"].to_pylist() == [0.0, 4.0, 5.0, 8.0]


def test_a_write_that_fails_leaves_what_was_there(place):
    write_table(place, [rows(0, 2)], FACTS)

    def broken():
        yield rows(2, 4)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_table(place, broken(), FACTS)
    assert AxisTable(place).read().equals(rows(0, 2))
    assert [path.name for path in place.parent.iterdir()] == ["mine.parquet"]


def test_a_folder_of_files_is_one_table_and_a_file_replaces_it(tmp_path):
    place = UPath(tmp_path) / "mine.parquet"
    for number, part in enumerate((rows(0, 3), rows(3, 5))):
        write_table(place / f"part-{number}.parquet", [part], TableFacts())
    (place / FACTS_FILE).write_text(FACTS.to_json())
    assert AxisTable(place).facts == FACTS
    assert AxisTable(place).read().equals(rows(0, 5))
    with table_writer(place, rows(0, 1).schema, FACTS) as write:
        write(rows(5, 6))
    assert AxisTable(place).read().equals(rows(5, 6))


def test_a_table_is_removed_once_the_one_in_parts_has_its_place(tmp_path, monkeypatch):
    place, in_place = UPath(tmp_path) / "mine.parquet", []
    write_table(place, [rows(0, 2)], FACTS)
    with written_in_parts(place, FACTS) as folder:
        write_table(folder / "part-0.parquet", [rows(0, 5)], TableFacts())
        monkeypatch.setattr(axis_table, "remove", lambda _: in_place.append(AxisTable(place).n_rows))
    assert in_place == [5, 5]


def test_two_writers_of_one_process_number_write_beside_each_other(tmp_path):
    place = UPath(tmp_path) / "mine.parquet"
    with (
        table_writer(place, rows(0, 1).schema, FACTS) as write_one,
        table_writer(place, rows(0, 1).schema, FACTS) as write_other,
    ):
        write_one(rows(0, 1))
        write_other(rows(0, 1))
        assert len(list(tmp_path.iterdir())) == 2


def test_tables_side_by_side_are_of_the_same_customers(tmp_path):
    one, two = (UPath(tmp_path) / f"{name}.parquet" for name in "ab")
    write_table(one, [rows(0, 4)], FACTS)
    write_table(two, [rows(0, 1), rows(1, 4)], FACTS)
    found = list(side_by_side({"a": AxisTable(one), "b": AxisTable(two)}, 3))
    assert [len(part["b"]) for part in found] == [3, 1]
    write_table(two, [rows(1, 5)], FACTS)
    with pytest.raises(ValueError, match="b: its table is not of the same customers"):
        list(side_by_side({"a": AxisTable(one), "b": AxisTable(two)}, 3))
