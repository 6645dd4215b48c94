"""Several stores extracted at once give what each gives alone."""

from functools import partial

import pandas as pd
import pytest

from quimbi_assets.axes import _together, extract_features, fit_reference, recorded_columns
from quimbi_assets.axes._inputs import canonical_inputs
from quimbi_assets.axes._shuffle import visible_store
from quimbi_assets.simulation import simulate_store

END = pd.Timestamp("2026-01-01")


@pytest.fixture(scope="module")
def stores():
    made = [simulate_store(40, seed=seed) for seed in (1, 2, 3)]
    return [visible_store(store.orders, store.order_items, END) for store in made]


@pytest.mark.parametrize("most_rows", [1, 10**9])
def test_each_store_has_its_own_features(stores, most_rows, monkeypatch):
    monkeypatch.setattr(_together, "MAX_ROWS", most_rows)
    orders, items = stores[0]
    extract = partial(
        extract_features,
        axes=["purchase_value", "return_behavior", "category_exploration"],
        observation_end=END,
        recorded=recorded_columns(canonical_inputs(orders, items, END, "UTC")),
        reference=fit_reference(orders, items, END),
    )
    together = _together.extract_together(stores, extract)
    assert len(together) == len(stores)
    for found, (own_orders, own_items) in zip(together, stores, strict=True):
        alone = extract(own_orders, own_items)
        assert list(found) == list(alone)
        for axis, table in alone.items():
            pd.testing.assert_frame_equal(found[axis], table, check_index_type=False)
