"""A store in a notebook: what the README shows is so, and what cannot be is said."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.analysis import open_store
from quimbi_assets.axes import Features, measure
from quimbi_assets.errors import BadInputError, UnknownAxisError
from quimbi_assets.simulation import simulate_store

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_says_what_happens():
    found = doctest.testfile(
        str(README), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert found.attempted >= 9
    assert found.failed == 0


@pytest.fixture(scope="module")
def made():
    return simulate_store(300, seed=5)


@pytest.fixture(scope="module")
def discovery(made):
    store = open_store(orders=made.orders, items=made.order_items, time_zone="America/New_York")
    return store.discover(["purchase_frequency", "purchase_value"], max_k=3)


def test_files_are_as_frames(made, discovery, tmp_path):
    made.orders.to_csv(tmp_path / "orders.csv", index=False)
    made.order_items.to_parquet(tmp_path / "items.parquet")
    store = open_store(
        orders=tmp_path / "orders.csv", items=str(tmp_path / "items.parquet"), time_zone="America/New_York"
    )
    again = store.discover(["purchase_frequency", "purchase_value"], max_k=3)
    pd.testing.assert_frame_equal(again.segments, discovery.segments)
    pd.testing.assert_frame_equal(again.memberships("purchase_value"), discovery.memberships("purchase_value"))


def test_everybody_is_somewhere_and_counted(discovery):
    n = len(discovery.history.population)
    for axis in ("purchase_frequency", "purchase_value"):
        memberships = discovery.memberships(axis, by="id")
        np.testing.assert_allclose(memberships.sum(axis=1), 1)
        own = discovery.segments.set_index("axis").loc[[axis]]
        assert own["customers"].sum() == n
        dominant = discovery.dominant_segments(by="id")[axis].value_counts()
        assert dominant.to_dict() == dict(zip(own["segment_id"], own["customers"], strict=True))


def test_a_profile_alone_is_one_of_many(discovery):
    first, second = discovery.history.customers.to_pylist()[:2]
    both = discovery.profile([second, first])
    assert both.index.tolist() == [second, first]
    assert discovery.profile([first]).loc[first].equals(both.loc[first])
    names = discovery.dominant_segments()
    assert both.loc[first, "segments"]["purchase_value"]["name"] == names.loc[first, "purchase_value"]


def flat(**columns):
    """20 customers' 5 orders of 100 each: 4 lines of 25 that carry the order's refund of 30."""
    rows = [(f"c{i % 20:02}", f"o{i}", f"2024-01-{1 + i // 20:02}") for i in range(100) for _ in range(4)]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_id", "order_date"]).assign(total_price=100.0)
    return frame.assign(sku="p", quantity=1, price=25.0, refund=30.0, **columns)


ORDER_COLUMNS = ["order_id", "customer_id", "order_date", "total_price"]


@pytest.mark.parametrize(
    ("orders", "items"),
    [
        (flat()[ORDER_COLUMNS].drop_duplicates(), flat()),
        (flat(refund_amount=30.0)[[*ORDER_COLUMNS, "refund_amount"]].drop_duplicates(), flat()),
        (flat(), flat()),
        (flat().rename(columns={"refund": "refund_amount"}), flat().rename(columns={"refund": "refund_amount"})),
    ],
    ids=["on lines only", "on orders too", "one frame for both", "one frame, the orders' column"],
)
def test_an_orders_refund_on_each_of_its_lines_is_counted_once(orders, items):
    history = open_store(orders=orders, items=items).history
    features = Features(measure(history, ["return_behavior"]))["return_behavior"]
    np.testing.assert_allclose(features["refund_rate"], 0.3)
    assert features["total_refunds"].sum() == 3000
    assert features["items_returned_pct"].isna().all()


def test_what_cannot_be_is_said(made, discovery):
    with pytest.raises(BadInputError, match="no customer nobody"):
        discovery.profile(["nobody"])
    with pytest.raises(BadInputError, match="no customer was asked for"):
        discovery.profile([])
    with pytest.raises(BadInputError, match="by name or by id"):
        discovery.dominant_segments(by="number")
    with pytest.raises(BadInputError, match="need 2 <= min_k <= max_k"):
        discovery.store.discover(min_k=5, max_k=2)
    with pytest.raises(BadInputError, match="no axis was asked for"):
        discovery.store.discover([])
    with pytest.raises(UnknownAxisError, match="there are: purchase_frequency, purchase_value"):
        discovery.memberships("return_behavior")
    with pytest.raises(BadInputError, match="no such file"):
        open_store(orders="nowhere.csv")
    with pytest.raises(BadInputError, match="orders are refused, most often: order_date"):
        open_store(orders=made.orders.assign(order_date="someday"))
    store = open_store(orders=made.orders.head(50))
    with pytest.raises(BadInputError, match="fewer than 100"):
        store.discover()
    one = open_store(orders=pd.concat([made.orders, made.orders.head(1).assign(order_id="x", order_date="someday")]))
    assert one.refused["orders"]["reason"].str.startswith("order_date").tolist() == [True]


def test_frames_need_neither_dagster_nor_mlflow_nor_a_database_driver():
    said = subprocess.run(
        [sys.executable, "-c", "import sys, quimbi_assets.analysis; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"dagster", "mlflow", "psycopg2", "adbc_driver_postgresql", "sqlalchemy"} & set(said)
