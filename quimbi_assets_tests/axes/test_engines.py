"""An engine that spreads the work writes the features that DuckDB computes by parts, from the same expressions."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from quimbi_assets.axes import AXES, Measurement, axis_schema, feature_frame, fit_reference, measure
from quimbi_assets.axis_table import AxisTable, TableFacts
from quimbi_assets.engines import DuckEngine
from quimbi_assets.history import History
from quimbi_assets.ingest.canonical import CANONICAL, arrow_schema
from quimbi_assets.resources.spark import SparkEngine
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store

pytestmark = [pytest.mark.xdist_group("spark"), pytest.mark.filterwarnings("ignore")]

TIME_ZONE = "America/New_York"
HOSTILE = (
    *("o'hara", "a''b", 'say "hi"', "back\\slash", "end\\", "two\nlines", "tab\there", " lead", "trail ", "%", "NULL"),
    *(
        "'; DROP TABLE orders; --",
        "ünïcødé",
        "日本",
        "\N{GRINNING FACE}",
        "\N{FULLWIDTH LATIN CAPITAL LETTER A}",
        "${x}",
    ),
)
"""Ids that quoting, escaping and ordering by UTF-16 go wrong on."""


def instants(dates, step):
    """Return dates with fractions of seconds, each another one."""
    return dates + pd.to_timedelta(np.arange(len(dates)) % 1000 * step, unit="us").as_unit("us")


def hostile_store() -> dict[str, pa.Table]:
    """About 120 customers with every column; every seventh of a name that is hard to carry."""
    drawn = simulate_store(120, seed=5, time_zone=TIME_ZONE)
    names = dict(zip(drawn.orders["customer_id"].dropna().unique()[::7], HOSTILE, strict=False))
    assert len(names) == len(HOSTILE)
    orders = drawn.orders.assign(order_date=instants(drawn.orders["order_date"], 137_001))
    items = drawn.order_items.assign(refunded_at=instants(drawn.order_items["refunded_at"], 99_001))
    tickets = drawn.support_tickets.assign(created_at=instants(drawn.support_tickets["created_at"], 73_001))
    orders, tickets = (f.assign(customer_id=f["customer_id"].replace(names)) for f in (orders, tickets))
    items = items.assign(category=items["category"].str.replace("e", "é'\\"))
    return dict(History.from_frames(orders, items, tickets, Store(time_zone=TIME_ZONE)).tables)


@pytest.fixture(scope="module")
def measurement(tmp_path_factory) -> Measurement:
    """What is measured of that store, at rest in Parquet, 100 days before its end: much lies ahead."""
    folder = UPath(tmp_path_factory.mktemp("a store [1] {of} 100%"))
    places = {name: folder / f"{name}.parquet" for name in CANONICAL}
    for name, table in hostile_store().items():
        pq.write_table(table.sort_by("customer_id"), places[name])
    history = History(Store(time_zone=TIME_ZONE), places)
    history = history.until(history.end - pd.Timedelta(days=100, microseconds=1))
    assert set(HOSTILE) & set(history.customers.to_pylist()) >= set(HOSTILE[:3])
    return measure(history, reference=fit_reference(history))


@pytest.fixture(scope="module")
def by_parts(measurement) -> dict[str, pa.Table]:
    """Features as DuckDB computes them, one part of the customers after the other."""
    assert measurement.axes == list(AXES)
    return next(iter(measurement.parts()))


@pytest.fixture(scope="module")
def on_spark(measurement, spark_session, tmp_path_factory) -> dict[str, AxisTable]:
    """Tables of the features that Spark wrote."""
    return written(measurement, spark_session, tmp_path_factory.mktemp("features"))


def written(measurement, session, folder) -> dict[str, AxisTable]:
    places = {name: UPath(folder) / f"{name}.parquet" for name in measurement.axes}
    with SparkEngine(session) as engine:
        measurement.write(places, engine, TableFacts(at=measurement.history.end, recorded=measurement.recorded))
    return {name: AxisTable(place) for name, place in places.items()}


@pytest.mark.parametrize("axis", AXES)
def test_spark_agrees(axis, by_parts, on_spark):
    wanted, found = feature_frame(by_parts[axis]), feature_frame(on_spark[axis].read())
    assert wanted.notna().any().all()
    pd.testing.assert_frame_equal(wanted, found, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", AXES)
def test_spark_leaves_a_table_of_several_files(axis, measurement, on_spark):
    table = on_spark[axis]
    assert table.schema == axis_schema(AXES[axis])
    assert table.facts == TableFacts(at=measurement.history.end, recorded=measurement.recorded)
    files = sorted(path.name for path in table.place.iterdir())
    assert sum(name.endswith(".parquet") for name in files) > 1
    assert [name for name in files if not name.endswith(".parquet")] == ["facts.json"]


def test_spark_finds_nothing_in_an_empty_store(measurement, spark_session, tmp_path):
    nothing = {name: arrow_schema(name).empty_table() for name in measurement.history.tables}
    empty = measure(History(Store(), nothing))
    for name, table in written(empty, spark_session, tmp_path).items():
        assert table.schema == axis_schema(AXES[name])
        assert table.n_rows == 0


def test_a_condition_finds_whom_it_names(measurement, spark_session):
    with SparkEngine(spark_session) as engine:
        for customers in (HOSTILE, HOSTILE[:1]):
            measurement.history.of(pa.array(customers)).register(engine)
            found = engine.arrow("SELECT DISTINCT customer_id FROM raw_orders")
            assert sorted(found["customer_id"].to_pylist()) == sorted(customers)


class Writing(DuckEngine):
    """DuckDB that writes tables, and fails on the last of so many."""

    def __init__(self, fails_at=None):
        super().__init__(threads=1)
        self.n, self.fails_at = 0, fails_at

    def write(self, sql, folder, schema):
        self.n += 1
        folder.mkdir(parents=True)
        pq.write_table(self.arrow(sql).cast(schema), folder / "part-0.parquet")
        if self.n == self.fails_at:
            raise OSError("disk full")


def test_all_tables_are_replaced_or_none(measurement, by_parts, tmp_path):
    places = {name: UPath(tmp_path) / f"{name}.parquet" for name in measurement.axes}
    with Writing() as engine:
        measurement.write(places, engine, TableFacts(run_id="first"))
    with Writing(fails_at=2) as engine, pytest.raises(OSError, match="disk full"):
        measurement.write(places, engine, TableFacts(run_id="second"))
    assert sorted(tmp_path.iterdir()) == sorted(places.values())
    for name, place in places.items():
        assert AxisTable(place).facts.run_id == "first"
        assert AxisTable(place).read().equals(by_parts[name])
