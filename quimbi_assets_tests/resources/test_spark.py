"""Spark leaves rows where they are, says in one line what is wrong, and leaves nothing behind."""

import ast
import inspect
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from quimbi_assets.axes import measure
from quimbi_assets.axis_table import AxisTable, TableFacts, write_table
from quimbi_assets.errors import BadInputError, EngineFailedError
from quimbi_assets.history import History
from quimbi_assets.ingest.canonical import arrow_schema
from quimbi_assets.resources import spark
from quimbi_assets.resources.postgres.database import is_transient
from quimbi_assets.store import Store

pytestmark = [pytest.mark.xdist_group("spark"), pytest.mark.filterwarnings("ignore")]

BRINGS_ROWS = {"collect", "toArrow", "toPandas", "toLocalIterator", "take", "tail", "head", "first", "show", "rdd"}
N_ORDERS, N_CUSTOMERS, ID_LENGTH = 75_000, 18_750, 3_200
HEAP = "480m"
"""Spark wants 450 MB at least; of these about 180 are free, and the orders' ids alone are 240."""


def orders(first: int, last: int, id_length: int = 8) -> pa.Table:
    """Return some orders of a store, four a customer, in order of customers."""
    place = np.arange(first, last)
    schema = arrow_schema("raw_orders")
    date = np.datetime64("2024-01-01", "us") + place % 1000 * np.timedelta64(1, "h")
    columns = {
        "order_id": [f"{i:08d}".ljust(id_length, "x") for i in place],
        "customer_id": [f"c{i // 4:08d}" for i in place],
        "order_date": date,
        "order_date_local": date,
        "total_price": 1.0 + place % 7,
    }
    return pa.table([pa.array(columns.get(f.name, [None] * len(place)), f.type) for f in schema], schema=schema)


def history(place) -> History:
    none = {name: arrow_schema(name).empty_table() for name in ("raw_items", "raw_tickets")}
    return History(Store(), {"raw_orders": place, **none})


WRITE_THEN_COLLECT = """
import sys
from upath import UPath
from quimbi_assets.axes import measure
from quimbi_assets.axis_table import AxisTable, TableFacts
from quimbi_assets.resources.spark import open_engine
from quimbi_assets_tests.resources.test_spark import history

folder = UPath(sys.argv[1])
measurement = measure(history(folder / "orders.parquet"), ["purchase_value"])
with open_engine("spark") as engine:
    measurement.write({"purchase_value": folder / "features.parquet"}, engine, TableFacts())
    print("written", AxisTable(folder / "features.parquet").n_rows, flush=True)
    print("collected", engine.arrow("SELECT * FROM raw_orders").num_rows, flush=True)
"""


@pytest.mark.usefixtures("can_spark")
def test_features_are_written_by_a_driver_that_cannot_hold_the_orders(tmp_path):
    with pq.ParquetWriter(tmp_path / "orders.parquet", arrow_schema("raw_orders"), compression="zstd") as writer:
        for first in range(0, N_ORDERS, 5_000):
            writer.write_table(orders(first, first + 5_000, ID_LENGTH))
    java = "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC'"
    options = f"--master local[1] --driver-memory {HEAP} {java} pyspark-shell"
    done = subprocess.run(
        [sys.executable, "-c", WRITE_THEN_COLLECT, str(tmp_path)],
        env={**os.environ, "PYSPARK_SUBMIT_ARGS": options, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.stdout.split() == ["written", str(N_CUSTOMERS)], done.stderr[-2000:]
    assert "EngineFailedError: Spark gave up: " in done.stderr.strip().splitlines()[-1]


def test_only_arrow_brings_rows_into_this_process():
    def calls(tree):
        return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & BRINGS_ROWS

    tree = ast.parse(inspect.getsource(spark))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert {node.name: calls(node) for node in functions if calls(node)} == {"arrow": {"toArrow"}}


def test_an_axis_goes_from_a_file_to_a_folder_and_back(spark_session, tmp_path):
    place = UPath(tmp_path) / "store.parquet"
    measurement = measure(history(orders(0, 400)), ["purchase_value"])
    rows = next(iter(measurement.parts()))["purchase_value"]
    for _ in range(2):
        write_table(place, [rows], TableFacts(run_id="duckdb"))
        assert place.is_file()
        with spark.SparkEngine(spark_session) as engine:
            measurement.write({"purchase_value": place}, engine, TableFacts(run_id="spark"))
        assert place.is_dir()
        assert AxisTable(place).facts.run_id == "spark"
        assert AxisTable(place).read()["customer_id"].equals(rows["customer_id"])
        assert list(tmp_path.iterdir()) == [place]


def test_spark_reads_the_tables_it_wrote(spark_session, tmp_path):
    place = UPath(tmp_path) / "it's [1] {a}*.parquet"
    with spark.SparkEngine(spark_session) as engine:
        engine.write("SELECT id AS n FROM range(10)", place, pa.schema([("n", pa.int64())]))
        (place / "facts.json").write_text("{}")
        engine.view("numbers", place, "n >= 5")
        assert engine.arrow("SELECT sum(n) AS n FROM numbers")["n"].to_pylist() == [35]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT raise_error('out of paper') FROM range(3)", "out of paper"),
        ("SELECT 1 / (id - 1) FROM range(3)", "DIVIDE_BY_ZERO"),
        ("SELECT CAST(9223372036854775807 + id AS BIGINT) FROM range(3)", "ARITHMETIC_OVERFLOW"),
    ],
)
def test_what_spark_cannot_do_is_said_in_one_line(sql, reason, spark_session):
    with (
        spark.SparkEngine(spark_session) as engine,
        pytest.raises(EngineFailedError, match=rf"\ASpark gave up: .*{reason}") as raised,
    ):
        engine.arrow(sql)
    assert "\n" not in str(raised.value)


def test_a_lost_connection_asks_for_no_other_try():
    def lose_it():
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(EngineFailedError, match="its Java process ended; more memory") as raised:
        spark._in_one_line(lose_it)()
    assert is_transient(ConnectionRefusedError())
    assert not is_transient(raised.value)


@pytest.mark.parametrize(
    ("name", "environment", "reason"),
    [
        ("sparkle", {}, "unknown engine 'sparkle'; there are: duckdb, spark"),
        ("spark", {"PATH": "", "JAVA_HOME": ""}, "Spark needs Java 17 or newer; install it"),
        ("spark", {"JAVA_HOME": "/nowhere"}, "Spark needs Java 17 or newer; install it"),
    ],
)
def test_what_is_missing_is_said_in_one_line(name, environment, reason, monkeypatch):
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(BadInputError, match=reason), spark.open_engine(name):
        pass


def test_without_pyspark_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(BadInputError, match=r"pip install 'quimbi_assets\[spark\]'"), spark.open_engine("spark"):
        pass


def test_a_session_that_was_there_is_left_running(spark_session):
    on_interrupt = signal.getsignal(signal.SIGINT)
    with spark.open_engine("spark") as engine:
        engine.materialise("one", "SELECT 1 AS n")
        assert engine.arrow("SELECT n FROM one")["n"].to_pylist() == [1]
    assert spark_session.range(1).count() == 1
    assert signal.getsignal(signal.SIGINT) is on_interrupt


def test_duckdb_opens_nothing():
    with spark.open_engine("duckdb") as engine:
        assert engine is None
