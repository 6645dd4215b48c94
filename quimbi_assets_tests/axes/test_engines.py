"""Spark computes the same features as DuckDB from the same expressions; runs where pyspark is installed."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.resources.spark import SparkEngine

pytestmark = [
    pytest.mark.skipif(find_spec("pyspark") is None, reason="pyspark is not installed (the `spark` extra)"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def session():
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.default.parallelism": "1",
        # Not UTC on purpose: the engine must not read clock times in the session's zone.
        "spark.sql.session.timeZone": "America/New_York",
    }
    session = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def pair(session, simulated):
    """Features of both engines, of orders with fractions of seconds."""
    fractions = pd.to_timedelta(np.arange(len(simulated.orders)) % 10 * 137, unit="ms").as_unit("us")
    orders = simulated.orders.assign(order_date=simulated.orders["order_date"] + fractions)
    with SparkEngine(session) as engine:
        return simulated.again(orders), simulated.again(orders, engine=engine)


@pytest.mark.parametrize("axis", AXES)
def test_spark_agrees(axis, pair):
    on_duckdb, on_spark = pair
    assert on_duckdb[axis].notna().any().all()
    pd.testing.assert_frame_equal(on_duckdb[axis], on_spark[axis], rtol=1e-6, atol=1e-6)


def test_nothing_in_nothing_out(session, simulated):
    with SparkEngine(session) as engine:
        features = simulated.again(
            simulated.orders.iloc[:0], simulated.items.iloc[:0], axes=["purchase_value"], engine=engine
        )
    assert features["purchase_value"].empty
