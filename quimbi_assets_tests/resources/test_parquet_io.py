"""Tables between assets: what is written is read again, on any file system, and the process that read it ends well."""

import subprocess
import sys
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dagster import AssetKey
from upath import UPath

from quimbi_assets.axis_table import TableFacts
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import materialize
from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.canonical import canonical_tables
from quimbi_assets.resources.parquet_io import RAW, ParquetTables, parquet_tables
from quimbi_assets.store import Store

KEY = AssetKey(["features", "purchase_value"])
FACTS = TableFacts(at=pd.Timestamp("2025-01-01"), recorded=frozenset({"orders.source"}), run_id="r")
READS_AND_ENDS = """
import sys
from upath import UPath
from quimbi_assets.axis_table import AxisTable
AxisTable(UPath(sys.argv[1])).read()
sys.exit(0)
"""


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"customer_id": ["x", "y", "z"], "value": [1.5, np.nan, -2.0], "name": pd.Series(["a", "b", None], dtype="str")}
    )


@pytest.fixture
def tables(tmp_path):
    return ParquetTables(UPath(tmp_path))


@pytest.mark.parametrize("base", ["local", "file://local", "memory://tables"])
def test_a_table_and_its_facts_are_read_as_written(frame, tmp_path, base):
    tables = ParquetTables(UPath(base.replace("local", str(tmp_path))) / tmp_path.name)
    tables.write(KEY, "shop", pd.DataFrame({"customer_id": ["of before"]}), TableFacts())
    tables.write(KEY, "shop", frame, FACTS)
    found = tables.required(KEY, "shop")
    pd.testing.assert_frame_equal(found.read().to_pandas(), frame)
    assert found.facts == FACTS
    place = tables.place(KEY, "shop")
    assert place.parts[-3:] == ("features", "purchase_value", "shop.parquet")
    assert [each.name for each in place.parent.iterdir()] == ["shop.parquet"]


def test_weeks_rest_apart_from_each_other_and_from_the_store_s_own_table(frame, tables):
    first, second = date(2025, 1, 6), date(2025, 1, 13)
    tables.write(KEY, "shop", frame, FACTS)
    for n_rows, week in enumerate((first, second), start=1):
        tables.write(KEY, "shop", frame.head(n_rows), FACTS, week)
    assert [tables.table(KEY, "shop", week).n_rows for week in (None, first, second)] == [3, 1, 2]
    assert tables.keep_weeks("shop", [second]) == 1
    assert tables.keep_weeks("shop", [second]) == 0
    assert tables.table(KEY, "shop", first) is None
    assert [tables.table(KEY, "shop", week).n_rows for week in (None, second)] == [3, 2]


def test_what_is_not_there_yet_is_said_in_a_line(tables):
    assert tables.table(KEY, "shop") is None
    with pytest.raises(BadInputError, match="shop has no features/purchase_value yet: quimbi run --store-id shop"):
        tables.required(KEY, "shop")


def test_the_history_is_that_of_the_raw_tables(tables):
    orders = pd.DataFrame(
        {"order_id": ["1", "2"], "customer_id": ["ann", "bob"], "order_date": ["2025-01-01", "2025-01-31T23:30Z"]}
    )
    items = pd.DataFrame({"order_id": ["1"], "product_id": ["mug"], "quantity": [1], "price": [20.0]})
    tickets = pd.DataFrame({"ticket_id": ["t"], "customer_id": ["zoe"], "created_at": ["2025-01-01"]})
    store = Store("shop", "Europe/Berlin", "EUR")
    raw = canonical_tables(orders.assign(total_price=20.0), items, tickets, store.time_zone)
    with pytest.raises(BadInputError, match="no orders in the graph yet"):
        tables.history("shop")
    for name in ("raw_orders", "raw_items"):
        tables.write(RAW[name], "shop", [raw[name]], TableFacts(store=store))
    without = tables.history("shop")
    assert (without.store, without.customers.to_pylist(), without.n_products) == (store, ["ann", "bob"], 1)
    assert without.end == pd.Timestamp("2025-02-01 23:00")
    assert without.n_writers_without_order == 0
    tables.write(RAW["raw_tickets"], "shop", [raw["raw_tickets"]], TableFacts(store=store))
    assert tables.history("shop").n_writers_without_order == 1


def test_tables_rest_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path))
    monkeypatch.delenv("QUIMBI_STORAGE_URL", raising=False)
    assert parquet_tables().base == UPath(tmp_path) / "storage"
    monkeypatch.setenv("QUIMBI_STORAGE_URL", "memory://elsewhere")
    assert parquet_tables().base == UPath("memory://elsewhere")
    assert parquet_tables("memory://given").base == UPath("memory://given")


def test_storage_that_cannot_be_is_called_by_the_setting_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("QUIMBI_STORAGE_URL", f"file://{tmp_path}/file/storage")
    with pytest.raises(
        BadInputError, match=r"cannot create .*/file/storage: .*; point QUIMBI_STORAGE_URL at a directory"
    ):
        parquet_tables()
    with pytest.raises(BadInputError, match="point QUIMBI_STORAGE_URL"):  # before Dagster, which would wrap it
        materialize(None, "s", "store", Steps(None, "s"))


def test_a_process_that_ends_right_after_reading_ends_well(frame, tables):
    """A thread of Arrow's left with a file of Python's aborted four in five such processes on two cores."""
    tables.write(KEY, "shop", [pa.Table.from_pandas(frame)], FACTS)
    command = [sys.executable, "-c", READS_AND_ENDS, str(tables.place(KEY, "shop"))]
    ended = [subprocess.run(command, capture_output=True, text=True, timeout=120, check=False) for _ in range(6)]
    assert {process.returncode for process in ended} == {0}, ended


VERBS = {
    "place": lambda tables, store: tables.place(KEY, store),
    "table": lambda tables, store: tables.table(KEY, store),
    "required": lambda tables, store: tables.required(KEY, store),
    "of a week": lambda tables, store: tables.table(KEY, store, date(2025, 1, 6)),
    "history": lambda tables, store: tables.history(store),
    "write": lambda tables, store: tables.write(KEY, store, pd.DataFrame({"customer_id": ["x"]}), TableFacts()),
    "write a week": lambda tables, store: tables.write(
        KEY, store, pd.DataFrame({"customer_id": ["x"]}), TableFacts(), date(2025, 1, 6)
    ),
    "mend": lambda tables, store: tables.mend(store),
    "keep weeks": lambda tables, store: tables.keep_weeks(store, []),
}
"""All that is done with a store's files, by the name its partition has."""
CRAFTED = [
    "../orders/other", "other/2025-01-06", "..", ".", "", ".other.parquet.1.partial", "other.parquet",
    "other.PARQUET", "other.parquet.1.ab12", "*", "oth?r", "[o]ther", "**/other",
]  # fmt: skip


@pytest.fixture
def beside(tmp_path):
    """Tables with those of the store ``other``, one of them half written, and what their files hold."""
    tables = ParquetTables(UPath(tmp_path))
    for week in (None, date(2025, 1, 6)):
        tables.write(KEY, "other", pd.DataFrame({"customer_id": ["of other"]}), TableFacts(), week)
    tables.place(KEY, "other").with_name(".other.parquet.1.ab12.partial").write_text("half")

    def theirs():
        files = (path for path in tmp_path.rglob("*other*/**/*") if path.is_file())
        return {path: path.read_bytes() for path in [*files, *tmp_path.rglob("*other.parquet*")] if path.is_file()}

    return tables, theirs


@pytest.mark.parametrize("store_id", CRAFTED)
@pytest.mark.parametrize("verb", VERBS)
def test_no_partition_leads_to_another_store_s_files(beside, verb, store_id):
    tables, theirs = beside
    before = theirs()
    assert len(before) == 3
    with pytest.raises(BadInputError, match="is no store's id"):
        VERBS[verb](tables, store_id)
    assert theirs() == before


@pytest.mark.parametrize("store_id", ["othe", "other.", "other.1", "Other", "another"])
@pytest.mark.parametrize("verb", [name for name in VERBS if name not in ("required", "history")])
def test_a_store_of_a_like_name_has_files_of_its_own(beside, verb, store_id):
    tables, theirs = beside
    before = theirs()
    VERBS[verb](tables, store_id)
    after = theirs()
    assert {path: after[path] for path in before} == before
    assert tables.required(KEY, "other").read().to_pydict() == {"customer_id": ["of other"]}


def test_an_address_of_storage_that_holds_a_key_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("QUIMBI_STORAGE_URL", "s3://AKIAPLANTED:secret@bucket/store")
    with pytest.raises(BadInputError, match="must hold no key") as raised:
        parquet_tables()
    assert "PLANTED" not in str(raised.value)
    assert "secret" not in str(raised.value)
