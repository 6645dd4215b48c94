"""A campaign in a simulated store: what was planted is found at its size, and nothing where nothing was."""

from datetime import UTC, datetime

import pandas as pd
import psycopg2.extras
import pyarrow as pa
import pytest

from quimbi_assets.actions.rules import read_rules
from quimbi_assets.audiences.definitions import ExportTarget
from quimbi_assets.lift.assignment import Trial
from quimbi_assets.lift.verdict import HARMED, HELPED
from quimbi_assets.resources.actions import rules_of
from quimbi_assets.resources.export_targets import export
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.actions import refresh_actions
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.postgres.tables.treatments import read_trials
from quimbi_assets.simulation import simulate_store
from quimbi_assets.simulation.effects import Effect, plant_effect, read_effect
from quimbi_assets_tests.administrator import administering
from quimbi_assets_tests.resources.published import publish

WINDOW = 60
RULES = """
rules:
  call:
    when: orders >= 0 or orders is null
    campaign: call
    control: 0.4
    outcome: orders
    window_days: {window}
    weeks: 1
"""


@pytest.fixture(scope="module")
def orders():
    """The last three months of a simulated store, moved so that their first day is tomorrow."""
    orders = simulate_store(4000, seed=5).orders.dropna(subset=["customer_id"])
    orders = orders[orders["order_date"] > orders["order_date"].max() - pd.Timedelta(days=75)]
    shift = pd.Timestamp(datetime.now(UTC)) - orders["order_date"].min()
    return orders.assign(order_date=orders["order_date"] + shift + pd.Timedelta(hours=12))


def test_orders_become_so_many_more(orders):
    acted = pd.DataFrame({"customer_id": orders["customer_id"].unique()[::2]})
    acted["entered_at"] = orders["order_date"].min()
    more = plant_effect(orders, acted, 0.3, WINDOW, 1)
    end = orders["order_date"].min() + pd.Timedelta(days=WINDOW)
    touched = more["customer_id"].isin(acted["customer_id"]) & (more["order_date"] < end)
    before = (orders["customer_id"].isin(acted["customer_id"]) & (orders["order_date"] < end)).sum()
    assert touched.sum() / before == pytest.approx(1.3, abs=0.05)
    assert len(more) - len(orders) == touched.sum() - before
    assert more["order_id"].is_unique


def test_a_store_is_simulated_with_an_effect_in_it(tmp_path):
    plain = simulate_store(600, seed=3)
    chosen = plain.labels["customer_id"][::2]
    acted = pd.DataFrame({"customer_id": chosen, "entered_at": "2025-06-01"})
    acted.to_csv(tmp_path / "acted.csv", index=False)
    effect = read_effect(tmp_path / "acted.csv", 0.5, 150)
    store = simulate_store(600, seed=3, effect=effect)
    assert len(store.orders) > len(plain.orders)
    assert store.orders["order_id"].is_unique
    start, end = pd.Timestamp("2025-06-01", tz="UTC"), pd.Timestamp("2025-10-29", tz="UTC")
    before, after = (
        one.orders[one.orders["order_date"].between(start, end) & one.orders["customer_id"].isin(chosen)]
        for one in (plain, store)
    )
    assert len(after) / len(before) == pytest.approx(1.5, abs=0.1)
    more = store.orders[~store.orders["order_id"].isin(plain.orders["order_id"])]
    assert set(more["customer_id"]) <= set(chosen)
    assert more["order_date"].between(start, end).all()
    assert set(more["order_id"]) <= set(store.order_items["order_id"])
    assert store.labels.loc[store.labels["acted_on"], "customer_id"].tolist() == chosen.tolist()
    with pytest.raises(ValueError, match="customer_id and entered_at; missing"):
        Effect(acted[["customer_id"]], 0.5)


def test_what_was_planted_is_found_and_nothing_where_nothing_was(database, orders, tmp_path):
    """A rule and a list choose everybody, each with a control group of its own; the rule alone does anything."""
    store_id, raised = "campaign", 0.6
    customers = sorted(orders["customer_id"].unique())
    publish(database, store_id, len(customers), customer_id=pa.array(customers))
    trial = Trial(0.4, "orders", WINDOW, 1)
    export(database, store_id, ExportTarget("mail", "csv", out=tmp_path / "list.csv", trial=trial), print)
    vocabulary = read_vocabulary(database, store_id)
    rules = rules_of(store_id, vocabulary, read_rules(RULES.format(window=WINDOW), "f"))
    refresh_actions(database, store_id, rules.compiled, vocabulary.time_zone)
    acted = database.query(
        EVERY_STORE,
        "SELECT customer_id, entered_at FROM quimbi.treatments WHERE store_id = %s AND subject = 'rule/call' "
        "AND arm = 'acted'",
        (store_id,),
    )
    placed = plant_effect(orders, acted, raised, WINDOW, 2)
    rows = zip(placed["order_id"], placed["customer_id"], placed["order_date"], placed["total_price"], strict=True)
    with administering(database) as cursor:
        psycopg2.extras.execute_values(
            cursor,
            "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) VALUES %s",
            [(store_id, *row) for row in rows],
        )
    findings = {state.subject: state.finding for state in read_trials(database, store_id)}
    for finding in findings.values():
        assert finding.n_acted + finding.n_control == len(customers)
    helped, nothing = findings["rule/call"], findings["export/mail"]
    assert helped.verdict == HELPED
    assert helped.low <= raised * helped.control <= helped.high
    assert nothing.verdict not in (HELPED, HARMED)
    assert nothing.low <= 0 <= nothing.high
