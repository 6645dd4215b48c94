"""A simulated store with everything recorded, models of some axes, and some of its customers with their pasts."""

import pytest

from quimbi_assets.axes import fit_reference
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.explanation.changes import Past
from quimbi_assets.history import History
from quimbi_assets.pipeline import fit_store, sample_store
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store

ZONE = "America/New_York"
MODELLED = (
    "category_exploration", "customer_maturity", "price_sensitivity", "purchase_cadence", "purchase_frequency",
    "purchase_value", "return_behavior", "support_history",
)  # fmt: skip


@pytest.fixture(scope="session")
def history():
    drawn = simulate_store(200, seed=11, time_zone=ZONE)
    orders = drawn.orders[drawn.orders["status"] == "paid"]
    whole = History.from_frames(orders, drawn.order_items, drawn.support_tickets, Store("shop", time_zone=ZONE))
    return whole.until(whole.end)


@pytest.fixture(scope="session")
def reference(history):
    return fit_reference(history)


@pytest.fixture(scope="session")
def models(history, reference):
    options = FitOptions(pictures=False)
    sample = sample_store(history, MODELLED, options)
    fitted = fit_store(history, sample, reference, history.recorded, options, noise_test=False).models
    assert set(fitted) == set(MODELLED)
    return {axis: fitted[axis] for axis in MODELLED}


@pytest.fixture(scope="session")
def pasts(history, reference):
    """The pasts of customers of few and of many orders, by id."""
    by_orders = sorted(history.population.to_pylist(), key=lambda row: (row["n_orders"], row["customer_id"]))
    some = [row["customer_id"] for row in by_orders[:: len(by_orders) // 4]]
    return {one: Past(history.of([one]).in_memory(), history.recorded, reference) for one in some}
